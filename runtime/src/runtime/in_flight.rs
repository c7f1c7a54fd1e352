//! An invocation in flight: the future of its response, and the guard that
//! cancels it.
//!
//! The invocation starts on the thread that polls the future, and usually ends
//! there, at the first poll. One that has to wait, or that has used up a tick,
//! continues as a task, so that it delays no other work of that thread.
//!
//! Dropping the future, or the body of a response that streams, means that the
//! caller has left. The invocation is not dropped with it: its context is
//! canceled with [`Cause::ClientDisconnected`], at once or after the function's
//! `detach` period, and the rest of its run, at most the grace period, continues
//! in its task.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tracing::{Instrument as _, Span};

use super::Runtime;
use super::invoke::CallInfo;
#[cfg(feature = "server")]
use super::response_budget::ResponseBudget;
use super::streaming_body::StreamingBody;
use super::usage::Ends;
use crate::body::{Body, Request, Response};
use crate::context::{Cancel, Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
#[cfg(feature = "server")]
use crate::log::{
    self,
    access::{AccessLog, AccessRecord},
};
use crate::outcome::{Outcome, Usage};
use crate::spawn::Task;
use crate::telemetry::recorder::RequestSpan;

/// The result of an invocation.
pub(super) type Ended = Result<Response, InvokeError>;

/// A caller of invocations: an embedder, or a connection of the front. Each
/// connection has its own, because a reference count that all cores write to
/// would slow down every request.
pub(crate) struct Caller {
    pub(crate) runtime: Runtime,
    /// The runtime for invocations that do not end at once.
    pub(crate) tasks: Handle,
    /// For a connection of the front: whole responses are held in this budget
    /// until the client has taken them, and results are logged.
    #[cfg(feature = "server")]
    pub(crate) responses: Option<ResponseBudget>,
    #[cfg(feature = "server")]
    pub(crate) access_log: Option<AccessLog>,
    /// For a connection: cancels its context, once the connection and all of its
    /// invocations have ended.
    #[cfg(feature = "server")]
    pub(crate) _end: Option<Cancel>,
}

#[cfg(feature = "server")]
pub(crate) type Access = Box<AccessRecord>;
/// Without a server there is no access log.
#[cfg(not(feature = "server"))]
pub(crate) type Access = std::convert::Infallible;

/// A request to a function, and how its response is wanted.
pub(crate) struct Call<'a> {
    /// The parent of the invocation's context.
    pub(crate) ctx: &'a Context,
    /// The caller's timeout. The function's own applies if it is earlier.
    pub(crate) timeout: Option<Duration>,
    pub(crate) request: Request,
    /// Whether the response may begin before the invocation ends.
    pub(crate) streams: bool,
    /// The span of the request, if it is exported.
    pub(crate) span: Option<Box<RequestSpan>>,
    /// The same span for `tracing`.
    pub(crate) traced: Span,
    /// The request's record in the access log.
    pub(crate) access: Option<Access>,
}

/// An invocation in flight. Resolves to its response, which may still stream.
pub(crate) struct InFlight {
    function: Arc<str>,
    task: Task<Ended>,
    /// Receives a response that begins before the invocation ends.
    early: Option<oneshot::Receiver<Response>>,
    guard: CancelGuard,
}

/// Cancels an invocation when its caller leaves.
pub(super) struct CancelGuard {
    caller: Arc<Caller>,
    cancel: Option<Cancel>,
    detach: Duration,
}

impl Caller {
    /// The function of a name.
    ///
    /// # Errors
    /// [`Outcome::NotFound`].
    #[cfg(feature = "server")]
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        self.runtime.find(name)
    }

    /// Starts an invocation of a function.
    #[cfg(feature = "server")]
    pub(crate) fn invoke(self: &Arc<Self>, function: Arc<Entry>, call: Call<'_>) -> InFlight {
        InFlight::start(self.clone(), function, call, None)
    }

    /// Takes the result of an invocation, whether or not anything waits for it.
    fn take(
        &self,
        ended: Result<(Response, Usage), InvokeError>,
        function: &Entry,
        ctx: &Context,
        access: Option<Access>,
    ) -> Ended {
        #[cfg(feature = "server")]
        if let Some(responses) = &self.responses {
            let held = ended.and_then(|(response, usage)| {
                let held = responses.hold(response).map(|response| (response, usage));
                held.map_err(|outcome| InvokeError::new(function.name.clone(), outcome, usage))
            });
            log::answered(&held, &function.name, ctx, &function.failures);
            if let (Some(log), Some(record)) = (&self.access_log, access) {
                log.answered(record, &held, (&function.name, &function.version));
            }
            return held.map(|(response, _)| response);
        }
        let _ = (function, ctx, access);
        ended.map(|(mut response, usage)| {
            response.extensions_mut().insert(usage);
            response
        })
    }
}

impl InFlight {
    /// Starts an invocation, and reports its usage to `ends`.
    pub(super) fn start(
        caller: Arc<Caller>,
        function: Arc<Entry>,
        call: Call<'_>,
        ends: Option<Ends>,
    ) -> Self {
        let Call { ctx, timeout, request, streams, span, traced, access } = call;
        let (limit, detach) = (function.limits.timeout, function.limits.detach);
        let (ctx, cancel) = ctx.with_timeout(timeout.map_or(limit, |timeout| timeout.min(limit)));
        let (sender, early) = streams.then(oneshot::channel).unzip();
        let (name, cancel) = (function.name.clone(), Some(cancel));
        let guard = CancelGuard { caller: caller.clone(), cancel, detach };
        let info = CallInfo { request: span, ..CallInfo::default() };
        let run = async move {
            let shared = &caller.runtime.0;
            let ended = shared.run(&function, &ctx, request, info, sender).await;
            if let Some(ends) = ends {
                ends.tell(ended.as_ref().map_or_else(InvokeError::usage, |(_, usage)| *usage));
            }
            caller.take(ended, &function, &ctx, access)
        };
        let task = Task::New(Box::pin(run.instrument(traced)));
        Self { function: name, task, early, guard }
    }

    /// The response that has begun before the invocation's end, if one has.
    fn poll_early(&mut self, cx: &mut TaskContext<'_>) -> Option<Response> {
        match Pin::new(self.early.as_mut()?).poll(cx) {
            Poll::Ready(begun) => {
                self.early = None;
                begun.ok()
            }
            Poll::Pending => None,
        }
    }

    /// Hands the invocation over to the body of a response that has begun.
    fn stream(&mut self, begun: Response, ended: Option<Ended>) -> Response {
        let task = std::mem::replace(&mut self.task, Task::Over);
        let (head, pieces) = begun.into_parts();
        let body = StreamingBody::new(&head.headers, pieces, task, ended, self.guard.take());
        Response::from_parts(head, Body::stream(body))
    }
}

impl Future for InFlight {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Ended> {
        let this = &mut *self;
        let ended = match this.guard.poll(&mut this.task, cx) {
            Poll::Ready(Ok(ended)) => Some(ended),
            Poll::Ready(Err(lost)) => {
                let outcome = Outcome::Host(lost.to_string());
                Some(Err(InvokeError::new(this.function.clone(), outcome, Usage::default())))
            }
            Poll::Pending => None,
        };
        match (this.poll_early(cx), ended) {
            // A failure before the first byte was sent replaces the response.
            (Some(begun), ended @ (None | Some(Ok(_)))) => {
                Poll::Ready(Ok(this.stream(begun, ended)))
            }
            (_, Some(ended)) => {
                this.guard.end(Cause::ParentDone);
                Poll::Ready(ended)
            }
            (None, None) => Poll::Pending,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.guard.leave(&mut self.task);
    }
}

impl CancelGuard {
    /// Polls the invocation. One that does not end at once becomes a task.
    pub(super) fn poll(
        &self,
        task: &mut Task<Ended>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Ended, JoinError>> {
        task.poll(cx, |run| self.caller.tasks.spawn(run))
    }

    /// Cancels the invocation's context, once.
    pub(super) fn end(&mut self, cause: Cause) {
        if let Some(cancel) = self.cancel.take() {
            cancel.cancel_with(cause);
        }
    }

    /// The same guard, for the holder of the rest of the response.
    fn take(&mut self) -> Self {
        Self { caller: self.caller.clone(), cancel: self.cancel.take(), detach: self.detach }
    }

    /// The caller has left. An invocation that is still running is canceled.
    pub(super) fn leave(&mut self, task: &mut Task<Ended>) {
        if !task.is_under_way() {
            return;
        }
        task.spawn(|run| self.caller.tasks.spawn(run));
        let (Some(cancel), detach) = (self.cancel.take(), self.detach) else { return };
        if detach.is_zero() {
            return cancel.cancel_with(Cause::ClientDisconnected);
        }
        let task = std::mem::replace(task, Task::Over);
        self.caller.tasks.spawn(async move {
            // If it has not ended by then, it is canceled now.
            let _ = tokio::time::timeout(detach, task.join()).await;
            cancel.cancel_with(Cause::ClientDisconnected);
        });
    }
}
