//! A guest's calls of other functions, and its requests to other hosts.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::handles::{HandleTable, Resource};
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::guest::capabilities::{Capabilities, Ended, HeldFailure, StartedCall};
use crate::limits::bytes::ByteBudget;
#[cfg(feature = "server")]
use crate::outbound::Fetch;
use crate::outcome::{Outcome, Usage};
use crate::spawn::Task;

/// The calls of one invocation.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) open: HandleTable<Pending>,
    /// The calls that the guest detached.
    detached: Vec<Pending>,
    /// How many were made in all.
    pub(crate) made: u32,
    budget: Option<Arc<ByteBudget>>,
}

/// One call. Dropping it cancels a call that still runs, because its caller is
/// done.
pub(crate) struct Pending {
    callee: Arc<str>,
    /// The budget that holds its response.
    budget: Arc<ByteBudget>,
    task: Task<Ended>,
    /// The callee's context, until the callee has ended.
    ctx: Option<Context>,
    /// Its result, if it has ended.
    pub(crate) ended: Option<Ended>,
    /// Whether the call may outlive the invocation.
    free: bool,
}

impl Resource for Pending {
    const NAME: &'static str = "call";
    const FIRST: u32 = 1;
    /// Refused ones count: each may hold a text of 1 KiB.
    const MAX: usize = hourglass_abi::limit::CALLS;
}

impl Calls {
    /// The budget for responses that the guest has not taken yet, of `limit`
    /// bytes.
    pub(crate) fn budget(&mut self, limit: u64) -> Arc<ByteBudget> {
        self.budget.get_or_insert_with(|| ByteBudget::new(limit)).clone()
    }

    /// Releases a handle while its call continues.
    pub(crate) fn detach(&mut self, handle: u32) {
        if let Some(pending) = self.open.remove(handle)
            && pending.ended.is_none()
        {
            self.detached.push(pending);
        }
    }

    /// Ends the calls. Returns those that were detached under a context that
    /// outlives the invocation.
    pub(crate) fn cancel_all(&mut self) -> Vec<Pending> {
        self.open = HandleTable::default();
        self.detached.drain(..).filter(|pending| pending.free).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.detached.is_empty()
    }
}

impl Pending {
    /// A call under way.
    pub(crate) fn new(called: StartedCall, budget: Arc<ByteBudget>, free: bool) -> Self {
        let StartedCall { callee, run, ctx } = called;
        Self { callee, budget, task: Task::New(run), ctx: Some(ctx), ended: None, free }
    }

    /// A call that was refused.
    pub(crate) fn refused(callee: Arc<str>, budget: Arc<ByteBudget>, error: &InvokeError) -> Self {
        let ended = Some(Err(HeldFailure::new(&budget, error)));
        Self { callee, budget, task: Task::Over, ctx: None, ended, free: false }
    }

    /// Makes it a task.
    pub(crate) fn spawn(&mut self, capabilities: &Capabilities) {
        self.task.spawn(|run| capabilities.spawn(run));
    }

    /// Polls it. Ready once it has ended.
    pub(crate) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        capabilities: &Capabilities,
    ) -> Poll<()> {
        if self.ended.is_some() {
            return Poll::Ready(());
        }
        let Poll::Ready(ended) = self.task.poll(cx, |run| capabilities.spawn(run)) else {
            return Poll::Pending;
        };
        self.ctx = None;
        self.ended = Some(ended.unwrap_or_else(|error| {
            let outcome = Outcome::Host(format!("its task failed: {error}"));
            let error = InvokeError::new(self.callee.clone(), outcome, Usage::default());
            Err(HeldFailure::new(&self.budget, &error))
        }));
        Poll::Ready(())
    }

    /// Waits until it has ended. It must be a task.
    pub(crate) async fn wait(mut self) {
        std::mem::replace(&mut self.task, Task::Over).join().await;
        self.ctx = None;
    }

    /// Its processor time.
    pub(crate) fn cpu(&self) -> Duration {
        match &self.ended {
            Some(Ok(held)) => held.cpu,
            Some(Err(failed)) => failed.cpu,
            None => Duration::ZERO,
        }
    }

    /// Cancels it. The rest of its run, at most its grace period, continues as
    /// a task.
    pub(crate) fn cancel(mut self, cause: Cause) {
        if let Some(ctx) = self.ctx.take() {
            ctx.end(cause);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(ctx) = self.ctx.take() {
            ctx.end(Cause::ParentDone);
        }
    }
}

#[cfg(feature = "server")]
impl Resource for Fetch {
    const NAME: &'static str = "fetch";
    /// Calls never have such a handle, so one list may contain both.
    const FIRST: u32 = 1 << 30;
    /// Refused and finished ones count: each holds a response's head.
    const MAX: usize = hourglass_abi::limit::FETCHES;
}

/// Whether a handle belongs to a fetch.
#[cfg(feature = "server")]
pub(crate) fn is_fetch(handle: u32) -> bool {
    handle & Fetch::FIRST != 0
}

/// The fetches of one invocation.
#[cfg(feature = "server")]
#[derive(Default)]
pub(crate) struct Fetches {
    pub(crate) open: HandleTable<Fetch>,
    /// How many were made in all.
    pub(crate) made: u32,
}
