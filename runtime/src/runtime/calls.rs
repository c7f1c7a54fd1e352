//! Calls between functions: by name, under a child of the context that the
//! caller names, without a network hop.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::Instrument as _;

#[cfg(feature = "server")]
use super::Runtime;
use super::Shared;
use super::host_functions::Provided;
use super::invoke::CallInfo;
use crate::body::{Request, Response};
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::{CallerInfo, Dispatcher, HeldFailure, HeldResponse, StartedCall};
use crate::log::{self, Rate};
use crate::outcome::Outcome;
use crate::propagation::trace::TRACE;
use crate::telemetry::{Start, spans};

impl Dispatcher for Shared {
    fn call(
        self: Arc<Self>,
        caller: CallerInfo,
        ctx: &Context,
        name: &str,
        mut request: Request,
    ) -> Result<StartedCall, InvokeError> {
        let CallerInfo { id, depth, trace, tree, spans, budget, head } = caller;
        let refused = |outcome| {
            let (name, call) = (&name.into(), trace.child());
            let start = Start::unknown(name, ctx, (id, Some(call)), None);
            let called = (Some(call.child()), spans.clone());
            self.refuse_start(start, Duration::ZERO, called, outcome)
        };
        if depth >= self.max_depth {
            return Err(refused(Outcome::DepthExceeded { limit: self.max_depth }));
        }
        let callee = self.callee(name).ok_or_else(|| refused(Outcome::NotFound))?;
        let begun = self.admission.begin_call(&tree).map_err(refused)?;
        let call = trace.child();
        let step = call.child();
        let guarded = match &callee {
            Callee::Function(_) => ctx.with_timeout(callee.timeout()),
            Callee::Provided(_) => {
                // The budget in which a function on another host collects its
                // response.
                request.extensions_mut().insert(budget.clone());
                // The context is the only carrier of its span.
                ctx.with_value(&TRACE, step).with_timeout(callee.timeout())
            }
        };
        let (ctx, cancel) = guarded;
        let (called, callee_ctx) = (callee.name().clone(), ctx.clone());
        let span = spans::call(name, call);
        let run = async move {
            let _held = (head, begun);
            let (depth, tree) = (depth + 1, Some(tree));
            let (trace, call) = (Some(step), Some(call));
            let info =
                CallInfo { parent: id, depth, trace, call, tree, spans, ..CallInfo::default() };
            let ended = match &callee {
                Callee::Function(function) => self.run(function, &ctx, request, info, None).await,
                // Boxed, so that it does not enlarge the future of every other
                // call.
                Callee::Provided(provided) => {
                    Box::pin(self.run_provided(provided, &ctx, request, info)).await
                }
            };
            // Everything that the callee started ends with it.
            cancel.cancel_with(Cause::ParentDone);
            let held = ended.and_then(|(response, usage)| {
                let (status, rate) = (response.status().as_u16(), callee.failures());
                log::success(callee.name(), &ctx, Some(step), status, usage, Some(rate));
                let held = HeldResponse::new(&budget, response, usage.cpu);
                held.map_err(|outcome| InvokeError::new(callee.name().clone(), outcome, usage))
            });
            held.map_err(|error| {
                log::failure(&error, &ctx, Some(step), None, Some(callee.failures()));
                HeldFailure::new(&budget, &error)
            })
        };
        let run = Box::pin(run.instrument(span));
        Ok(StartedCall { callee: called, run, ctx: callee_ctx })
    }

    fn enqueue(
        self: Arc<Self>,
        caller: CallerInfo,
        ctx: &Context,
        name: &Arc<str>,
        request: Request,
    ) -> Result<StartedCall, InvokeError> {
        let CallerInfo { trace, budget, head, .. } = caller;
        let Some(queue) = self.queue.get() else {
            let text = "the host has no queue of jobs; start it with `--jobs DIR`";
            return Err(self.refuse(name.clone(), Outcome::BadRequest(text.to_owned())));
        };
        // The attempts of the job are children of the caller's span.
        let (ctx, cancel) = ctx.with_value(&TRACE, trace).with_cancel();
        let (function, submitting_ctx) = (name.clone(), ctx.clone());
        let run = Box::pin(async move {
            let (_held, _cancel) = (head, cancel);
            let submitted = tokio::select! {
                biased;
                submitted = queue.enqueue(submitting_ctx.clone(), function.clone(), request) => submitted,
                done = submitting_ctx.done() => {
                    Err(Outcome::Done(done, submitting_ctx.cause().unwrap_or(Cause::Canceled)))
                }
            };
            let refused = |outcome| InvokeError::refused(function.clone(), outcome);
            let held = submitted.and_then(|id| {
                HeldResponse::new(&budget, Response::new(id.into()), Duration::ZERO)
            });
            held.map_err(|outcome| HeldFailure::new(&budget, &refused(outcome)))
        });
        Ok(StartedCall { callee: name.clone(), run, ctx })
    }

    fn refused(&self, outcome: &Outcome) {
        self.telemetry.refused(outcome);
    }

    fn root(&self) -> &Context {
        &self.root
    }

    fn tasks(&self) -> Option<Handle> {
        self.tasks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(feature = "server")]
impl Runtime {
    /// Runs calls that take longer as tasks of the current tokio runtime,
    /// instead of the runtime that polls their caller.
    pub(crate) fn run_calls_here(&self) {
        *self.0.tasks.write().unwrap_or_else(PoisonError::into_inner) = Some(Handle::current());
    }
}

/// The target of a call.
enum Callee {
    Function(Arc<Entry>),
    Provided(Arc<Provided>),
}

impl Shared {
    fn callee(&self, name: &str) -> Option<Callee> {
        let deployed = self.functions.find(name).map(Callee::Function);
        deployed.or_else(|| self.provided.find(name).map(Callee::Provided))
    }
}

impl Callee {
    fn name(&self) -> &Arc<str> {
        match self {
            Self::Function(function) => &function.name,
            Self::Provided(provided) => &provided.name,
        }
    }

    fn failures(&self) -> &Rate {
        match self {
            Self::Function(function) => &function.failures,
            Self::Provided(provided) => &provided.failures,
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Self::Function(function) => function.limits.timeout,
            Self::Provided(provided) => provided.timeout,
        }
    }
}
