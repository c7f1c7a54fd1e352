//! A task: what to invoke, and how it ended.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;

use super::retry::Retry;
use crate::body::{Body, Request, Response};
use crate::context::Context;
use crate::error::InvokeError;
use crate::function::Entry;
use crate::outcome::Outcome;
#[cfg(feature = "server")]
use crate::outcome::Usage;
#[cfg(feature = "server")]
use crate::runtime::response_budget::ResponseBudget;
use crate::runtime::{CallInfo, FunctionHandle, Runtime};

/// An invocation to run in a [`TaskGroup`](super::TaskGroup).
#[derive(Clone, Debug)]
pub struct Task {
    function: Target,
    request: http::Request<Bytes>,
    label: Box<str>,
    timeout: Option<Duration>,
    retry: Retry,
    /// The number of attempts before the first one here.
    earlier: u32,
    /// The number of attempts here.
    attempts: u32,
    /// The budget that holds the response until it is taken.
    #[cfg(feature = "server")]
    responses: Option<ResponseBudget>,
}

/// The header with the number of an attempt, for the function. A request with a
/// number above 1 may have run before; one without the header has not.
pub const ATTEMPT: HeaderName = HeaderName::from_static("hourglass-attempt");

/// The function of a task.
#[derive(Clone, Debug)]
enum Target {
    Named(Runtime, Box<str>),
    Prepared(FunctionHandle),
}

impl Task {
    /// Invokes a deployed function. It is looked up for each attempt, so a retry
    /// runs the version that is deployed by then.
    pub fn new<B: Into<Bytes>>(
        runtime: &Runtime,
        function: impl Into<Box<str>>,
        request: http::Request<B>,
    ) -> Self {
        Self::with(Target::Named(runtime.clone(), function.into()), request)
    }

    /// Invokes a function that was prepared without deploying it.
    pub fn prepared<B: Into<Bytes>>(function: &FunctionHandle, request: http::Request<B>) -> Self {
        Self::with(Target::Prepared(function.clone()), request)
    }

    fn with<B: Into<Bytes>>(function: Target, request: http::Request<B>) -> Self {
        let request = request.map(Into::into);
        let (label, retry) = (Box::default(), Retry::NEVER);
        Self {
            function,
            request,
            label,
            timeout: None,
            retry,
            earlier: 0,
            attempts: 0,
            #[cfg(feature = "server")]
            responses: None,
        }
    }

    /// Sets a text of the caller's that comes back with the result. Default:
    /// empty.
    #[must_use]
    pub fn label(mut self, label: impl Into<Box<str>>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the longest time of one attempt. The function's own timeout and the
    /// group's deadline apply as well. Default: only those.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the number of attempts that were made elsewhere, for example by a
    /// process that has ended. The numbers of attempts continue from there.
    /// Default: 0.
    #[must_use]
    pub fn earlier_attempts(mut self, attempts: u32) -> Self {
        self.earlier = attempts;
        self
    }

    /// Sets when a failed attempt is repeated. Default: never. A repeated request
    /// has the header `hourglass-attempt` with the number of the attempt, from 2.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the budget that holds the response until it is taken. A task whose
    /// response does not fit fails, although its function has run.
    #[cfg(feature = "server")]
    pub(crate) fn responses(mut self, budget: ResponseBudget) -> Self {
        self.responses = Some(budget);
        self
    }

    /// The name of its function.
    pub fn function(&self) -> &str {
        match &self.function {
            Target::Named(_, name) => name,
            Target::Prepared(function) => function.name(),
        }
    }

    /// Replaces the request by that of another task, which had `earlier` attempts
    /// elsewhere.
    #[cfg(feature = "cli")]
    pub(crate) fn renew(&mut self, request: http::Request<Bytes>, earlier: u32) {
        (self.request, self.earlier, self.attempts) = (request, earlier, 0);
    }

    /// Makes attempts until one is the last. The first one is not made if `ctx` is done.
    ///
    /// It awaits the invocation directly: each async function in between would move
    /// the whole future of the invocation once more.
    ///
    /// # Cancel safety
    /// Dropping the future ends the guest at once. The task then has lost its request.
    pub(crate) async fn run(&mut self, ctx: &Context) -> Result<Response, InvokeError> {
        if let (Some(done), Some(cause)) = (ctx.err(), ctx.cause()) {
            let outcome = Outcome::Done(done, cause);
            return Err(InvokeError::refused(self.function().into(), outcome));
        }
        loop {
            let request = self.next_request();
            let result = match self.target() {
                Ok((runtime, function)) => {
                    let info = CallInfo::within(self.timeout);
                    runtime.invoke_entry(&function, ctx, request, info).await
                }
                Err(error) => Err(error),
            };
            let result = self.hold(result);
            let Some(delay) = self.retry.next(self.attempts, &result) else { return result };
            tokio::select! {
                biased;
                // The failure of the last attempt stays the result.
                _ = ctx.done() => return result,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Counts another attempt, and returns its request.
    fn next_request(&mut self) -> Request {
        let is_last = self.attempts >= self.retry.retries();
        self.attempts += 1;
        let request =
            if is_last { std::mem::take(&mut self.request) } else { self.request.clone() };
        let mut request = request.map(Body::from);
        let number = self.attempts.saturating_add(self.earlier);
        if number > 1 {
            request.headers_mut().insert(ATTEMPT, number.into());
        }
        request
    }

    /// The function as it is deployed now, and its runtime.
    fn target(&self) -> Result<(&Runtime, Cow<'_, Arc<Entry>>), InvokeError> {
        match &self.function {
            Target::Named(runtime, name) => Ok((runtime, Cow::Owned(runtime.find(name)?))),
            Target::Prepared(handle) => {
                let (runtime, function) = handle.parts();
                Ok((runtime, Cow::Borrowed(function)))
            }
        }
    }

    /// Holds the response of an attempt in the task's budget, if it has one.
    #[cfg(feature = "server")]
    fn hold(&self, ended: Result<Response, InvokeError>) -> Result<Response, InvokeError> {
        let Some(budget) = &self.responses else { return ended };
        let response = ended?;
        let usage = response.extensions().get::<Usage>().copied().unwrap_or_default();
        let held = budget.hold(response);
        held.map_err(|outcome| InvokeError::new(self.function().into(), outcome, usage))
    }

    /// Without a server no task has a budget.
    #[cfg(not(feature = "server"))]
    fn hold(&self, ended: Result<Response, InvokeError>) -> Result<Response, InvokeError> {
        ended
    }

    /// The number of attempts so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The number of attempts before the first one here.
    pub(super) fn earlier(&self) -> u32 {
        self.earlier
    }

    pub(super) fn take_label(&mut self) -> Box<str> {
        std::mem::take(&mut self.label)
    }
}

/// The number of a task within its group: the first one submitted is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(super) u64);

impl TaskId {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a task ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct TaskResult {
    /// The number that [`submit`](super::TaskGroup::submit) returned.
    pub id: TaskId,
    /// The text that [`Task::label`] set.
    pub label: Box<str>,
    /// The result of the last attempt; if there was none, the reason. The
    /// response is whole: its body does not stream. Its extensions hold the
    /// [`Usage`](crate::Usage).
    pub result: Result<Response, InvokeError>,
    /// The number of attempts. It is 0 if the group ended before the task began.
    pub attempts: u32,
    /// The number of [earlier attempts](Task::earlier_attempts), which are not in
    /// `attempts`.
    pub earlier_attempts: u32,
    /// Time from the submission until the first attempt, or until the end of a
    /// task that had none.
    pub waited: Duration,
    /// Time from the first attempt until the end of the last one, with the delays
    /// between them.
    pub took: Duration,
}

impl TaskResult {
    /// Whether the task failed: it has no response, or one whose status is 400
    /// or higher.
    pub fn is_failure(&self) -> bool {
        match &self.result {
            Ok(response) => response.status().as_u16() >= 400,
            Err(_) => true,
        }
    }
}
