//! An invocation, from the door to its end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::Shared;
use crate::abi::{Outlet, Run};
use crate::admission::Permit;
use crate::bounds;
use crate::context::{Cancel, Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::invocation::Invocation;
use crate::live::Live;
use crate::message::{Request, Response};
use crate::outcome::{Outcome, Usage};
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
    live: &'a Live,
    id: Option<u64>,
    parent: Option<u64>,
    function: &'a Entry,
    ctx: &'a Context,
    started: Instant,
    invocation: Invocation<'a>,
    _permit: Permit<'a>,
}

impl Shared {
    /// The function of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        let function = self.functions.find(name);
        function.ok_or_else(|| {
            let name = bounds::cut(name, bounds::TEXT);
            InvokeError::refused(name.into(), Outcome::NotFound)
        })
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
    ) -> Result<(Response, Usage), InvokeError> {
        let result = match self.start(function, &ctx, request, lineage, None) {
            Ok(running) => running.finish().await,
            Err(error) => Err(error),
        };
        // Everything that the guest started ends with it.
        cancel.cancel_with(Cause::ParentDone);
        result
    }

    /// Lets an invocation in, under a context of its own, which whoever
    /// derived it ends afterwards. What the guest streams goes through `outlet`
    /// before it has ended, where there is one.
    pub(crate) fn start<'a>(
        &'a self,
        function: &'a Entry,
        ctx: &'a Context,
        request: Request,
        lineage: Lineage,
        outlet: Option<Outlet>,
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
        let id = self.live.id();
        let run = Run::new(ctx.clone(), request, limit, started)
            .named(id, lineage.depth, lineage.trace)
            .through(outlet);
        let invocation = Invocation::start(&self.engine, function, ctx, run).map_err(refused)?;
        let (live, parent) = (&self.live, lineage.parent);
        Ok(Running { live, id, parent, function, ctx, started, invocation, _permit: permit })
    }
}

impl Running<'_> {
    /// Runs it to its end.
    ///
    /// # Cancel safety
    /// As that of [`Runtime::invoke`].
    pub(crate) async fn finish(self) -> Result<(Response, Usage), InvokeError> {
        let Self { live, id, parent, function, ctx, started, invocation, _permit } = self;
        let mut finishing = pin!(invocation.finish());
        let first = poll_fn(|cx| Poll::Ready(finishing.as_mut().poll(cx))).await;
        let (result, usage) = match first {
            Poll::Ready(ended) => ended,
            Poll::Pending => {
                let _listed = live.enter(id, &function.name, parent, ctx, started);
                finishing.await
            }
        };
        match result {
            Ok(response) => Ok((response, usage)),
            Err(outcome) => Err(InvokeError::new(function.name.clone(), outcome, usage)),
        }
    }
}
