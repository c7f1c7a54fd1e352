//! Accepts connections and keeps accepting when the system refuses one.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::backlog;

/// Pause after the system refuses a connection, usually because all file
/// descriptors are in use. No event reports that one became free.
const PAUSE: Duration = Duration::from_millis(20);

/// The shortest time between two log lines about refused connections.
const QUIET: Duration = Duration::from_secs(1);

/// A listener that keeps accepting after errors.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: TcpListener,
    /// The kind of client it accepts, for the log.
    clients: &'static str,
    complaints: Complaints,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, clients: &'static str) -> Self {
        Self { listener, clients, complaints: Complaints::default() }
    }

    /// Waits for the next connection.
    ///
    /// # Cancel safety
    /// Cancel safe: a connection that arrives between two calls waits for the
    /// next one.
    pub(super) async fn accept(&mut self) -> TcpStream {
        loop {
            let error = match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => error,
            };
            // The client of one connection has disconnected; accept the next
            // one.
            if is_about_one_connection(&error) {
                continue;
            }
            if let Some(more) = self.complaints.may_log(Instant::now()) {
                let clients = self.clients;
                tracing::warn!(%error, more, "connections of {clients} are not accepted");
            }
            sleep(PAUSE).await;
        }
    }

    /// Lets no further client connect. The connections that have begun are
    /// still accepted.
    pub(super) fn stop_handshakes(&self) {
        if let Err(error) = backlog::stop_handshakes(&self.listener) {
            tracing::debug!(%error, "connections that begin at the end may be reset");
        }
    }

    /// The connections that wait, without waiting for more.
    pub(super) fn rest(&self) -> impl Iterator<Item = std::net::TcpStream> {
        backlog::rest(&self.listener)
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
}

/// Limits how often the same error is logged.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    /// The number of occurrences left out since then.
    left_out: u64,
}

impl Complaints {
    /// Whether an occurrence may be logged now, and how many were left out
    /// before it.
    fn may_log(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_logged_and_tells_of_the_others() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let logged: Vec<_> = (0..=120)
            .filter_map(|count| {
                let more = complaints.may_log(start + count * PAUSE)?;
                Some((count, more))
            })
            .collect();
        assert_eq!(logged, [(0, 0), (50, 49), (100, 49)]);
    }
}
