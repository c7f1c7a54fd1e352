//! An invocation, from the door to its end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::Shared;
use super::in_flight::Live;
use crate::admission::{CallPermit, CallTree, Permit};
use crate::body::{Request, Response};
use crate::context::{Cancel, Cause, Context};
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::{Outlet, Run};
use crate::invocation::Invocation;
use crate::limits::fixed;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::Trace;

/// Whose an invocation is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    /// The invocation that called it.
    pub(crate) parent: Option<u64>,
    /// How many callers it has, one above the other.
    pub(crate) depth: u32,
    /// Its step of a trace, where a function called it.
    pub(crate) trace: Option<Trace>,
    /// The call tree that it is part of, where a function called it.
    pub(crate) tree: Option<Arc<CallTree>>,
}

/// Its right to run, held until its end.
pub(super) enum Admitted<'a> {
    Root(#[expect(dead_code, reason = "held for its drop")] Permit<'a>),
    Call(#[expect(dead_code, reason = "held for its drop")] CallPermit),
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
    _permit: Admitted<'a>,
}

impl Shared {
    /// The function of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        let function = self.functions.find(name);
        function.ok_or_else(|| {
            let name = fixed::cut(name, fixed::TEXT);
            InvokeError::refused(name.into(), Outcome::NotFound)
        })
    }

    /// Lets an invocation in under a context of its own. A root starts at once
    /// or not at all; a call may have to wait.
    pub(super) async fn admit(
        &self,
        lineage: &Lineage,
        ctx: &Context,
    ) -> Result<Admitted<'_>, Outcome> {
        Ok(match &lineage.tree {
            None => Admitted::Root(self.admission.admit()?),
            Some(tree) => {
                Admitted::Call(self.admission.admit_call(tree, lineage.depth, ctx).await?)
            }
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
        let running = match self.admit(&lineage, &ctx).await {
            Ok(permit) => self.begin(permit, function, &ctx, request, lineage, None),
            Err(outcome) => Err(InvokeError::refused(function.name.clone(), outcome)),
        };
        let result = match running {
            Ok(running) => running.finish().await,
            Err(error) => Err(error),
        };
        // Everything that the guest started ends with it.
        cancel.cancel_with(Cause::ParentDone);
        result
    }

    /// Starts a root under a context of its own, which its creator ends
    /// afterwards. What the guest streams goes through `outlet` before it has
    /// ended, where there is one.
    pub(crate) fn start<'a>(
        &'a self,
        function: &'a Entry,
        ctx: &'a Context,
        request: Request,
        outlet: Option<Outlet>,
    ) -> Result<Running<'a>, InvokeError> {
        let permit = self.admission.admit();
        let permit =
            permit.map_err(|outcome| InvokeError::refused(function.name.clone(), outcome))?;
        let root = Lineage::default();
        self.begin(Admitted::Root(permit), function, ctx, request, root, outlet)
    }

    /// Gives an invocation that was let in its instance.
    fn begin<'a>(
        &'a self,
        permit: Admitted<'a>,
        function: &'a Entry,
        ctx: &'a Context,
        request: Request,
        lineage: Lineage,
        outlet: Option<Outlet>,
    ) -> Result<Running<'a>, InvokeError> {
        let refused = |outcome| InvokeError::refused(function.name.clone(), outcome);
        if let (Some(done), Some(cause)) = (ctx.err(), ctx.cause()) {
            return Err(refused(Outcome::Done(done, cause)));
        }
        let limit = function.limits.request_body;
        if request.body().len().is_some_and(|len| len > limit) {
            return Err(refused(Outcome::BodyTooLarge { limit }));
        }
        let started = Instant::now();
        let id = self.live.id();
        let Lineage { parent, depth, trace, tree } = lineage;
        let run = Run::new(ctx.clone(), request, limit, started)
            .named(id, depth, trace)
            .within(tree)
            .through(outlet);
        let invocation = Invocation::start(&self.engine, function, ctx, run).map_err(refused)?;
        let live = &self.live;
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
