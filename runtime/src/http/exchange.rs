//! One request: its id, its context, its invocation, its response.
//!
//! If the client disconnects, the connection drops the exchange, or the rest of
//! a streaming response, and the invocation is canceled.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Method, Version};
use http_body::Body as _;
use tokio::runtime::Handle;

use super::context_values::Authenticate;
use super::header_limits::HeaderLimits;
use super::linger::Lingering;
use super::refusal::Refusal;
use super::request_body::Paced;
use super::routes::Routes;
use super::{context_values, index, problem, response_head};
use crate::body::{Body, CLIENT_ADDRESS, Response};
use crate::context::Context;
use crate::error::InvokeError;
use crate::limits::stall::StallLimits;
use crate::log;
use crate::outcome::Outcome;
use crate::propagation::{request_id, timeout};
use crate::runtime::response_budget::{self, ResponseBudget};
use crate::runtime::{Call, Caller, InFlight, Runtime};

/// The state that all requests share.
pub(super) struct Front {
    pub(super) runtime: Runtime,
    pub(super) routes: Routes,
    pub(super) authenticate: Option<Box<Authenticate>>,
    pub(super) responses: ResponseBudget,
    pub(super) headers: HeaderLimits,
    /// The scheme of the server's URLs, if the functions are listed at `/`.
    pub(super) listing: Option<&'static str>,
    /// The clients that keep sending after their responses.
    pub(super) lingering: Arc<Lingering>,
    /// Where invocations continue if they do not finish at once.
    pub(super) tasks: Handle,
    /// The number of connections so far.
    pub(super) connections: AtomicU64,
}

/// The state that all requests of one connection share. Each connection has its
/// own context, so connections do not contend for the runtime's.
pub(super) struct Connection {
    pub(super) front: Arc<Front>,
    ctx: Context,
    number: u64,
    requests: AtomicU32,
    caller: Arc<Caller>,
    pub(super) stall_limits: StallLimits,
    /// Whether the client may still send a body of HTTP/1.1 that was dropped
    /// unread.
    pub(super) unread: Arc<AtomicBool>,
}

impl Connection {
    pub(super) fn new(
        front: Arc<Front>,
        client: Option<SocketAddr>,
        stall_limits: StallLimits,
    ) -> Self {
        let (mut ctx, end) = front.runtime.context().with_cancel();
        if let Some(client) = client {
            ctx = ctx.with_value(&CLIENT_ADDRESS, client.ip().to_canonical());
        }
        let number = front.connections.fetch_add(1, Ordering::Relaxed);
        let caller = Arc::new(Caller {
            runtime: front.runtime.clone(),
            tasks: front.tasks.clone(),
            responses: Some(front.responses.clone()),
            _end: Some(end),
        });
        let (requests, unread) = (AtomicU32::new(0), Arc::default());
        Self { front, ctx, number, requests, caller, stall_limits, unread }
    }

    /// Whether an invocation is in flight for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.ctx.children() > 0
    }
}

/// A request on its way to its response. Dropping it before the response is
/// ready means that the client has disconnected.
pub(super) struct Exchange {
    answer: Answer,
    /// The request's id, which the response repeats.
    id: HeaderValue,
    /// Whether the client asked only for the response's head.
    only_head: bool,
    /// Whether the connection closes after the response, which only HTTP/1.1
    /// announces.
    closes: bool,
}

/// The source of a response.
enum Answer {
    Function(InFlight),
    /// A problem document instead of an invocation, until it is taken.
    Document(Option<Response>),
}

impl Exchange {
    pub(super) fn new(connection: &Connection, mut request: hyper::Request<Paced>) -> Self {
        let front = &connection.front;
        let refusal = Refusal::of(&request, front.headers);
        let number = connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = request_id::extract(request.headers_mut(), connection.number, number);
        let only_head = *request.method() == Method::HEAD;
        if let Some(refusal) = refusal {
            tracing::debug!(%refusal, "a request was refused");
            // The end of a malformed request is unknown.
            let closes = request.version() < Version::HTTP_2;
            let answer = Answer::Document(Some(refusal.response()));
            return Self { answer, id, only_head, closes };
        }
        name_host(&mut request);
        if let Some(scheme) = front.listing
            && index::is_requested(&request, &front.routes)
        {
            let functions = (&front.runtime, &front.routes);
            let index = index::response(request.headers(), functions, scheme, &front.responses);
            return Self { answer: Answer::Document(Some(index)), id, only_head, closes: false };
        }
        let answer = match invoke(connection, request, &id) {
            Ok(in_flight) => Answer::Function(in_flight),
            Err((error, ctx)) => {
                let status = error.outcome().status().as_u16();
                log::failure(&error, &ctx, None, Some(status), None);
                Answer::Document(Some(failure(&error, &id)))
            }
        };
        Self { answer, id, only_head, closes: false }
    }
}

/// Starts the invocation of a request.
fn invoke(
    connection: &Connection,
    request: hyper::Request<Paced>,
    id: &HeaderValue,
) -> Result<InFlight, (InvokeError, Context)> {
    let front = &connection.front;
    let uri = request.uri().clone();
    let route = front.routes.find(uri.path());
    let (headers, id) = (request.headers(), text(id).to_owned());
    let authenticate = front.authenticate.as_deref();
    let ctx = context_values::of(&connection.ctx, id, &route, headers, authenticate);
    if !route.is_served {
        return Err((InvokeError::refused(route.function.into(), Outcome::NotFound), ctx));
    }
    let call = Call {
        ctx: &ctx,
        timeout: timeout::extract(headers),
        // A client of HTTP/1.0 takes the end of the connection for the end of a
        // body without a length: a truncated body would look complete.
        streams: request.version() != Version::HTTP_10,
        request: request.map(body),
    };
    connection.caller.invoke(route.function, call).map_err(|error| (error, ctx))
}

impl Future for Exchange {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut response = match &mut this.answer {
            Answer::Function(in_flight) => match ready!(Pin::new(in_flight).poll(cx)) {
                Ok(response) => response,
                Err(error) => failure(&error, &this.id),
            },
            Answer::Document(document) => document.take().unwrap_or_default(),
        };
        response_head::settle(&mut response, this.only_head);
        if this.closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let id = response_budget::kept(&mut response, this.id.clone());
        response.headers_mut().insert(request_id::HEADER, id);
        Poll::Ready(Ok(response))
    }
}

/// The problem document of a failed invocation.
fn failure(error: &InvokeError, id: &HeaderValue) -> Response {
    problem::response(error, text(id))
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// Sets the `host` header from the request's target, if the target names a
/// host, as every HTTP/2 request does: functions find the host in one place.
fn name_host<B>(request: &mut hyper::Request<B>) {
    let Some(authority) = request.uri().authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
}

/// The body as the runtime takes it. A body known to be empty is not waited
/// for.
fn body(paced: Paced) -> Body {
    if paced.is_end_stream() { Body::empty() } else { Body::stream(paced) }
}
