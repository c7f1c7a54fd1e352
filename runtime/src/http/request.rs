//! One request: its id, its context, its invocation, its response.
//!
//! If the client disconnects, the connection drops the future, or the rest of
//! a streaming response, and the invocation is canceled.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Body as _;

use super::refusal::Refusal;
use super::request_body::RequestBody;
use super::reserved::{Answering, Exchange, Reserved};
use super::routes::Match;
use super::server::ServerState;
use super::socket::Inbound;
use super::{health, index, problem, response_head};
use crate::body::{Body, CLIENT_ADDRESS, PRINCIPAL, REQUEST_ID, ROUTE_PREFIX, Response};
use crate::context::{Context, Key};
use crate::error::InvokeError;
use crate::log;
use crate::log::access::AccessRecord;
use crate::outcome::Outcome;
use crate::propagation::trace::{TRACE, TRACE_STATE};
use crate::propagation::{baggage, headers};
use crate::runtime::response_budget;
use crate::runtime::{Call, Caller, InFlight};
use crate::telemetry::recorder::RequestSpan;
use crate::telemetry::spans;

/// The state that all requests of one connection share. Each connection has its
/// own context, so connections do not contend for the runtime's.
pub(super) struct ClientConnection {
    pub(super) state: Arc<ServerState>,
    ctx: Context,
    number: u64,
    requests: AtomicU32,
    caller: Arc<Caller>,
    /// Shared with the socket.
    pub(super) inbound: Arc<Inbound>,
}

impl ClientConnection {
    pub(super) fn new(state: Arc<ServerState>, client: Option<SocketAddr>) -> Self {
        let (mut ctx, end) = state.runtime.context().with_cancel();
        if let Some(client) = client {
            ctx = ctx.with_value(&CLIENT_ADDRESS, client.ip().to_canonical());
        }
        let number = state.connections.fetch_add(1, Ordering::Relaxed);
        let caller = Arc::new(Caller {
            runtime: state.runtime.clone(),
            tasks: state.tasks.clone(),
            responses: Some(state.responses.clone()),
            access_log: state.access_log.clone(),
            _end: Some(end),
        });
        let (requests, inbound) = (AtomicU32::new(0), Arc::default());
        Self { state, ctx, number, requests, caller, inbound }
    }

    /// Whether an invocation is in flight for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.ctx.children() > 0
    }
}

/// A request on its way to its response. Dropping it before the response is
/// ready means that the client has disconnected.
pub(super) struct RequestFuture {
    connection: Arc<ClientConnection>,
    source: ResponseSource,
    /// The request's id, which the response repeats.
    id: HeaderValue,
    /// Whether the client asked only for the response's head.
    only_head: bool,
    version: Version,
    /// Whether the end of the request is unknown.
    is_malformed: bool,
    /// The request's record in the access log, unless the invocation has it.
    access: Option<Box<AccessRecord>>,
}

/// The source of a response.
enum ResponseSource {
    Function(InFlight),
    /// A document of the host instead of an invocation, until it is taken.
    Document(Option<Response>),
    /// A response of the host that takes time.
    Reserved(Answering),
}

impl RequestFuture {
    pub(super) fn new(
        connection: &Arc<ClientConnection>,
        mut request: hyper::Request<RequestBody>,
    ) -> Self {
        let refusal = Refusal::of(&request, connection.state.headers);
        let number = connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = headers::request_id(request.headers_mut(), connection.number, number);
        let only_head = *request.method() == Method::HEAD;
        let (version, is_malformed) = (request.version(), refusal.is_some());
        let log = connection.caller.access_log.as_ref();
        let mut access = log.map(|_| Box::new(AccessRecord::new(&request, &connection.ctx, &id)));
        let source = match refusal {
            Some(refusal) => {
                tracing::debug!(%refusal, "a request was refused");
                ResponseSource::Document(Some(refusal.response()))
            }
            None => invoke(connection, request, &id, &mut access),
        };
        let connection = connection.clone();
        Self { connection, source, id, only_head, version, is_malformed, access }
    }
}

/// Starts the invocation of a request, if it leads to a function.
fn invoke(
    connection: &ClientConnection,
    mut request: hyper::Request<RequestBody>,
    id: &HeaderValue,
    access: &mut Option<Box<AccessRecord>>,
) -> ResponseSource {
    name_host(&mut request);
    let state = &connection.state;
    let routes = state.routes.read();
    if state.listing && index::is_requested(&request, &routes) {
        let index = index::response(request.headers(), state, &routes);
        return ResponseSource::Document(Some(index));
    }
    if let Some(below) = &state.health
        && let Some(health) = health::response(&request, below, &state.runtime)
    {
        return ResponseSource::Document(Some(health));
    }
    let uri = request.uri().clone();
    let route = routes.find(uri.path());
    let ctx = context(connection, &route, request.headers(), id);
    let (ctx, span) = request_span(connection, ctx, &route, &request);
    if let Some(record) = access {
        record.set_context(&ctx, route.pattern);
    }
    if let Some(reserved) = Reserved::find(state, &routes, uri.path()) {
        let (request_id, state) = (text(id).to_owned(), state.clone());
        let exchange = Exchange { state, ctx, request: request.map(body), request_id, span };
        return ResponseSource::Reserved(reserved.answer(exchange));
    }
    let found = if route.is_served {
        connection.caller.find(route.function)
    } else {
        Err(InvokeError::refused(route.function.into(), Outcome::NotFound))
    };
    drop(routes);
    match found {
        Ok(function) => {
            let trace = || span.as_ref().map(|span| span.trace).or_else(|| ctx.value(&TRACE));
            let call = Call {
                traced: spans::request(&request, text(id), trace),
                ctx: &ctx,
                timeout: headers::timeout(request.headers()),
                // A client of HTTP/1.0 takes the end of the connection for the
                // end of a body without a length: a truncated body would look
                // complete.
                streams: request.version() != Version::HTTP_10,
                request: request.map(body),
                span,
                access: access.take(),
            };
            ResponseSource::Function(connection.caller.invoke(function, call))
        }
        Err(error) => {
            let status = error.outcome().status().as_u16();
            log::failure(&error, &ctx, None, Some(status), None);
            if let Some(record) = access {
                record.set_outcome(error.outcome());
            }
            state.runtime.export_refused(&ctx, &error, span);
            ResponseSource::Document(Some(problem::response(&error, text(id))))
        }
    }
}

/// The context of a request, derived from its connection's: with its id, its
/// principal, its trace, its path parameters, and the baggage that its route
/// allows.
fn context(
    connection: &ClientConnection,
    route: &Match<'_>,
    headers: &HeaderMap,
    id: &HeaderValue,
) -> Context {
    // Values chosen by the client are set first, so they can't hide the host's.
    let mut ctx = connection.ctx.clone();
    for (name, value) in baggage::allowed(headers, route.baggage) {
        ctx = ctx.with_value(&Key::from_wire(name.to_owned()), value);
    }
    for (name, value) in route.parameters() {
        let key = Key::from_wire(format!("{ROUTE_PREFIX}{name}"));
        ctx = ctx.with_value(&key, value.into_owned());
    }
    if let Some((trace, trace_state)) = headers::trace(headers) {
        ctx = ctx.with_value(&TRACE, trace.child());
        if let Some(trace_state) = trace_state {
            ctx = ctx.with_value(&TRACE_STATE, trace_state);
        }
    }
    let authenticate = connection.state.authenticate.as_ref();
    if let Some(principal) = authenticate.and_then(|authenticate| authenticate(headers)) {
        ctx = ctx.with_value(&PRINCIPAL, principal);
    }
    ctx.with_value(&REQUEST_ID, text(id).to_owned())
}

/// The span of a request and the context of its invocation, which is a child of
/// that span, if traces are exported.
fn request_span(
    connection: &ClientConnection,
    ctx: Context,
    route: &Match<'_>,
    request: &hyper::Request<RequestBody>,
) -> (Context, Option<Box<RequestSpan>>) {
    let Some(exports) = connection.state.runtime.exports() else { return (ctx, None) };
    let trace = ctx.value(&TRACE).unwrap_or_else(|| exports.root());
    let span = RequestSpan {
        trace,
        started: Instant::now(),
        target: Some((request.method().clone(), request.uri().clone())),
        route: route.pattern.cloned(),
        version: request.version(),
        is_encrypted: connection.state.tls.is_some(),
        client: ctx.value(&CLIENT_ADDRESS),
    };
    (ctx.with_value(&TRACE, trace.child()), Some(Box::new(span)))
}

impl RequestFuture {
    /// Whether the connection closes after the response, which only HTTP/1.1
    /// announces.
    fn closes(&self) -> bool {
        self.version < Version::HTTP_2 && (self.is_malformed || self.connection.state.is_stopping())
    }
}

impl Future for RequestFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut response = match &mut this.source {
            ResponseSource::Function(in_flight) => match ready!(Pin::new(in_flight).poll(cx)) {
                Ok(response) => response,
                Err(error) => problem::response(&error, text(&this.id)),
            },
            ResponseSource::Document(document) => document.take().unwrap_or_default(),
            ResponseSource::Reserved(answering) => ready!(answering.as_mut().poll(cx)),
        };
        response_head::settle(&mut response, this.only_head);
        let status = response.status().as_u16();
        let state = &this.connection.state;
        state.runtime.front().responded(status);
        if let (Some(log), Some(mut record)) = (&state.access_log, this.access.take()) {
            record.document = response.body().len();
            log.write(&record, status, None);
        }
        if this.closes() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let id = response_budget::kept(&mut response, this.id.clone());
        response.headers_mut().insert(headers::ID, id);
        Poll::Ready(Ok(response))
    }
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
fn body(body: RequestBody) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::stream(body) }
}
