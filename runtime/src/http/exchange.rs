//! One request: its id, its context, its invocation, its response.
//!
//! When the client goes away the connection drops the exchange, or the rest of
//! a response that is streamed, which is how its function learns of it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Method, Version};
use http_body::Body as _;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use super::context_values::Authenticate;
use super::header_limits::HeaderLimits;
use super::linger::Lingering;
use super::refusal::Refusal;
use super::request_body::Paced;
use super::response_budget::Untaken;
use super::routes::Routes;
use super::{context_values, problem, response_budget, response_head};
use crate::body::{Body, BodyError, CLIENT_ADDRESS, REQUEST_ID, Response};
use crate::context::{Cancel, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::Outlet;
use crate::limits::stall::Patience;
use crate::log::{self, Rate};
use crate::outcome::Outcome;
use crate::propagation::{request_id, timeout};
use crate::runtime::{Ask, Asked, Asker, Ended, Runtime};

/// What all requests share.
pub(super) struct Front {
    runtime: Runtime,
    routes: Routes,
    authenticate: Option<Box<Authenticate>>,
    untaken: Untaken,
    pub(super) headers: HeaderLimits,
    /// The clients that go on sending after their answers.
    pub(super) lingering: Arc<Lingering>,
    /// Where invocations go on that do not end at once.
    tasks: Handle,
    connections: AtomicU64,
}

impl Front {
    /// To be called on the tokio runtime whose tasks longer invocations become.
    pub(super) fn new(
        runtime: Runtime,
        routes: Routes,
        authenticate: Option<Box<Authenticate>>,
        untaken: Untaken,
        headers: HeaderLimits,
    ) -> Self {
        runtime.run_calls_here();
        Self {
            runtime,
            routes,
            authenticate,
            untaken,
            headers,
            lingering: Arc::default(),
            tasks: Handle::current(),
            connections: AtomicU64::new(0),
        }
    }
}

/// What all requests of one connection share. Theirs is a context of its own,
/// so that connections do not meet at the runtime's.
pub(super) struct Connection {
    pub(super) front: Arc<Front>,
    ctx: Context,
    _end: Cancel,
    number: u64,
    requests: AtomicU32,
    pub(super) patience: Patience,
    /// Whether the client may still send a body of HTTP/1.1 that was dropped.
    pub(super) unread: Arc<AtomicBool>,
}

impl Connection {
    pub(super) fn new(front: Arc<Front>, client: Option<SocketAddr>, patience: Patience) -> Self {
        let (mut ctx, end) = front.runtime.context().with_cancel();
        if let Some(client) = client {
            ctx = ctx.with_value(&CLIENT_ADDRESS, client.ip().to_canonical());
        }
        let number = front.connections.fetch_add(1, Ordering::Relaxed);
        let (requests, unread) = (AtomicU32::new(0), Arc::default());
        Self { front, ctx, _end: end, number, requests, patience, unread }
    }

    /// Whether a function is under way for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.ctx.children() > 0
    }
}

impl Ask for Arc<Connection> {
    /// The document that says why there is no response.
    type Failure = Response;

    fn tasks(&self) -> &Handle {
        &self.front.tasks
    }

    fn broken_off(_document: Response) -> BodyError {
        Aborted.into()
    }
}

/// The function failed when a part of its response had gone out.
#[derive(Debug, thiserror::Error)]
#[error("the function failed in the middle of its response")]
struct Aborted;

/// A request on its way to its response. Dropping it before the response is
/// there means that the client went away.
pub(super) struct Exchange {
    asked: Asked<Arc<Connection>>,
    id: HeaderValue,
    /// Whether the client wants nothing but the response's head.
    only_head: bool,
    /// Whether the connection ends with the response. Only HTTP/1.1 says so.
    closes: bool,
}

impl Exchange {
    pub(super) fn new(connection: Arc<Connection>, mut request: hyper::Request<Paced>) -> Self {
        let refusal = Refusal::of(&request, connection.front.headers);
        let number = connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = request_id::of(request.headers_mut(), connection.number, number);
        let only_head = *request.method() == Method::HEAD;
        if let Some(refusal) = refusal {
            tracing::debug!(%refusal, "a request was refused");
            // Where a request ends that is no HTTP is anybody's guess.
            let closes = request.version() < Version::HTTP_2;
            let asked = answered(connection, refusal.response());
            return Self { asked, id, only_head, closes };
        }
        name_host(&mut request);
        let text = id.to_str().unwrap_or_default().to_owned();
        let front = &connection.front;
        let route = front.routes.find(request.uri().path());
        let ctx = context_values::of(
            &connection.ctx,
            text,
            &route,
            request.headers(),
            front.authenticate.as_deref(),
        );
        let found = if route.is_served {
            front.runtime.find(route.function)
        } else {
            Err(InvokeError::refused(route.function.into(), Outcome::NotFound))
        };
        let asked = match found {
            Ok(function) => {
                let most = function.limits.timeout;
                let budget =
                    timeout::extract(request.headers()).map_or(most, |budget| budget.min(most));
                let (ctx, cancel) = ctx.with_timeout(budget);
                let detach = function.limits.detach;
                // To a client of HTTP/1.0 a body of no known length ends as the
                // connection does: one that breaks off would look complete.
                let streams = request.version() != Version::HTTP_10;
                let (outlet, early) = streams.then(Outlet::new).unzip();
                let running = respond(connection.clone(), function, ctx, request, outlet);
                let asker = Asker { ask: connection, cancel: Some(cancel), detach };
                Asked::new(Box::pin(running), early, asker)
            }
            Err(error) => answered(connection, failure(&error, &ctx, None)),
        };
        Self { asked, id, only_head, closes: false }
    }
}

/// A request that is answered without a function.
fn answered(connection: Arc<Connection>, document: Response) -> Asked<Arc<Connection>> {
    let asker = Asker { ask: connection, cancel: None, detach: Duration::ZERO };
    Asked::new(Box::pin(std::future::ready(Err(document))), None, asker)
}

impl Future for Exchange {
    type Output = Result<Response, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.asked).poll(cx))?;
        let mut response = ended.unwrap_or_else(|document| document);
        response_head::settle(&mut response, self.only_head);
        if self.closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(with_id(response, self.id.clone())))
    }
}

async fn respond(
    connection: Arc<Connection>,
    function: Arc<Entry>,
    ctx: Context,
    request: hyper::Request<Paced>,
    outlet: Option<Outlet>,
) -> Ended<Arc<Connection>> {
    let Front { runtime, untaken, .. } = &*connection.front;
    let result = match runtime.start(&function, &ctx, request.map(body), outlet) {
        Ok(running) => running.finish().await,
        Err(error) => Err(error),
    };
    let kept = |(response, usage)| match untaken.keep(response) {
        Ok(response) => Ok((response, usage)),
        Err(outcome) => Err(InvokeError::new(function.name.clone(), outcome, usage)),
    };
    match result.and_then(kept) {
        Ok((response, usage)) => {
            let (status, rate) = (response.status().as_u16(), &function.failures);
            log::success(&function.name, &ctx, None, status, usage, Some(rate));
            Ok(response)
        }
        Err(error) => Err(failure(&error, &ctx, Some(&function.failures))),
    }
}

/// Names the host in its header where the request's target does, as every
/// request of HTTP/2 has it: functions find it in one place.
fn name_host<B>(request: &mut hyper::Request<B>) {
    let Some(authority) = request.uri().authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
}

fn with_id(mut response: Response, id: HeaderValue) -> Response {
    let id = response_budget::kept(&mut response, id);
    response.headers_mut().insert(request_id::HEADER, id);
    response
}

/// Turns a failed invocation into what the client gets.
fn failure(error: &InvokeError, ctx: &Context, rate: Option<&Rate>) -> Response {
    let status = error.outcome().status().as_u16();
    log::failure(error, ctx, None, Some(status), rate);
    problem::response(error, &ctx.value(&REQUEST_ID).unwrap_or_default())
}

/// The body as the runtime takes it. One that is known to be empty is not
/// waited for.
fn body(paced: Paced) -> Body {
    if paced.is_end_stream() { Body::empty() } else { Body::stream(paced) }
}
