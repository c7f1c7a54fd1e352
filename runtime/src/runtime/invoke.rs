//! One invocation: admitted, given an instance, run to its end.
//!
//! Every invocation takes this path, whether it comes from a client of the
//! front, an embedder or another function.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use super::in_flight::{Call, Caller, InFlight};
use super::usage::FinalUsage;
use super::{Runtime, Shared};
use crate::admission::{CallPermit, CallTree, Permit};
use crate::body::{Body, Request, Response};
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::{Inputs, ResponseSender};
use crate::invocation::{Finished, Invocation};
use crate::limits::fixed;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::{TRACE, Trace};
use crate::telemetry::recorder::{RequestSpan, SpanBuffer, SpanKind, SpanRecorder};
use crate::telemetry::{Start, spans};

/// The position of an invocation in the calls of one request. The default is
/// that of a root.
#[derive(Debug, Default)]
pub(crate) struct CallInfo {
    /// The caller's timeout. The function's own applies if it is earlier.
    pub(super) timeout: Option<Duration>,
    /// The id of the invocation that called it.
    pub(super) parent: Option<u64>,
    /// How many invocations are above it.
    pub(super) depth: u32,
    /// Its span, if a function called it, and the span of that call.
    pub(super) trace: Option<Trace>,
    pub(super) call: Option<Trace>,
    /// The span of the client's request, if it is exported.
    pub(super) request: Option<Box<RequestSpan>>,
    /// Its call tree, if a function called it.
    pub(super) tree: Option<Arc<CallTree>>,
    /// Where its span is recorded, if a function called it and the request is
    /// recorded.
    pub(super) spans: Option<Arc<SpanBuffer>>,
}

impl CallInfo {
    /// That of a root whose caller has a timeout.
    pub(crate) fn within(timeout: Option<Duration>) -> Self {
        Self { timeout, ..Self::default() }
    }
}

/// The permit of an invocation, held until its end.
pub(super) enum Admitted<'a> {
    Root(#[expect(dead_code, reason = "held for its drop")] Permit<'a>),
    Call(#[expect(dead_code, reason = "held for its drop")] CallPermit),
}

impl Runtime {
    /// Runs a function once, in a fresh instance, under a child of `ctx`.
    ///
    /// The child's deadline is the earlier of `ctx`'s and the function's own
    /// timeout from now. When it is done the guest has its grace period, and is
    /// then interrupted. The response's extensions hold the invocation's
    /// [`Usage`](crate::Usage). If `ctx` has a [`TRACE`](crate::TRACE) the
    /// invocation is a span of it.
    ///
    /// A response that the guest streams is collected, up to as many bytes as
    /// its memory may have; [`invoke_streaming`](Self::invoke_streaming) returns
    /// it while the guest writes it.
    ///
    /// It must be called on a tokio runtime with time enabled. The guest runs
    /// inside the future's polls, for at most one tick each.
    ///
    /// # Errors
    /// [`InvokeError`]. Its [`outcome`](InvokeError::outcome) says how the
    /// invocation ended.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the invocation and ends the guest at once,
    /// without grace. To give it its grace, cancel `ctx` and wait.
    pub async fn invoke<B: Into<Body>>(
        &self,
        ctx: &Context,
        name: &str,
        request: http::Request<B>,
    ) -> Result<Response, InvokeError> {
        let function = self.find(name)?;
        self.invoke_entry(&function, ctx, request.map(Into::into), CallInfo::default()).await
    }

    /// Runs a function as [`invoke`](Self::invoke) does, and keeps its
    /// recording.
    #[cfg(feature = "server")]
    pub(crate) async fn invoke_recorded(
        &self,
        ctx: &Context,
        name: &str,
        request: Request,
    ) -> Result<Response, InvokeError> {
        let function = self.find(name)?;
        let info = CallInfo { spans: Some(Arc::default()), ..CallInfo::default() };
        self.invoke_entry(&function, ctx, request, info).await
    }

    /// Runs a function once as [`invoke`](Self::invoke) does, and returns its
    /// response as soon as its head is there. The body then arrives while the
    /// function writes it, and a slow reader makes the function wait.
    ///
    /// A response that the function gives as a whole has the invocation's
    /// [`Usage`](crate::Usage) in its extensions. Every response has a
    /// [`FinalUsage`] there, which resolves once the invocation has ended. If the
    /// function fails in the middle of its response the body ends with the
    /// [`InvokeError`] as its error: only a body that ends without one is
    /// complete.
    ///
    /// It must be called on a tokio runtime with time enabled. An invocation that
    /// does not end at once continues as a task of it, so it makes progress while
    /// the body is not read, unless the function waits for a reader.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke), for failures before the head is there.
    ///
    /// # Cancel safety
    /// Dropping the future, or the body before its end, cancels the invocation
    /// with [`Cause::ClientDisconnected`](crate::Cause::ClientDisconnected), at
    /// once or when the function's [`detach`](crate::Limits::detach) is over, and
    /// it has its grace.
    ///
    /// ```no_run
    /// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use hourglass::Context;
    ///
    /// let request = http::Request::new(());
    /// let response = runtime.invoke_streaming(&Context::background(), "ticker", request).await?;
    /// let mut body = response.into_body();
    /// while let Some(piece) = body.next().await {
    ///     println!("{:?}", piece?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn invoke_streaming<B: Into<Body>>(
        &self,
        ctx: &Context,
        name: &str,
        request: http::Request<B>,
    ) -> Result<Response, InvokeError> {
        let function = self.find(name)?;
        self.stream_entry(function, ctx, request.map(Into::into)).await
    }

    /// The function of a name, for one invocation.
    ///
    /// # Errors
    /// [`Outcome::NotFound`].
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        self.0.find(name)
    }

    /// Runs a function once as [`invoke`](Self::invoke) does.
    pub(crate) async fn invoke_entry(
        &self,
        function: &Entry,
        ctx: &Context,
        request: Request,
        info: CallInfo,
    ) -> Result<Response, InvokeError> {
        let limit = function.limits.timeout;
        let timeout = info.timeout.map_or(limit, |timeout| timeout.min(limit));
        let (ctx, cancel) = self.0.child_span(ctx).with_timeout(timeout);
        let ended = self.0.run(function, &ctx, request, info, None).await;
        // Everything that the guest started ends with it.
        cancel.cancel_with(Cause::ParentDone);
        let (mut response, usage) = ended?;
        response.extensions_mut().insert(usage);
        Ok(response)
    }

    pub(super) async fn stream_entry(
        &self,
        function: Arc<Entry>,
        ctx: &Context,
        request: Request,
    ) -> Result<Response, InvokeError> {
        let caller = Caller {
            runtime: self.clone(),
            tasks: Handle::current(),
            #[cfg(feature = "server")]
            responses: None,
            #[cfg(feature = "server")]
            access_log: None,
            #[cfg(feature = "server")]
            _end: None,
        };
        let (ends, usage) = FinalUsage::new();
        let ctx = &self.0.child_span(ctx);
        let call = Call {
            ctx,
            timeout: None,
            request,
            streams: true,
            span: None,
            traced: Span::none(),
            access: None,
        };
        let in_flight = InFlight::start(Arc::new(caller), function, call, Some(ends));
        let mut response = in_flight.await?;
        response.extensions_mut().insert(usage);
        Ok(response)
    }
}

impl Shared {
    /// The function of that name.
    pub(super) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        let function = self.functions.find(name);
        function.ok_or_else(|| self.refuse(fixed::cut(name, fixed::TEXT), Outcome::NotFound))
    }

    /// Counts an invocation that is refused before its guest runs.
    pub(super) fn refuse(&self, function: impl Into<Arc<str>>, outcome: Outcome) -> InvokeError {
        self.telemetry.refused(&outcome);
        InvokeError::refused(function.into(), outcome)
    }

    /// Counts an invocation that is refused before its guest runs, and exports
    /// it. It has waited for `queue`. `called` is its span and the buffer of its
    /// request, if a function called it.
    #[cold]
    pub(super) fn refuse_start(
        &self,
        start: Start<'_>,
        queue: Duration,
        called: (Option<Trace>, Option<Arc<SpanBuffer>>),
        outcome: Outcome,
    ) -> InvokeError {
        let function = start.name.clone();
        self.telemetry.refuse(start, queue, &outcome, called);
        InvokeError::refused(function, outcome)
    }

    /// The parent of an invocation's context. If it has a trace, or if traces are
    /// exported, the invocation is another span.
    fn child_span<'a>(&self, ctx: &'a Context) -> Cow<'a, Context> {
        let exports = self.telemetry.exports.as_ref();
        let trace = ctx.value(&TRACE).map(|trace| trace.child());
        match trace.or_else(|| Some(exports?.root())) {
            Some(trace) => Cow::Owned(ctx.with_value(&TRACE, trace)),
            None => Cow::Borrowed(ctx),
        }
    }

    /// Admits an invocation. A root is admitted at once or not at all; a call may
    /// have to wait. Also returns since when it has waited, if it has.
    pub(super) async fn admit(
        &self,
        info: &CallInfo,
        ctx: &Context,
    ) -> (Result<Admitted<'_>, Outcome>, Option<Instant>) {
        let Some(tree) = &info.tree else {
            return (self.admission.admit().map(Admitted::Root), None);
        };
        let mut admitting = pin!(self.admission.admit_call(tree, info.depth, ctx));
        match poll_fn(|cx| Poll::Ready(admitting.as_mut().poll(cx))).await {
            Poll::Ready(admitted) => (admitted.map(Admitted::Call), None),
            Poll::Pending => {
                let since = Instant::now();
                let admitted = admitting.instrument(spans::queue()).await;
                (admitted.map(Admitted::Call), Some(since))
            }
        }
    }

    /// Runs a function under a context of its own, which the caller cancels
    /// afterwards. With a `sender`, the response is sent through it while the
    /// guest writes it.
    ///
    /// # Cancel safety
    /// Dropping the future ends the guest at once, without grace.
    pub(super) async fn run(
        &self,
        function: &Entry,
        ctx: &Context,
        request: Request,
        info: CallInfo,
        sender: Option<ResponseSender>,
    ) -> Result<(Response, Usage), InvokeError> {
        let (admitted, waiting) = self.admit(&info, ctx).await;
        let admitted = admitted.and_then(|permit| check(function, ctx, &request).map(|()| permit));
        let CallInfo { parent, depth, trace, call, tree, request: request_span, spans, .. } = info;
        let (started, id, kind) = (Instant::now(), self.listing.id(), SpanKind::Invocation);
        let queue = waiting.map_or(Duration::ZERO, |since| started - since);
        let start = Start {
            name: &function.name,
            version: Some(&function.version),
            usage_id: function.usage_id.as_ref(),
            ctx,
            kind,
            id,
            parent,
            call,
            request: request_span,
            started,
        };
        let _permit = match admitted {
            Ok(permit) => permit,
            Err(outcome) => return Err(self.refuse_start(start, queue, (trace, spans), outcome)),
        };
        let buffer = spans.clone();
        let spans = match depth {
            0 => self.telemetry.begin_request(ctx, spans),
            _ => SpanRecorder::within(spans),
        };
        let inputs = Inputs {
            ctx: ctx.clone(),
            started,
            request,
            body_limit: function.limits.request_body,
            id,
            depth,
            tree,
            trace,
            spans,
            sender,
        };
        let invocation = match Invocation::start(&self.engine, function, ctx, inputs) {
            Ok(invocation) => invocation,
            Err(outcome) => return Err(self.refuse_start(start, queue, (trace, buffer), outcome)),
        };
        let live = self.telemetry.begin(&function.counters, start);
        let span = spans::invocation(kind, &function.name, id, ctx, trace);
        let list = || self.listing.enter(id, &function.name, parent, ctx, started);
        let Finished { result, mut usage, trail } = finish(invocation, span.clone(), list).await;
        usage.queue = queue;
        let status = result.as_ref().ok().map(|response| response.status().as_u16());
        let outcome = result.as_ref().err().unwrap_or(&Outcome::Response);
        spans::ended(&span, outcome, status);
        live.end(outcome, status, &usage, trail);
        match result {
            Ok(response) => Ok((response, usage)),
            Err(outcome) => Err(InvokeError::new(function.name.clone(), outcome, usage)),
        }
    }
}

/// Runs an invocation to its end. It is listed unless it ends at its first poll.
///
/// # Cancel safety
/// Dropping the future ends the guest at once, without grace.
async fn finish<L>(invocation: Invocation<'_>, span: Span, list: impl FnOnce() -> L) -> Finished {
    let mut finishing = pin!(invocation.finish().instrument(span));
    match poll_fn(|cx| Poll::Ready(finishing.as_mut().poll(cx))).await {
        Poll::Ready(ended) => ended,
        Poll::Pending => {
            let _listed = list();
            finishing.await
        }
    }
}

/// Whether an admitted invocation may start.
fn check(function: &Entry, ctx: &Context, request: &Request) -> Result<(), Outcome> {
    if let (Some(done), Some(cause)) = (ctx.err(), ctx.cause()) {
        return Err(Outcome::Done(done, cause));
    }
    let limit = function.limits.request_body;
    match request.body().len() {
        Some(len) if len > limit => Err(Outcome::BodyTooLarge { limit }),
        _ => Ok(()),
    }
}
