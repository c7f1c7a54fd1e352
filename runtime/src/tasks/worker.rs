//! A worker: a tokio task that runs tasks of a group, one after the other.

use std::sync::Arc;
use std::time::Instant;

use super::group::Shared;
use super::queue::Submitted;
use super::task::TaskResult;
use crate::body::Response;
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
}

impl Worker {
    /// Starts a worker, which the group has already counted.
    pub(super) fn start(group: &Arc<Shared>) {
        let worker = Self { group: group.clone(), current: None, has_ended: false };
        tokio::spawn(worker.run());
    }

    /// Runs tasks until there are no more.
    async fn run(mut self) {
        let mut ended = None;
        while self.next(ended.take()) {
            // An invocation that ends at once never yields; other tasks of the
            // thread run as well.
            tokio::task::consume_budget().await;
            let Some(current) = &mut self.current else { return };
            let result = current.submitted.task.run(&self.group.ctx).await;
            ended = self.current.take().map(|current| current.into_result(result));
        }
    }

    /// Hands in a result and takes the next task; false means that there is
    /// nothing to do.
    fn next(&mut self, result: Option<TaskResult>) -> bool {
        let next = self.group.turn(result);
        self.has_ended = next.is_none();
        let current = |submitted| Current { submitted, started: Instant::now() };
        self.current = next.map(current);
        !self.has_ended
    }
}

impl Current {
    fn into_result(self, result: Result<Response, InvokeError>) -> TaskResult {
        let Self { submitted: Submitted { id, mut task, at }, started } = self;
        TaskResult {
            id,
            label: task.take_label(),
            result,
            attempts: task.attempts(),
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
