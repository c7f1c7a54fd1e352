//! The admin listener: health, metrics, the invocations in flight, and the
//! dashboard.
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
//! - `page`: the dashboard's page; `dashboard`: the endpoints that it reads.
//! - `metrics`: the metrics as text; `process`: those of the process.
//! - `client`: the client that the program's commands use.

#[cfg(feature = "cli")]
pub(crate) mod client;
mod connections;
mod dashboard;
mod endpoints;
mod guard;
pub(crate) mod listing;
mod metrics;
mod page;
mod process;
mod token;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use self::connections::{ConnectionState, Connections};
use self::dashboard::events::Streams;
use self::endpoints::Endpoints;
use self::guard::AdminGuard;
pub use self::token::{AdminToken, AdminTokenError};
use super::accept::Acceptor;
use super::header_limits::{self, HeaderLimits};
use super::routes::Routes;
use crate::runtime::Runtime;

/// Timeout for the head of an operator's request.
const HEAD: Duration = Duration::from_secs(5);

/// The longest a connection may last, from its first byte to its last, unless
/// its request takes longer. It serves one request.
const LIFETIME: Duration = Duration::from_secs(10);

/// An HTTP/1.1 listener for the operators of a [`Runtime`].
///
/// - `GET /livez` is 200 while the process serves. `GET /readyz` is 200 while
///   the runtime accepts invocations, and 503 once it drains. Both are plain
///   text and need no token.
/// - `GET /` is the dashboard, a page for browsers. It reads the endpoints
///   `/events`, `/requests` and `/functions`, which are documented in
///   `docs/dashboard.md`, and runs functions with
///   `POST /functions/NAME/invoke`.
/// - `GET /metrics` has the [metrics](Runtime::metrics) and those of the
///   process: as OpenMetrics if the `accept` header names it, else in the text
///   format of Prometheus.
/// - `GET /invocations` lists what is in flight, as JSON.
/// - `DELETE /invocations/ID` ends an invocation and everything it started,
///   with [`Cause::Operator`](crate::Cause::Operator), and returns the number
///   of invocations ended.
///
/// With a [token](Self::token) every other request must present it, as
/// `Authorization: Bearer TOKEN`, for which the page asks. Without one, any
/// client that can connect is allowed, except web pages other than the
/// dashboard: a request that a browser marks as one of another origin is
/// refused, and so is one whose host is neither an IP address nor `localhost`.
///
/// A connection serves one request and lasts at most 10 seconds, 5 of them
/// until the request's head has arrived; one with a stream of events or an
/// invocation lasts as long as that. If more than 64 connections are open,
/// the oldest one without a request is closed, so idle connections can't block
/// an operator.
///
/// While a page reads events, the last 256 requests are kept in memory, with
/// the 64 slowest; the last 128 that failed are kept always.
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
    routes: Routes,
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
        let (routes, headers) = (Routes::default(), header_limits::DEFAULT);
        Ok(Self { listener, runtime, routes, token: None, headers })
    }

    /// Sets the routes, for the dashboard to show. Default: none.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
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
        let Self { listener, runtime, routes, token, headers } = self;
        if token.is_none() && !listener.local_addr()?.ip().is_loopback() {
            let reason = "an address that other machines may reach needs a token";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        runtime.recorder().turn_on();
        let (guard, streams) = (AdminGuard(token), Streams::default());
        let endpoints = Arc::new(Endpoints { runtime, routes, guard, headers, streams });
        let mut acceptor = Acceptor::new(listener, "operators");
        let (mut connections, mut stop) = (Connections::default(), pin!(stop));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = connections.ended() => {}
                stream = acceptor.accept() => {
                    connections.add(|state| serve(stream, endpoints.clone(), state));
                }
            }
        }
    }
}

/// Serves one request and records when its head has arrived.
async fn serve(stream: TcpStream, endpoints: Arc<Endpoints>, state: Arc<ConnectionState>) {
    let mut settings = http1::Builder::new();
    endpoints.headers.apply_to_http1(&mut settings);
    let service = service_fn(|request| {
        state.begin();
        let answer = endpoints.answer(request, &state);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = settings
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    loop {
        match tokio::time::timeout(LIFETIME, &mut connection).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => return tracing::debug!(%error, "an operator's connection broke off"),
            Err(_elapsed) if state.is_busy() => {}
            Err(_elapsed) => return tracing::debug!("an operator's connection took too long"),
        }
    }
}
