//! One request: its id, its context, its invocation, its response.
//!
//! When the client goes away the connection drops the exchange, or the rest of
//! a response that is streamed, which is how its function learns of it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Method, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use super::paced::Paced;
use super::routes::Routes;
use super::untaken::Untaken;
use super::values::Authenticate;
use super::{framing, problem, untaken, values};
use crate::abi::Outlet;
use crate::context::{Cancel, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::headers::{budget, request_id};
use crate::log::{self, Rate};
use crate::message::{Body, BodyError, CLIENT_ADDRESS, REQUEST_ID, Response};
use crate::outcome::Outcome;
use crate::pace::Patience;
use crate::runtime::{Ask, Asked, Asker, Ended, Runtime};

/// What all requests share.
pub(super) struct Front {
    runtime: Runtime,
    routes: Routes,
    authenticate: Option<Box<Authenticate>>,
    untaken: Untaken,
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
    ) -> Self {
        runtime.run_calls_here();
        Self {
            runtime,
            routes,
            authenticate,
            untaken,
            tasks: Handle::current(),
            connections: AtomicU64::new(0),
        }
    }
}

/// What all requests of one connection share. Theirs is a context of its own,
/// so that connections do not meet at the runtime's.
pub(super) struct Connection {
    front: Arc<Front>,
    ctx: Context,
    _end: Cancel,
    number: u64,
    requests: AtomicU32,
    patience: Patience,
}

impl Connection {
    pub(super) fn new(front: Arc<Front>, client: Option<SocketAddr>, patience: Patience) -> Self {
        let (mut ctx, end) = front.runtime.context().with_cancel();
        if let Some(client) = client {
            ctx = ctx.with_value(&CLIENT_ADDRESS, client.ip().to_canonical());
        }
        let number = front.connections.fetch_add(1, Ordering::Relaxed);
        Self { front, ctx, _end: end, number, requests: AtomicU32::new(0), patience }
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
}

impl Exchange {
    pub(super) fn new(connection: Arc<Connection>, mut request: hyper::Request<Incoming>) -> Self {
        let number = connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = request_id::of(request.headers_mut(), connection.number, number);
        let only_head = *request.method() == Method::HEAD;
        name_host(&mut request);
        let text = id.to_str().unwrap_or_default().to_owned();
        let front = &connection.front;
        let route = front.routes.find(request.uri().path());
        let ctx = values::of(
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
                let budget = budget::of(request.headers()).map_or(most, |budget| budget.min(most));
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
            Err(error) => {
                let failed = std::future::ready(Err(failure(&error, &ctx, None)));
                let asker = Asker { ask: connection, cancel: None, detach: Duration::ZERO };
                Asked::new(Box::pin(failed), None, asker)
            }
        };
        Self { asked, id, only_head }
    }
}

impl Future for Exchange {
    type Output = Result<Response, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.asked).poll(cx))?;
        let mut response = ended.unwrap_or_else(|document| document);
        framing::settle(&mut response, self.only_head);
        Poll::Ready(Ok(with_id(response, self.id.clone())))
    }
}

async fn respond(
    connection: Arc<Connection>,
    function: Arc<Entry>,
    ctx: Context,
    request: hyper::Request<Incoming>,
    outlet: Option<Outlet>,
) -> Ended<Arc<Connection>> {
    let Front { runtime, untaken, .. } = &*connection.front;
    let result = match runtime.start(
        &function,
        &ctx,
        request.map(|incoming| body(incoming, connection.patience)),
        outlet,
    ) {
        Ok(running) => running.finish().await,
        Err(error) => Err(error),
    };
    let kept = |(response, usage)| match untaken.keep(response) {
        Ok(response) => Ok((response, usage)),
        Err(outcome) => Err(InvokeError::new(function.name.clone(), outcome, usage)),
    };
    match result.and_then(kept) {
        Ok((response, usage)) => {
            log::success(&function.name, &ctx, None, response.status().as_u16(), usage);
            Ok(response)
        }
        Err(error) => Err(failure(&error, &ctx, Some(&function.failures))),
    }
}

/// Names the host in its header where the request's target does, as every
/// request of HTTP/2 has it: functions find it in one place.
fn name_host<B>(request: &mut hyper::Request<B>) {
    let Some(authority) = request.uri().authority() else { return };
    // Whoever is named before the host is none of a function's business.
    let host = authority.as_str().rsplit('@').next().map(HeaderValue::from_str);
    if let Some(Ok(host)) = host {
        request.headers_mut().insert(HOST, host);
    }
}

fn with_id(mut response: Response, id: HeaderValue) -> Response {
    let id = untaken::kept(&mut response, id);
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
fn body(incoming: Incoming, patience: Patience) -> Body {
    if incoming.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(Paced::new(incoming, patience))
    }
}
