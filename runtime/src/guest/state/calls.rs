//! The handle table of a guest's calls.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use slab::Slab;

use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::guest::Misuse;
use crate::guest::capabilities::{Called, Ended, Failed, Reach};
use crate::limits::bytes::Room;
use crate::outcome::{Outcome, Usage};
use crate::spawn::Task;

/// The most calls with a handle at once, including refused ones: each may hold
/// a text of 1 KiB.
pub(crate) const MOST: usize = hourglass_abi::limit::CALLS;

/// The calls of one invocation.
#[derive(Default)]
pub(crate) struct Calls {
    open: Slab<Pending>,
    /// The calls that the guest detached.
    detached: Vec<Pending>,
    /// How many were made in all.
    pub(crate) made: u32,
    room: Option<Arc<Room>>,
}

/// One call. Dropping it cancels a call that still runs, because its caller is
/// done.
pub(crate) struct Pending {
    callee: Arc<str>,
    /// The budget that holds its response.
    room: Arc<Room>,
    task: Task<Ended>,
    /// The callee's context, until the callee has ended.
    ctx: Option<Context>,
    ended: Option<Ended>,
    /// Whether the call may outlive the invocation.
    free: bool,
}

impl Calls {
    /// The budget for responses that the guest has not taken yet, of `limit`
    /// bytes.
    pub(crate) fn room(&mut self, limit: u64) -> Arc<Room> {
        self.room.get_or_insert_with(|| Room::new(limit)).clone()
    }

    /// Gives a call a handle.
    ///
    /// # Errors
    /// Too many handles were not released.
    pub(crate) fn add(&mut self, pending: Pending) -> Result<i32, Misuse> {
        if self.open.len() >= MOST {
            return Err(Misuse(format!("it has {MOST} calls open, which is the most")));
        }
        // 0 is not a handle.
        Ok(i32::try_from(self.open.insert(pending) + 1).unwrap_or(i32::MAX))
    }

    /// The call of a handle.
    ///
    /// # Errors
    /// The handle is not known.
    pub(crate) fn get(&mut self, handle: u32) -> Result<&mut Pending, Misuse> {
        let place = place(handle);
        place.and_then(|at| self.open.get_mut(at)).ok_or_else(|| Misuse::unknown("call", handle))
    }

    /// Releases a handle.
    pub(crate) fn remove(&mut self, handle: u32) -> Option<Pending> {
        self.open.try_remove(place(handle)?)
    }

    /// Releases a handle while its call continues.
    pub(crate) fn detach(&mut self, handle: u32) {
        if let Some(pending) = self.remove(handle)
            && pending.ended.is_none()
        {
            self.detached.push(pending);
        }
    }

    /// Polls the call of a handle. Ready once it has ended.
    pub(crate) fn poll(
        &mut self,
        handle: u32,
        cx: &mut TaskContext<'_>,
        reach: &Reach,
    ) -> Poll<()> {
        match place(handle).and_then(|at| self.open.get_mut(at)) {
            Some(pending) => pending.poll(cx, reach),
            None => Poll::Pending,
        }
    }

    /// Ends the calls. Returns those that were detached under a context that
    /// outlives the invocation.
    pub(crate) fn leave(&mut self) -> Vec<Pending> {
        self.open.clear();
        self.detached.drain(..).filter(|pending| pending.free).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.detached.is_empty()
    }
}

/// The index of a handle's call.
fn place(handle: u32) -> Option<usize> {
    (handle as usize).checked_sub(1)
}

impl Pending {
    /// A call under way.
    pub(crate) fn new(called: Called, room: Arc<Room>, free: bool) -> Self {
        let Called { callee, run, ctx } = called;
        Self { callee, room, task: Task::New(run), ctx: Some(ctx), ended: None, free }
    }

    /// A call that was refused.
    pub(crate) fn refused(callee: Arc<str>, room: Arc<Room>, error: &InvokeError) -> Self {
        let ended = Some(Err(Failed::new(&room, error)));
        Self { callee, room, task: Task::Over, ctx: None, ended, free: false }
    }

    /// Makes it a task.
    pub(crate) fn spawn(&mut self, reach: &Reach) {
        self.task.spawn(|run| reach.spawn(run));
    }

    /// Polls it. Ready once it has ended.
    pub(crate) fn poll(&mut self, cx: &mut TaskContext<'_>, reach: &Reach) -> Poll<()> {
        if self.ended.is_some() {
            return Poll::Ready(());
        }
        let Poll::Ready(ended) = self.task.poll(cx, |run| reach.spawn(run)) else {
            return Poll::Pending;
        };
        self.ctx = None;
        self.ended = Some(ended.unwrap_or_else(|error| {
            let outcome = Outcome::Host(format!("its task failed: {error}"));
            let error = InvokeError::new(self.callee.clone(), outcome, Usage::default());
            Err(Failed::new(&self.room, &error))
        }));
        Poll::Ready(())
    }

    /// Waits until it has ended. It must be a task.
    pub(crate) async fn wait(mut self) {
        std::mem::replace(&mut self.task, Task::Over).join().await;
        self.ctx = None;
    }

    /// Its result, if it has ended.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Its processor time.
    pub(crate) fn cpu(&self) -> Duration {
        match &self.ended {
            Some(Ok(held)) => held.cpu,
            Some(Err(failed)) => failed.usage.cpu,
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
