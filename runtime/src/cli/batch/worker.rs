//! A worker: a tokio task that takes lines, runs their jobs, and writes the results,
//! one after the other.
//!
//! A job stays on the thread that runs it, from the line to the line of its result:
//! to pass requests and responses between threads costs more than a short job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::output::Sink;
use super::resume::Resume;
use super::source::{Source, Taken};
use crate::batch::{self, Ended, Entry, Job, Parser};
use crate::context::{Cancel, Cause, Context};
use crate::tasks::{GroupEnd, Task};

/// What the workers of a batch share.
pub(super) struct Shared {
    /// The parent of all jobs.
    pub(super) ctx: Context,
    pub(super) cancel: Cancel,
    pub(super) source: Arc<Source>,
    pub(super) sink: Arc<Sink>,
    pub(super) parser: Parser,
    pub(super) resume: Arc<Resume>,
    /// The task of a job, without its request.
    pub(super) task: Task,
    pub(super) fail_fast: bool,
    /// The number of workers. Those with a higher index end.
    pub(super) concurrency: AtomicUsize,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    /// A context of its own: with one for all, the cores would contend for it.
    ctx: Context,
    _cancel: Cancel,
    task: Task,
    /// The line of the result.
    text: Vec<u8>,
}

impl Worker {
    /// Runs jobs until there are no more, or fewer workers are wanted.
    pub(super) async fn run(shared: Arc<Shared>, index: usize) {
        let (ctx, cancel) = shared.ctx.with_cancel();
        let task = shared.task.clone();
        let mut worker = Self { shared, ctx, _cancel: cancel, task, text: Vec::new() };
        let mut line = Taken::default();
        while worker.is_wanted(index) && worker.shared.source.next(&mut line).await {
            // An invocation that ends at once never yields; other tasks of the
            // thread run as well.
            tokio::task::consume_budget().await;
            let is_written = match worker.shared.parser.entry(&line.line()) {
                Entry::Rejected(rejected) => worker.reject(&rejected).await,
                Entry::Job { line: number, job: Job { id, request } } => {
                    let earlier = worker.shared.resume.earlier_attempts(number);
                    worker.task.renew(request, earlier);
                    let started = Instant::now();
                    let result = worker.task.run(&worker.ctx).await;
                    let ended = Ended {
                        result,
                        attempts: worker.task.attempts().saturating_add(earlier),
                        waited: line.read.map_or(Duration::ZERO, |read| started - read),
                        took: started.elapsed(),
                    };
                    worker.write(number, &id, ended).await
                }
            };
            if !is_written {
                return;
            }
        }
    }

    fn is_wanted(&self, index: usize) -> bool {
        index < self.shared.concurrency.load(Ordering::Relaxed)
    }

    /// Writes the result of a job. False means that the worker ends.
    async fn write(&mut self, line: u64, id: &batch::Id, ended: Ended) -> bool {
        if self.task.attempts() == 0 {
            // The batch has ended before the job began: a resumed batch runs it.
            self.shared.source.leave_out();
            return false;
        }
        let (took, attempts, failure) = (ended.took, ended.attempts, ended.failure());
        let has_failed = failure.is_some();
        self.text.clear();
        batch::write(&mut self.text, line, id, ended);
        let count = |tally: &mut super::Tally| tally.add(took, attempts, failure);
        let is_added = self.shared.sink.add(&self.text, count).await;
        self.after(has_failed);
        is_added
    }

    /// Writes that a line is no job.
    async fn reject(&mut self, rejected: &batch::Rejected) -> bool {
        self.text.clear();
        batch::write_rejected(&mut self.text, rejected);
        let name = rejected.outcome.name().to_owned();
        let is_added = self.shared.sink.add(&self.text, |tally| tally.add_failure(name)).await;
        self.after(true);
        is_added
    }

    /// Ends the batch after a failure, if it must not have one.
    fn after(&self, has_failed: bool) {
        if has_failed && self.shared.fail_fast {
            self.shared.cancel.cancel_with(Cause::custom(GroupEnd::Failed));
        }
    }
}
