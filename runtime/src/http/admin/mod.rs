//! The admin listener: health, metrics, and the invocations in flight.
//!
//! It is separate from the listener for clients and has its own address, so
//! permission to invoke functions does not include permission to cancel the
//! invocations of others.
//!
//! # Layout
//! - [`Admin`]: accepts short-lived connections.
//! - `connections`: the bounded set of open connections.
//! - [`AdminToken`]: the secret that an operator presents.
//! - `guard`: authorizes requests.
//! - `endpoints`: the requests it answers.
//! - `listing`: an invocation in flight, as JSON.
//! - `metrics`: the metrics as text; `process`: those of the process.
//! - `client`: the client that the program's commands use.

#[cfg(feature = "cli")]
pub(crate) mod client;
mod connections;
mod endpoints;
mod guard;
pub(crate) mod listing;
mod metrics;
mod process;
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
use self::guard::AdminGuard;
pub use self::token::{AdminToken, AdminTokenError};
use super::accept::Acceptor;
use super::header_limits::{self, HeaderLimits};
use crate::runtime::Runtime;

/// Timeout for the head of an operator's request.
const HEAD: Duration = Duration::from_secs(5);

/// The longest a connection may last, from its first byte to its last. It
/// serves one request.
const LIFETIME: Duration = Duration::from_secs(10);

/// An HTTP/1.1 listener for the operators of a [`Runtime`].
///
/// - `GET /livez` is 200 while the process serves. `GET /readyz` is 200 while
///   the runtime accepts invocations, and 503 once it drains. Both are plain
///   text and need no token.
/// - `GET /metrics` has the [metrics](Runtime::metrics) and those of the
///   process: as OpenMetrics if the `accept` header names it, else in the text
///   format of Prometheus.
/// - `GET /invocations` lists what is in flight, as JSON.
/// - `DELETE /invocations/ID` ends an invocation and everything it started,
///   with [`Cause::Operator`](crate::Cause::Operator), and returns the number
///   of invocations ended.
///
/// With a [token](Self::token) every other request must present it, as
/// `Authorization: Bearer TOKEN`. Without one, any client that can connect is
/// allowed, except web pages: a request that a browser marks as a page's is
/// refused, and so is one whose host is neither an IP address nor `localhost`.
///
/// A connection serves one request and lasts at most 10 seconds, 5 of them
/// until the request's head has arrived. If more than 64 connections are open,
/// the oldest one without a request is closed, so idle connections can't block
/// an operator.
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
    token: Option<AdminToken>,
    headers: HeaderLimits,
}

impl Admin {
    /// Listens on an address; port 0 selects any free port.
    ///
    /// # Errors
    /// The system's error.
    pub async fn bind(address: impl ToSocketAddrs, runtime: Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, runtime, token: None, headers: header_limits::DEFAULT })
    }

    /// Sets the token that every request must present. Default: none, which is
    /// allowed only on a loopback address.
    #[must_use]
    pub fn token(mut self, token: AdminToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets the largest head of a request, in bytes, like
    /// [`Server::header_bytes`](super::Server::header_bytes).
    #[must_use]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.headers = self.headers.with_bytes(bytes);
        self
    }

    /// Sets the most header fields of a request, like
    /// [`Server::header_count`](super::Server::header_count).
    #[must_use]
    pub fn header_count(mut self, count: usize) -> Self {
        self.headers = self.headers.with_count(count);
        self
    }

    /// The address this listens on.
    ///
    /// # Errors
    /// The system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` is ready.
    ///
    /// # Errors
    /// `PermissionDenied`, immediately, if other machines can reach the address
    /// and there is no token.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connections, as `stop` does.
    /// Cancellations already made are not undone.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, runtime, token, headers } = self;
        if token.is_none() && !listener.local_addr()?.ip().is_loopback() {
            let reason = "an address that other machines may reach needs a token";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let endpoints = Arc::new(Endpoints { runtime, guard: AdminGuard(token), headers });
        let mut acceptor = Acceptor::new(listener, "operators");
        let (mut connections, mut stop) = (Connections::default(), pin!(stop));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = connections.ended() => {}
                stream = acceptor.accept() => {
                    connections.add(|begun| serve(stream, endpoints.clone(), begun));
                }
            }
        }
    }
}

/// Serves one request and records when its head has arrived. Its body is not
/// read.
async fn serve(stream: TcpStream, endpoints: Arc<Endpoints>, begun: Arc<AtomicBool>) {
    let mut settings = http1::Builder::new();
    endpoints.headers.apply_to_http1(&mut settings);
    let service = service_fn(move |request| {
        begun.store(true, Ordering::Relaxed);
        let answer = endpoints.answer(&request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = settings
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(LIFETIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection broke off"),
        Err(_elapsed) => tracing::debug!("an operator's connection took too long"),
    }
}
