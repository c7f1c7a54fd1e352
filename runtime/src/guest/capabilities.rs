//! The capabilities of a function: which functions and hosts it may call and
//! how often, which folders it may read, and how much it may log.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::cgi::Style;
use crate::admission::CallTree;
use crate::body::{Request, Response};
use crate::context::Context;
use crate::environment::Environment;
use crate::error::InvokeError;
use crate::limits::Limits;
use crate::limits::bytes::{ByteBudget, Reservation};
use crate::limits::fixed;
use crate::log::Rate;
use crate::mounts::Mount;
#[cfg(feature = "server")]
use crate::outbound::Outbound;
use crate::outcome::Outcome;
use crate::propagation::trace::Trace;
use crate::spawn::Run;
use crate::telemetry::recorder::SpanBuffer;

/// What a function has and may do. All of its instances share it.
pub(crate) struct Capabilities {
    pub(crate) function: Arc<str>,
    pub(crate) environment: Environment,
    pub(crate) style: Style,
    pub(crate) limits: Limits,
    /// The maximum number of entries of its table.
    pub(crate) table_limit: u64,
    /// The names of the functions it may call.
    pub(crate) calls: Arc<[Arc<str>]>,
    /// The client for requests to other hosts, if it may make any.
    #[cfg(feature = "server")]
    pub(crate) outbound: Option<Arc<Outbound>>,
    pub(crate) rate: Rate,
    /// The folders it may read.
    pub(crate) mounts: Box<[Mount]>,
    /// Runs the functions it calls. Weak, because the implementor owns the
    /// function.
    pub(crate) dispatcher: Weak<dyn Dispatcher>,
}

/// Finds and runs the functions that guests call.
pub(crate) trait Dispatcher: Send + Sync {
    /// Starts a call of a function under a child of `ctx`.
    ///
    /// # Errors
    /// The call is refused.
    fn call(
        self: Arc<Self>,
        caller: CallerInfo,
        ctx: &Context,
        name: &str,
        request: Request,
    ) -> Result<StartedCall, InvokeError>;

    /// Starts the submission of a job that invokes a function. Its response has
    /// the job's id as its body.
    ///
    /// # Errors
    /// The submission is refused.
    fn enqueue(
        self: Arc<Self>,
        caller: CallerInfo,
        ctx: &Context,
        name: &Arc<str>,
        request: Request,
    ) -> Result<StartedCall, InvokeError>;

    /// Counts a call that its caller's limits refuse.
    fn refused(&self, outcome: &Outcome);

    /// The context of work that has no caller any more.
    fn root(&self) -> &Context;

    /// The runtime for calls that take longer, if one is configured.
    fn tasks(&self) -> Option<Handle>;
}

/// The caller of a function.
pub(crate) struct CallerInfo {
    /// The invocation's id.
    pub(crate) id: Option<u64>,
    /// The number of callers above it.
    pub(crate) depth: u32,
    /// Its span of a trace.
    pub(crate) trace: Trace,
    /// The call tree of the caller and the callee.
    pub(crate) tree: Arc<CallTree>,
    /// Where the callee's span is recorded, if the request is.
    pub(crate) spans: Option<Arc<SpanBuffer>>,
    /// The budget that holds the response until the guest takes it.
    pub(crate) budget: Arc<ByteBudget>,
    /// The reservation for the request's head in that budget, kept while the
    /// callee runs.
    pub(crate) head: Reservation,
}

/// A call that was admitted.
pub(crate) struct StartedCall {
    /// The callee's name.
    pub(crate) callee: Arc<str>,
    pub(crate) run: Run<Ended>,
    /// The callee's context.
    pub(crate) ctx: Context,
}

/// The result of a call.
pub(crate) type Ended = Result<HeldResponse, HeldFailure>;

impl Capabilities {
    /// The runtime for calls that take longer. There is one whenever a guest is
    /// polled, but not always when one is dropped.
    pub(crate) fn tasks(&self) -> Option<Handle> {
        let settled = self.dispatcher.upgrade().and_then(|dispatcher| dispatcher.tasks());
        settled.or_else(|| Handle::try_current().ok())
    }

    /// Makes a call a task.
    ///
    /// # Panics
    /// If no tokio runtime is current. A guest is never polled without one.
    pub(crate) fn spawn(&self, run: Run<Ended>) -> JoinHandle<Ended> {
        match self.tasks() {
            Some(tasks) => tasks.spawn(run),
            None => tokio::spawn(run),
        }
    }
}

/// A response that the caller has not taken yet.
pub(crate) struct HeldResponse {
    pub(crate) response: Response,
    /// The processor time of the call.
    pub(crate) cpu: Duration,
    _reservation: Reservation,
}

impl HeldResponse {
    /// Holds a response, and the processor time of its call, in the budget for
    /// responses that an invocation has not taken yet. Without the budget, an
    /// invocation could start any number of calls and never take a response.
    ///
    /// # Errors
    /// The budget is used up.
    pub(crate) fn new(
        budget: &Arc<ByteBudget>,
        response: Response,
        cpu: Duration,
    ) -> Result<Self, Outcome> {
        // Functions return only whole bodies. The sender holds a body that
        // streams.
        let body = response.body().len().unwrap_or(0);
        let reservation = budget.reserve(body.saturating_add(fixed::held(response.headers())));
        let reservation = reservation.ok_or(Outcome::ResponseTooLarge { limit: budget.limit })?;
        Ok(Self { response, cpu, _reservation: reservation })
    }
}

/// A failure that the caller has not taken yet: the parts its caller may read.
pub(crate) struct HeldFailure {
    pub(crate) outcome: &'static str,
    pub(crate) text: Box<str>,
    pub(crate) cause: Box<str>,
    pub(crate) cpu: Duration,
    _reservation: Option<Reservation>,
}

impl HeldFailure {
    /// Holds a failure in the budget for responses. If the budget is used up,
    /// only the outcome's name is kept: holding a failure can't fail.
    pub(crate) fn new(budget: &Arc<ByteBudget>, error: &InvokeError) -> Self {
        let outcome = error.outcome();
        let text = match outcome {
            // That text is for the operator.
            Outcome::Host(_) => "the host failed".into(),
            others => fixed::display(others, fixed::MESSAGE),
        };
        let cause = outcome.cause().map(|cause| fixed::display(cause, fixed::MESSAGE));
        let (text, cause) = (text.into_boxed_str(), cause.unwrap_or_default().into_boxed_str());
        let reservation = budget.reserve((text.len() + cause.len()) as u64);
        let (text, cause) = if reservation.is_some() { (text, cause) } else { Default::default() };
        Self {
            outcome: outcome.name(),
            text,
            cause,
            cpu: error.usage().cpu,
            _reservation: reservation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Capabilities {
        /// The capabilities of a function that reaches nothing.
        pub(crate) fn none(limits: Limits) -> Arc<Self> {
            struct NoCallees;
            impl Dispatcher for NoCallees {
                fn call(
                    self: Arc<Self>,
                    _: CallerInfo,
                    _: &Context,
                    name: &str,
                    _: Request,
                ) -> Result<StartedCall, InvokeError> {
                    Err(InvokeError::refused(name.into(), Outcome::NotFound))
                }

                fn enqueue(
                    self: Arc<Self>,
                    _: CallerInfo,
                    _: &Context,
                    name: &Arc<str>,
                    _: Request,
                ) -> Result<StartedCall, InvokeError> {
                    Err(InvokeError::refused(name.clone(), Outcome::NotFound))
                }

                fn refused(&self, _: &Outcome) {}

                fn root(&self) -> &Context {
                    unreachable!("it is never upgraded")
                }

                fn tasks(&self) -> Option<Handle> {
                    None
                }
            }
            let dispatcher: Weak<dyn Dispatcher> = Weak::<NoCallees>::new();
            Arc::new(Self {
                function: "f".into(),
                environment: Environment::default(),
                style: Style::Exchange,
                limits,
                table_limit: 0,
                calls: Arc::new([]),
                #[cfg(feature = "server")]
                outbound: None,
                rate: Rate::of_output(),
                mounts: Box::default(),
                dispatcher,
            })
        }
    }
}
