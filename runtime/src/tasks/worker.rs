//! A worker: a tokio task that runs tasks of a group, one after the other.

use std::sync::Arc;
use std::time::Instant;

use super::group::Shared;
use super::queue::Submitted;
use super::task::TaskResult;
use crate::body::Response;
use crate::context::Context;
use crate::error::InvokeError;
use crate::outcome::Outcome;

/// A worker. If it is dropped in the middle of a task, with its tokio runtime or
/// by a panic, the task still has a result.
pub(super) struct Worker {
    group: Arc<Shared>,
    current: Option<Current>,
    has_ended: bool,
}

/// The task that a worker runs.
struct Current {
    submitted: Submitted,
    started: Instant,
    attempts: u32,
}

impl Worker {
    /// Starts a worker, which the group has already counted.
    pub(super) fn start(group: &Arc<Shared>) {
        let worker = Self { group: group.clone(), current: None, has_ended: false };
        tokio::spawn(worker.run());
    }

    async fn run(mut self) {
        let mut result = None;
        while self.next(result.take()) {
            // An invocation that ends at once never yields; other tasks of the
            // thread run as well.
            tokio::task::consume_budget().await;
            result = self.execute().await;
        }
    }

    /// Hands in a result and takes the next task; false means that there is
    /// nothing to do.
    fn next(&mut self, result: Option<TaskResult>) -> bool {
        let next = self.group.turn(result);
        self.has_ended = next.is_none();
        let current = |submitted| Current { submitted, started: Instant::now(), attempts: 0 };
        self.current = next.map(current);
        !self.has_ended
    }

    /// Runs the current task with its retries.
    async fn execute(&mut self) -> Option<TaskResult> {
        let ctx = &self.group.ctx;
        let current = self.current.as_mut()?;
        let result = match ended(ctx, current.submitted.task.function()) {
            Some(error) => Err(error),
            None => current.attempts(ctx).await,
        };
        Some(self.current.take()?.into_result(result))
    }
}

impl Current {
    async fn attempts(&mut self, ctx: &Context) -> Result<Response, InvokeError> {
        let task = &mut self.submitted.task;
        loop {
            let is_last = self.attempts >= task.retry.retries();
            self.attempts += 1;
            let result = task.attempt(ctx, self.attempts, is_last).await;
            let Some(delay) = task.retry.next(self.attempts, &result) else { return result };
            tokio::select! {
                biased;
                // The failure of the last attempt stays the result.
                _ = ctx.done() => return result,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    fn into_result(self, result: Result<Response, InvokeError>) -> TaskResult {
        let Self { submitted: Submitted { id, mut task, at }, started, attempts } = self;
        TaskResult {
            id,
            label: task.take_label(),
            result,
            attempts,
            earlier_attempts: task.earlier(),
            waited: started - at,
            took: started.elapsed(),
        }
    }

    /// The result of a task that no worker continues.
    fn abandoned(self) -> TaskResult {
        let reason = "the tokio runtime of its task group has shut down, or it panicked";
        let outcome = Outcome::Host(reason.to_owned());
        let error = InvokeError::refused(self.submitted.task.function().into(), outcome);
        self.into_result(Err(error))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        while !self.has_ended {
            let result = self.current.take().map(Current::abandoned);
            self.next(result);
        }
    }
}

/// The result of a task that does not begin, because its group has ended.
fn ended(ctx: &Context, function: &str) -> Option<InvokeError> {
    let (done, cause) = (ctx.err()?, ctx.cause()?);
    Some(InvokeError::refused(function.into(), Outcome::Done(done, cause)))
}
