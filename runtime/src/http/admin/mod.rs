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
//! - `deploys`: those that change functions, with their `parameters`, the `upload`
//!   of a module, the deploys in progress (`claims`), and their results
//!   (`deployment`, `refused`).
//! - `listing`: an invocation in flight, as JSON.
//! - `page`: the dashboard's page; `dashboard`: the endpoints that it reads.
//! - `jobs`: the jobs of a queue; `schedules`: the schedules.
//! - `metrics`: the metrics as text; `exemplars`: their traces; `process`: those of
//!   the process.
//! - `client`: the client that the program's commands use.

mod claims;
#[cfg(feature = "cli")]
pub(crate) mod client;
mod connections;
mod dashboard;
pub(crate) mod deployment;
mod deploys;
mod endpoints;
mod exemplars;
mod guard;
#[cfg(feature = "jobs")]
mod jobs;
pub(crate) mod listing;
mod metrics;
mod page;
mod parameters;
mod process;
mod refused;
#[cfg(feature = "jobs")]
mod schedules;
mod token;
mod upload;

use std::convert::Infallible;
use std::error::Error;
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
use self::deploys::Deploys;
use self::endpoints::Endpoints;
use self::guard::AdminGuard;
pub use self::token::{AdminToken, AdminTokenError};
use super::accept::Acceptor;
use super::header_limits::{self, HeaderLimits};
use super::route_table::RouteTable;
use crate::function::Function;
#[cfg(feature = "jobs")]
use crate::jobs::{Jobs, Schedules};
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
/// - `PUT /functions/NAME` deploys the module in its body, and
///   `DELETE /functions/NAME` removes the function. `GET /functions/NAME/versions`
///   lists its versions, `POST /functions/NAME/rollback` returns to one, and
///   `POST /functions/NAME/canary` sets the share of a canary. `POST /reload` calls
///   what [`on_reload`](Self::on_reload) has set. `docs/deploy.md` has their
///   parameters and responses.
/// - `DELETE /invocations/ID` ends an invocation and everything it started,
///   with [`Cause::Operator`](crate::Cause::Operator), and returns the number
///   of invocations ended.
/// - `GET /jobs` and `GET /jobs/ID` show the jobs of a [queue](Self::jobs), `POST
///   /jobs/ID/retry` queues one again, and `DELETE /jobs/ID` removes one.
/// - `GET /schedules` lists [schedules](Self::schedules).
///
/// With a [token](Self::token) every other request must present it, as
/// `Authorization: Bearer TOKEN`, for which the page asks. Without one, any
/// client that can connect is allowed, except web pages other than the
/// dashboard: a request that a browser marks as one of another origin is
/// refused, and so is one whose host is neither an IP address nor `localhost`.
///
/// A connection serves one request and lasts at most 10 seconds, 5 of them
/// until the request's head has arrived; one with a stream of events, a deploy
/// or an invocation lasts as long as that. If more than 64 connections are open,
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
    routes: RouteTable,
    deploys: Deploys,
    token: Option<AdminToken>,
    headers: HeaderLimits,
    #[cfg(feature = "jobs")]
    jobs: Option<Jobs>,
    #[cfg(feature = "jobs")]
    schedules: Option<Schedules>,
}

impl Admin {
    /// Listens on an address; port 0 selects any free port.
    ///
    /// # Errors
    /// The system's error.
    pub async fn bind(address: impl ToSocketAddrs, runtime: Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (routes, headers) = (RouteTable::default(), header_limits::DEFAULT);
        Ok(Self {
            listener,
            runtime,
            routes,
            deploys: Deploys::default(),
            token: None,
            headers,
            #[cfg(feature = "jobs")]
            jobs: None,
            #[cfg(feature = "jobs")]
            schedules: None,
        })
    }

    /// Sets the routes, for the dashboard to show. Default: none.
    #[must_use]
    pub fn routes(mut self, routes: impl Into<RouteTable>) -> Self {
        self.routes = routes.into();
        self
    }

    /// Sets how a function with a new name is made of its module. Default: with
    /// the default settings. A module under the name of a deployed function gets
    /// the settings of that. `make` may block.
    #[must_use]
    pub fn on_new_function<F, E>(mut self, make: F) -> Self
    where
        F: Fn(&str, Arc<[u8]>) -> Result<Function, E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.deploys.new_function =
            Some(Arc::new(move |name, wasm| make(name, wasm).map_err(Into::into)));
        self
    }

    /// Sets what `POST /reload` does. It returns the changes for the operator, or
    /// why nothing has changed. Default: the request is refused. `reload` may
    /// block.
    #[must_use]
    pub fn on_reload<F, E>(mut self, reload: F) -> Self
    where
        F: Fn() -> Result<Vec<String>, E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.deploys.reload = Some(Arc::new(move || reload().map_err(Into::into)));
        self
    }

    /// Sets the queue whose jobs are listed at `/jobs`. Default: none.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub fn jobs(mut self, jobs: Jobs) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Sets the schedules that are listed at `/schedules`. Default: none.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub fn schedules(mut self, schedules: Schedules) -> Self {
        self.schedules = Some(schedules);
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
        #[cfg(feature = "jobs")]
        let (jobs, schedules) = (self.jobs, self.schedules);
        let Self { listener, runtime, routes, deploys, token, headers, .. } = self;
        if token.is_none() && !listener.local_addr()?.ip().is_loopback() {
            let reason = "an address that other machines may reach needs a token";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        runtime.recorder().turn_on();
        let (guard, streams) = (AdminGuard(token), Streams::default());
        let endpoints = Arc::new(Endpoints {
            runtime,
            routes,
            deploys,
            guard,
            headers,
            streams,
            #[cfg(feature = "jobs")]
            jobs,
            #[cfg(feature = "jobs")]
            schedules,
        });
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
