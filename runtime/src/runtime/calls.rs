//! Calls between functions: by name, under a child of the context that the
//! caller names, without a network hop.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

#[cfg(feature = "server")]
use super::Runtime;
use super::Shared;
use super::host_functions::Provided;
use super::invoke::CallInfo;
use crate::body::Request;
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::{CallerInfo, Dispatcher, HeldFailure, HeldResponse, StartedCall};
use crate::log::{self, Rate};
use crate::outcome::Outcome;
use crate::propagation::trace::TRACE;

impl Dispatcher for Shared {
    fn call(
        self: Arc<Self>,
        caller: CallerInfo,
        ctx: &Context,
        name: &str,
        mut request: Request,
    ) -> Result<StartedCall, InvokeError> {
        let CallerInfo { id, depth, trace, tree, spans, budget, head } = caller;
        let refused = |outcome| self.refuse(name, outcome);
        if depth >= self.max_depth {
            return Err(refused(Outcome::DepthExceeded { limit: self.max_depth }));
        }
        let callee = self.callee(name)?;
        let begun = self.admission.begin_call(&tree).map_err(refused)?;
        let step = trace.child();
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
        let run = Box::pin(async move {
            let _held = (head, begun);
            let (depth, tree) = (depth + 1, Some(tree));
            let info = CallInfo { parent: id, depth, trace: Some(step), tree, spans };
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
        });
        Ok(StartedCall { callee: called, run, ctx: callee_ctx })
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
    fn callee(&self, name: &str) -> Result<Callee, InvokeError> {
        let deployed = self.functions.find(name).map(Callee::Function);
        let callee = deployed.or_else(|| self.provided.find(name).map(Callee::Provided));
        callee.ok_or_else(|| self.refuse(name, Outcome::NotFound))
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
