//! An invocation, from the door to its end.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use crate::abi::Run;
use crate::admission::Permit;
use crate::context::{Cancel, Cause, Context};
use crate::error::InvokeError;
use crate::function::{Deployed, Entry};
use crate::invocation::Invocation;
use crate::live::Listed;
use crate::message::{Request, Response};
use crate::outcome::Outcome;
use crate::trace::Trace;

/// Whose an invocation is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lineage {
    /// The invocation that called it.
    pub(crate) parent: Option<u64>,
    /// How many callers it has, one above the other.
    pub(crate) depth: u32,
    /// Its step of a trace, where a function called it.
    pub(crate) trace: Option<Trace>,
}

/// An invocation that was let in.
pub(crate) struct Running<'a> {
    function: &'a Deployed,
    invocation: Invocation<'a>,
    _listed: Option<Listed<'a>>,
    _permit: Permit<'a>,
}

impl Shared {
    /// The function of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        let function = self.functions.find(name);
        function.ok_or_else(|| InvokeError::refused(name.into(), Outcome::NotFound))
    }

    /// Runs a function under a context of its own, and ends that.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the invocation and ends the guest at once.
    pub(super) async fn run(
        &self,
        function: &Entry,
        (ctx, cancel): (Context, Cancel),
        request: Request,
        lineage: Lineage,
    ) -> Result<Response, InvokeError> {
        let result = match self.start(function, &ctx, request, lineage) {
            Ok(running) => running.finish().await,
            Err(error) => Err(error),
        };
        // Everything that the guest started ends with it.
        cancel.cancel_with(Cause::ParentDone);
        result
    }

    /// Lets an invocation in, under a context of its own, which whoever
    /// derived it ends afterwards.
    pub(crate) fn start<'a>(
        &'a self,
        function: &'a Entry,
        ctx: &'a Context,
        request: Request,
        lineage: Lineage,
    ) -> Result<Running<'a>, InvokeError> {
        let refused = |outcome| InvokeError::refused(function.name.clone(), outcome);
        let permit = match lineage.parent {
            None => self.admission.admit(),
            Some(_) => self.admission.admit_callee(),
        };
        let permit = permit.map_err(refused)?;
        if let (Some(done), Some(cause)) = (ctx.err(), ctx.cause()) {
            return Err(refused(Outcome::Done(done, cause)));
        }
        let limit = function.limits.request_body;
        if request.body().len().is_some_and(|len| len > limit) {
            return Err(refused(Outcome::BodyTooLarge { limit }));
        }
        let started = Instant::now();
        let listed = self.live.enter(&function.name, lineage.parent, ctx, started);
        let id = listed.as_ref().map(|listed| listed.id);
        let run =
            Run::new(ctx.clone(), request, limit, started).named(id, lineage.depth, lineage.trace);
        let invocation = Invocation::start(&self.engine, function, ctx, run).map_err(refused)?;
        Ok(Running { function, invocation, _listed: listed, _permit: permit })
    }
}

impl Running<'_> {
    /// Runs it to its end. The response's extensions hold its [`Usage`](crate::Usage).
    ///
    /// # Cancel safety
    /// As that of [`Runtime::invoke`].
    pub(crate) async fn finish(self) -> Result<Response, InvokeError> {
        let (result, usage) = self.invocation.finish().await;
        match result {
            Ok(mut response) => {
                response.extensions_mut().insert(usage);
                Ok(response)
            }
            Err(outcome) => Err(InvokeError::new(self.function.name.clone(), outcome, usage)),
        }
    }
}
