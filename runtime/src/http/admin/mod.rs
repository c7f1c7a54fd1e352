//! The listener for operators: what is in flight, and an end to it.
//!
//! It is apart from the one for clients, with an address of its own, so that
//! whoever may invoke functions can't thereby end what others invoked.
//!
//! # Layout
//! - [`Admin`]: accepts connections, none for long.
//! - `connections`: those that are open, few at a time.
//! - [`Token`]: what an operator has to show.
//! - `guard`: who is let in.
//! - `endpoints`: what can be asked.
//! - `listing`: an invocation in flight, as JSON.
//! - `client`: asks, for the program's commands.

#[cfg(feature = "cli")]
pub(crate) mod client;
mod connections;
mod endpoints;
mod guard;
pub(crate) mod listing;
mod token;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use self::connections::Connections;
use self::endpoints::Endpoints;
use self::guard::Guard;
pub use self::token::{Token, TokenError};
use super::accept::Acceptor;
use super::header_limits::{self, HeaderLimits};
use crate::runtime::Runtime;

/// How long an operator may take for a request's head.
const HEAD: Duration = Duration::from_secs(5);

/// How long a connection may last, from its first byte to its last. It is for
/// one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// An HTTP/1.1 listener for those who look after a [`Runtime`].
///
/// - `GET /invocations` lists what is in flight, as JSON.
/// - `DELETE /invocations/ID` ends an invocation and all that it started, with
///   [`Cause::Operator`](crate::Cause::Operator), and tells how many that were.
///
/// With a [token](Self::token) every request has to show it, as `Authorization:
/// Bearer TOKEN`. Without one whoever can open a connection is let in, but no
/// web page: a request that a browser marks as a page's is refused, and so is
/// one for a host that is named otherwise than by an IP address or as
/// `localhost`.
///
/// A connection is for one request, and lasts 10 seconds at most, 5 of them
/// until the request's head is there. Of more than 64 connections the oldest one
/// without a request is closed, so that none keeps an operator waiting.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::http::Admin;
///
/// let admin = Admin::bind("127.0.0.1:9090", runtime).await?;
/// admin.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    runtime: Runtime,
    token: Option<Token>,
    headers: HeaderLimits,
}

impl Admin {
    /// Listens on an address; port 0 stands for any free one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: impl ToSocketAddrs, runtime: Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, runtime, token: None, headers: header_limits::DEFAULT })
    }

    /// Sets what every request has to show. Default: nothing, which is allowed
    /// on a loopback address alone.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// How many bytes the head of a request may have, as
    /// [`Server::header_bytes`](super::Server::header_bytes) has it.
    #[must_use]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.headers = self.headers.with_bytes(bytes);
        self
    }

    /// How many header fields a request may have, as
    /// [`Server::header_count`](super::Server::header_count) has it.
    #[must_use]
    pub fn header_count(mut self, count: usize) -> Self {
        self.headers = self.headers.with_count(count);
        self
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` is ready.
    ///
    /// # Errors
    /// `PermissionDenied`, at once, where other machines may reach the address
    /// and there is no token.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connections, as `stop` does. What was
    /// canceled stays so.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, runtime, token, headers } = self;
        if token.is_none() && !listener.local_addr()?.ip().is_loopback() {
            let reason = "an address that other machines may reach needs a token";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let endpoints = Arc::new(Endpoints::new(runtime, Guard::new(token), headers));
        let mut acceptor = Acceptor::new(listener, "operators");
        let (mut connections, mut stop) = (Connections::default(), pin!(stop));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = connections.ended() => {}
                stream = acceptor.accept() => {
                    connections.add(|asked| serve(stream, endpoints.clone(), asked));
                }
            }
        }
    }
}

/// Serves one request, and notes when its head has come. Its body is not read.
async fn serve(stream: TcpStream, endpoints: Arc<Endpoints>, asked: Arc<AtomicBool>) {
    let mut settings = http1::Builder::new();
    endpoints.headers.apply_to_http1(&mut settings);
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let answer = endpoints.answer(&request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = settings
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection broke off"),
        Err(_elapsed) => tracing::debug!("an operator's connection took too long"),
    }
}
