//! One request: its id, its context, its invocation, its response.
//!
//! An invocation starts on the thread that serves its connection, and most end
//! there, at once. One that has to wait, or that has used up a tick, goes on as
//! a task of the server's tokio runtime, whose threads share the work among
//! them, so that it is in no connection's way.
//!
//! When the client goes away the connection drops the exchange, or the rest of
//! a response that is streamed. The invocation is not dropped with it: its
//! context is canceled with that cause, at once or when the function's `detach`
//! is over, and the rest of its run, at most the grace, goes on in that task.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use http::HeaderValue;
use http::header::HOST;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::client::Client;
use super::pace::{Paced, Patience};
use super::routes::Routes;
use super::streamed::Streamed;
use super::values::Authenticate;
use super::{problem, values};
use crate::abi::Outlet;
use crate::context::{Cancel, Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::headers::{budget, request_id};
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

    /// Where invocations go on that do not end at once.
    pub(super) fn tasks(&self) -> &Handle {
        &self.front.tasks
    }
}

/// How an invocation ended: with its function's response, or with the document
/// that says why there is none.
pub(super) type Ended = Result<Response, Response>;

/// A request on its way to its response. Dropping it before the response is
/// there means that the client went away.
pub(super) struct Exchange {
    task: Task<Ended>,
    /// Where a response comes that begins before the invocation has ended.
    early: Option<oneshot::Receiver<Response>>,
    client: Client,
    id: HeaderValue,
}

impl Exchange {
    pub(super) fn new(connection: Arc<Connection>, mut request: hyper::Request<Incoming>) -> Self {
        let number = connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = request_id::of(request.headers_mut(), connection.number, number);
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
        match front.runtime.find(route.function) {
            Ok(function) => {
                let most = function.limits.timeout;
                let budget = budget::of(request.headers()).map_or(most, |budget| budget.min(most));
                let (ctx, cancel) = ctx.with_timeout(budget);
                let detach = function.limits.detach;
                let (outlet, early) = Outlet::new();
                let running = respond(connection.clone(), function, ctx, request, outlet);
                let running = Box::pin(running);
                let client = Client { connection, cancel: Some(cancel), detach };
                Self { task: Task::New(running), early: Some(early), client, id }
            }
            Err(error) => {
                let response = Box::pin(std::future::ready(Err(failure(&error, &ctx))));
                let client = Client { connection, cancel: None, detach: Duration::ZERO };
                Self { task: Task::New(response), early: None, client, id }
            }
        }
    }

    /// The response that has begun before the invocation's end, if one has.
    fn begun(&mut self, cx: &mut TaskContext<'_>) -> Option<Response> {
        match Pin::new(self.early.as_mut()?).poll(cx) {
            Poll::Ready(begun) => {
                self.early = None;
                begun.ok()
            }
            Poll::Pending => None,
        }
    }

    /// A response that has begun, with the rest of it.
    fn streamed(&mut self, begun: Response, ended: Option<Ended>) -> Response {
        let task = std::mem::replace(&mut self.task, Task::Over);
        let (head, pieces) = begun.into_parts();
        let rest = Streamed { pieces, task, ended, client: self.client.hand_over() };
        Response::from_parts(head, Body::stream(rest))
    }
}

impl Future for Exchange {
    type Output = Result<Response, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let tasks = this.client.connection.tasks();
        let ended = match this.task.poll(cx, |run| tasks.spawn(run)) {
            Poll::Ready(ended) => Some(ended?),
            Poll::Pending => None,
        };
        let response = match (this.begun(cx), ended) {
            // Where it has failed before a byte was sent the client can be told.
            (Some(begun), ended @ (None | Some(Ok(_)))) => this.streamed(begun, ended),
            (_, Some(ended)) => {
                this.client.end(Cause::ParentDone);
                ended.unwrap_or_else(|document| document)
            }
            (None, None) => return Poll::Pending,
        };
        Poll::Ready(Ok(with_id(response, this.id.clone())))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.client.leave(&mut self.task);
    }
}

async fn respond(
    connection: Arc<Connection>,
    function: Arc<Entry>,
    ctx: Context,
    request: hyper::Request<Incoming>,
    outlet: Outlet,
) -> Ended {
    let runtime = &connection.front.runtime;
    let result = match runtime.start(
        &function,
        &ctx,
        request.map(|incoming| body(incoming, connection.patience)),
        outlet,
    ) {
        Ok(running) => running.finish().await,
        Err(error) => Err(error),
    };
    match result {
        Ok((response, usage)) => {
            log::success(&function.name, &ctx, None, response.status().as_u16(), usage);
            Ok(response)
        }
        Err(error) => Err(failure(&error, &ctx)),
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
fn body(incoming: Incoming, patience: Patience) -> Body {
    if incoming.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(Paced::new(incoming, patience))
    }
}
