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
use crate::telemetry::Start;
use crate::telemetry::recorder::{SpanBuffer, SpanKind, SpanRecorder};

/// The position of an invocation in the calls of one request. The default is
/// that of a root.
#[derive(Clone, Debug, Default)]
pub(super) struct CallInfo {
    /// The id of the invocation that called it.
    pub(super) parent: Option<u64>,
    /// How many invocations are above it.
    pub(super) depth: u32,
    /// Its span, if a function called it.
    pub(super) trace: Option<Trace>,
    /// Its call tree, if a function called it.
    pub(super) tree: Option<Arc<CallTree>>,
    /// Where its span is recorded, if a function called it and the request is
    /// recorded.
    pub(super) spans: Option<Arc<SpanBuffer>>,
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
        let function = self.0.find(name)?;
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
        let function = self.0.find(name)?;
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
        let function = self.0.find(name)?;
        self.stream_entry(function, ctx, request.map(Into::into)).await
    }

    pub(super) async fn invoke_entry(
        &self,
        function: &Entry,
        ctx: &Context,
        request: Request,
        info: CallInfo,
    ) -> Result<Response, InvokeError> {
        let (ctx, cancel) = child_span(ctx).with_timeout(function.limits.timeout);
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
        let ctx = &child_span(ctx);
        let call = Call { ctx, timeout: None, request, streams: true, access: None };
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

    /// Admits an invocation. A root is admitted at once or not at all; a call may
    /// have to wait.
    pub(super) async fn admit(
        &self,
        info: &CallInfo,
        ctx: &Context,
    ) -> Result<Admitted<'_>, Outcome> {
        Ok(match &info.tree {
            None => Admitted::Root(self.admission.admit()?),
            Some(tree) => Admitted::Call(self.admission.admit_call(tree, info.depth, ctx).await?),
        })
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
        let refused = |outcome| self.refuse(function.name.clone(), outcome);
        let asked = info.tree.is_some().then(Instant::now);
        let _permit = self.admit(&info, ctx).await.map_err(refused)?;
        check(function, ctx, &request).map_err(refused)?;
        let (started, id) = (Instant::now(), self.listing.id());
        let queue = asked.map_or(Duration::ZERO, |asked| started - asked);
        let CallInfo { parent, depth, trace, tree, spans } = info;
        let spans = match spans {
            None if depth == 0 => self.telemetry.recorder.begin(),
            spans => SpanRecorder::within(spans),
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
        let invocation = Invocation::start(&self.engine, function, ctx, inputs).map_err(refused)?;
        let counters = &function.counters;
        let kind = SpanKind::Invocation;
        let live = self.telemetry.begin(Start { counters, ctx, kind, id, parent, started });
        let mut finishing = pin!(invocation.finish());
        let first = poll_fn(|cx| Poll::Ready(finishing.as_mut().poll(cx))).await;
        let Finished { result, mut usage, trail } = match first {
            Poll::Ready(ended) => ended,
            Poll::Pending => {
                let _listed = self.listing.enter(id, &function.name, parent, ctx, started);
                finishing.await
            }
        };
        usage.queue = queue;
        let status = result.as_ref().ok().map(|response| response.status().as_u16());
        live.end(result.as_ref().err().unwrap_or(&Outcome::Response), status, &usage, trail);
        match result {
            Ok(response) => Ok((response, usage)),
            Err(outcome) => Err(InvokeError::new(function.name.clone(), outcome, usage)),
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

/// The parent of an invocation's context. If it has a trace, the invocation is
/// another span of it.
fn child_span(ctx: &Context) -> Cow<'_, Context> {
    match ctx.value(&TRACE) {
        Some(trace) => Cow::Owned(ctx.with_value(&TRACE, trace.child())),
        None => Cow::Borrowed(ctx),
    }
}
