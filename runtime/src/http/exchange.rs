//! One request: its id, its context, its invocation, its response.
//!
//! An invocation starts on the thread that serves its connection, and most end
//! there, at once. One that has to wait, or that has used up a tick, goes on as
//! a task of the server's tokio runtime, whose threads share the work among
//! them, so that it is in no connection's way.
//!
//! When the client goes away the connection drops the exchange. The invocation
//! is not dropped with it: its context is canceled with that cause, at once or
//! when the function's `detach` is over, and the rest of its run, at most the
//! grace, goes on in that task.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use http::HeaderValue;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use super::routes::Routes;
use super::values::Authenticate;
use super::{budget, problem, request_id, values};
use crate::context::{Cancel, Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::log;
use crate::message::{Body, CLIENT_ADDRESS, REQUEST_ID, Response};
use crate::runtime::Runtime;
use crate::task::Task;

/// What all requests share.
pub(super) struct Front {
    runtime: Runtime,
    routes: Routes,
    authenticate: Option<Box<Authenticate>>,
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
    ) -> Self {
        runtime.run_calls_here();
        Self {
            runtime,
            routes,
            authenticate,
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
}

impl Connection {
    pub(super) fn new(front: Arc<Front>, client: Option<SocketAddr>) -> Self {
        let (mut ctx, end) = front.runtime.context().with_cancel();
        if let Some(client) = client {
            ctx = ctx.with_value(&CLIENT_ADDRESS, client.ip().to_canonical());
        }
        let number = front.connections.fetch_add(1, Ordering::Relaxed);
        Self { front, ctx, _end: end, number, requests: AtomicU32::new(0) }
    }
}

/// A request on its way to its response. Dropping it before the response is
/// there means that the client went away.
pub(super) struct Exchange {
    connection: Arc<Connection>,
    task: Task<Response>,
    /// The end of the invocation's context.
    cancel: Option<Cancel>,
    /// How long it may go on without its client.
    detach: Duration,
}

impl Exchange {
    pub(super) fn new(connection: Arc<Connection>, mut request: hyper::Request<Incoming>) -> Self {
        let number = connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = request_id::of(request.headers_mut(), connection.number, number);
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
        match front.runtime.find(route.function) {
            Ok(function) => {
                let most = function.limits.timeout;
                let budget = budget::of(request.headers()).map_or(most, |budget| budget.min(most));
                let (ctx, cancel) = ctx.with_timeout(budget);
                let detach = function.limits.detach;
                let running = Box::pin(respond(connection.clone(), function, ctx, request, id));
                Self { connection, task: Task::New(running), cancel: Some(cancel), detach }
            }
            Err(error) => {
                let response = Box::pin(std::future::ready(with_id(failure(&error, &ctx), id)));
                let detach = Duration::ZERO;
                Self { connection, task: Task::New(response), cancel: None, detach }
            }
        }
    }

    /// Ends the invocation's context, once.
    fn end(&mut self, cause: Cause) {
        if let Some(cancel) = self.cancel.take() {
            cancel.cancel_with(cause);
        }
    }
}

impl Future for Exchange {
    type Output = Result<Response, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Self { connection, task, .. } = &mut *self;
        let response = ready!(task.poll(cx, |run| connection.front.tasks.spawn(run)));
        self.end(Cause::ParentDone);
        Poll::Ready(response)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.task.is_under_way() {
            return;
        }
        let tasks = &self.connection.front.tasks;
        self.task.spawn(|run| tasks.spawn(run));
        let (Some(cancel), detach) = (self.cancel.take(), self.detach) else { return };
        if detach.is_zero() {
            return cancel.cancel_with(Cause::ClientDisconnected);
        }
        let task = std::mem::replace(&mut self.task, Task::Over);
        tasks.spawn(async move {
            // Where it has not ended by then, it is told so now.
            let _ = tokio::time::timeout(detach, task.join()).await;
            cancel.cancel_with(Cause::ClientDisconnected);
        });
    }
}

async fn respond(
    connection: Arc<Connection>,
    function: Arc<Entry>,
    ctx: Context,
    request: hyper::Request<Incoming>,
    id: HeaderValue,
) -> Response {
    let result = match connection.front.runtime.start(&function, &ctx, request.map(body)) {
        Ok(running) => running.finish().await,
        Err(error) => Err(error),
    };
    let response = match result {
        Ok((response, usage)) => {
            log::success(&function.name, &ctx, None, response.status(), usage);
            response
        }
        Err(error) => failure(&error, &ctx),
    };
    with_id(response, id)
}

fn with_id(mut response: Response, id: HeaderValue) -> Response {
    response.headers_mut().insert(request_id::HEADER, id);
    response
}

/// Turns a failed invocation into what the client gets.
fn failure(error: &InvokeError, ctx: &Context) -> Response {
    let status = problem::status(error.outcome()).as_u16();
    log::failure(error, ctx, None, Some(status));
    problem::response(error, &ctx.value(&REQUEST_ID).unwrap_or_default())
}

/// The body as the runtime takes it. One that is known to be empty is not
/// waited for.
fn body(incoming: Incoming) -> Body {
    if incoming.is_end_stream() { Body::empty() } else { Body::stream(incoming) }
}
