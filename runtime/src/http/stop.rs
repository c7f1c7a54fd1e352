//! How connections learn that their server stops, and when an idle one closes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::request::ClientConnection;

/// How long a connection of HTTP/1.1 without a request stays open once its
/// server stops. Its client may have sent a request that is on the way, and can
/// be told to close only in a response. It is longer than the pause of a busy
/// client between two requests, its way to the server and back included.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The server's side: stops the connections.
pub(super) struct Stopper(watch::Sender<bool>);

/// A connection's side. The server waits until all of these are dropped.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

pub(super) fn channel() -> (Stopper, Stop) {
    let (stopper, stop) = watch::channel(false);
    (Stopper(stopper), Stop(stop))
}

impl Stopper {
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Waits until all connections have ended.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn ended(&self) {
        self.0.closed().await;
    }
}

impl Stop {
    /// Waits until the server stops.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn begun(&mut self) {
        // It fails if the server is gone.
        let _ = self.0.wait_for(|stops| *stops).await;
    }

    /// Waits until the server stops, and then until the client has sent nothing
    /// for [`LAST_CALL`] while nothing was in flight for it.
    ///
    /// # Cancel safety
    /// Cancel safe, but a later call waits for the whole time again.
    pub(super) async fn last_call(&mut self, connection: &ClientConnection) {
        self.begun().await;
        // Not a part of the connection's own future, which stays small.
        Box::pin(quiet(|| (!connection.is_waiting()).then(|| connection.inbound.reads()))).await;
    }
}

/// Waits until `reads` returns the same number for [`LAST_CALL`].
async fn quiet(reads: impl Fn() -> Option<u32>) {
    loop {
        let before = reads();
        sleep(LAST_CALL).await;
        if before.is_some() && reads() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_is_quiet_once_it_sends_nothing_and_waits_for_nothing() {
        let (reads, start) = (Cell::new(Some(7)), Instant::now());
        quiet(|| reads.get()).await;
        assert_eq!(start.elapsed(), LAST_CALL);

        for busy in [None, Some(8)] {
            let quiet = quiet(|| reads.get());
            let mut quiet = std::pin::pin!(quiet);
            assert!(timeout(LAST_CALL / 2, &mut quiet).await.is_err());
            reads.set(busy);
            assert!(timeout(LAST_CALL, &mut quiet).await.is_err(), "{busy:?}");
            reads.set(Some(9));
            quiet.await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_begins_at_the_end_learns_of_it() {
        let (stopper, mut stop) = channel();
        stopper.stop();
        let mut late = stop.clone();
        for _ in 0..2 {
            stop.begun().await;
            late.begun().await;
        }
        drop((stop, late));
        stopper.ended().await;
    }
}
