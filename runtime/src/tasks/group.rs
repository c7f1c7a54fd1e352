//! The group that its user holds.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::policy::Policy;
use super::queue::{Queue, Submission, Submitted};
use super::results::Results;
use super::task::{Task, TaskId, TaskResult};
use super::worker::Worker;
use crate::context::{Cancel, Cause, Context};
use crate::cores;
use crate::sync::lock;

/// Invocations that run together under one context, a bounded number at once.
///
/// Tasks are [submitted](Self::submit), which waits for room, and their
/// [results](Self::results) are a stream. Each task has exactly one result, also
/// if the group ends before the task begins; only [`withdraw`](Self::withdraw)
/// takes a task back.
///
/// The group is the parent of its tasks. It is closed when its last clone is
/// dropped. When its last [`Results`] is dropped as well, its tasks are canceled
/// with [`Cause::ParentDone`], and have their grace.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use hourglass::{Context, Retry, Task, TaskGroup};
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(60));
/// let group = TaskGroup::new(&ctx).parallelism(64);
/// for number in 0..10_000 {
///     let request = http::Request::get(format!("/hello/{number}")).body("")?;
///     let task = Task::new(&runtime, "hello", request).retry(Retry::times(2));
///     group.submit(task).await?;
/// }
/// for ended in group.wait().await {
///     println!("{}: {} attempts", ended.id, ended.attempts);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A group that runs longer than its caller wants to wait is shut down: see
/// [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct TaskGroup(Arc<Submitter>);

/// The right to submit, which all clones of a group share. The group is closed
/// with it.
struct Submitter(Arc<Owner>);

/// The interest in a group's results, which a group and its [`Results`] share. The
/// tasks are canceled with it.
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
}

/// What the group, its results and its workers share.
pub(super) struct Shared {
    /// The parent of all tasks.
    pub(super) ctx: Context,
    cancel: Cancel,
    queue: Mutex<Queue>,
    /// Wakes submitters when there is room.
    room: Notify,
    /// Wakes those who wait for the end.
    over: Notify,
}

/// The group accepts no more tasks: it was closed, its policy ended it, or its
/// context is done. Returns the task.
#[derive(Debug, thiserror::Error)]
#[error("the task group is closed")]
pub struct GroupClosed(
    /// The task that was not submitted.
    pub Box<Task>,
);

impl TaskGroup {
    /// Creates a group whose tasks run under a child of `ctx`. When `ctx` is done
    /// the group is closed, and its tasks end with it.
    ///
    /// It must be called on a tokio runtime with time enabled. The tasks run on
    /// that one.
    pub fn new(ctx: &Context) -> Self {
        let (ctx, cancel) = ctx.with_cancel();
        let shared = Arc::new(Shared {
            ctx: ctx.clone(),
            cancel,
            queue: Mutex::new(Queue::new(cores::count())),
            room: Notify::new(),
            over: Notify::new(),
        });
        let closed = Arc::downgrade(&shared);
        ctx.after_func(move || {
            if let Some(shared) = closed.upgrade() {
                shared.close();
            }
        });
        Self(Arc::new(Submitter(Arc::new(Owner { shared }))))
    }

    /// Sets how many tasks run at once. As many more may wait. Default: the number
    /// of cores. More suits functions that wait, for a clock or for other hosts;
    /// beyond the runtime's `max_in_flight` tasks fail as
    /// [`Outcome::Busy`](crate::Outcome::Busy).
    ///
    /// A task that waits for its next attempt counts as running.
    #[must_use]
    pub fn parallelism(self, tasks: usize) -> Self {
        self.set_parallelism(tasks);
        self
    }

    /// Sets when the remaining tasks are ended. Default: [`Policy::Collect`].
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.shared().lock(|queue| queue.policy = policy);
        self
    }

    /// Bounds the tasks whose results were not taken: at the bound,
    /// [`submit`](Self::submit) waits until results are taken. At least 1. Default:
    /// no bound, which suits [`wait`](Self::wait); a result holds its response.
    #[must_use]
    pub fn unread(self, tasks: usize) -> Self {
        self.shared().lock(|queue| queue.unread = tasks.max(1));
        self
    }

    /// Changes how many tasks run at once, at least 1. If it is fewer than run
    /// now, that many continue until some have ended.
    pub fn set_parallelism(&self, tasks: usize) {
        let shared = self.shared();
        let workers = shared.lock(|queue| {
            queue.parallelism = tasks.max(1);
            queue.add_workers()
        });
        (0..workers).for_each(|_| Worker::start(shared));
        shared.room.notify_waiters();
    }

    /// The context of the group, the parent of its tasks'.
    pub fn context(&self) -> &Context {
        &self.shared().ctx
    }

    /// The number of tasks that run or wait.
    pub fn unfinished(&self) -> usize {
        self.shared().lock(|queue| queue.unfinished())
    }

    /// Submits a task, and waits until there is room for it. Returns its number.
    /// While all workers are busy, a submission that waits continues once half of
    /// the tasks that wait have begun.
    ///
    /// # Errors
    /// [`GroupClosed`], with the task.
    ///
    /// # Cancel safety
    /// Dropping the future drops the task, which then does not run.
    pub async fn submit(&self, task: Task) -> Result<TaskId, GroupClosed> {
        let shared = self.shared();
        let mut submission = shared.submit(task);
        loop {
            let task = match submission {
                Submission::Accepted { id, .. } => return Ok(id),
                Submission::Closed(task) => return Err(GroupClosed(Box::new(task))),
                Submission::Full(task) => task,
            };
            let room = shared.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            submission = shared.submit(task);
            if let Submission::Full(_) = submission {
                room.await;
            }
        }
    }

    /// Accepts no more tasks. Those that were submitted run.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Closes the group, and takes the tasks that have not begun: they do not begin,
    /// and have no result. Those that run continue.
    pub fn withdraw(&self) -> Vec<Task> {
        let waiting = self.shared().lock(Queue::withdraw);
        self.close();
        waiting.into_iter().map(|submitted| submitted.task).collect()
    }

    /// The results. See [`Results`].
    pub fn results(&self) -> Results {
        Results::new(self.0.0.clone())
    }

    /// Closes the group, waits until every task has ended, and returns all results
    /// that were not taken, in the order of submission.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the group closed and loses no result.
    pub async fn wait(&self) -> Vec<TaskResult> {
        self.close();
        self.shared().ended().await;
        self.rest()
    }

    /// Closes the group, and waits until every task has ended, but at most
    /// `within`. Then it cancels the rest with [`Cause::Shutdown`]: guests have
    /// their grace and are then interrupted, and tasks that have not begun do not
    /// begin. Returns all results that were not taken, in the order of submission.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the group closed and loses no result.
    pub async fn shutdown(&self, within: Duration) -> Vec<TaskResult> {
        self.close();
        let shared = self.shared();
        if tokio::time::timeout(within, shared.ended()).await.is_err() {
            self.cancel_with(Cause::Shutdown);
            shared.ended().await;
        }
        self.rest()
    }

    /// Closes the group, and cancels its tasks with that cause.
    pub fn cancel_with(&self, cause: Cause) {
        self.close();
        self.shared().cancel.cancel_with(cause);
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0.shared
    }

    fn rest(&self) -> Vec<TaskResult> {
        let mut results = self.shared().lock(|queue| queue.take(usize::MAX, None));
        results.sort_unstable_by_key(|ended| ended.id);
        results
    }
}

impl Shared {
    fn lock<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        change(&mut lock(&self.queue))
    }

    /// Submits a task, unless there is no room for it.
    fn submit(self: &Arc<Self>, task: Task) -> Submission {
        // Its deadline may have passed without a notice yet.
        if self.ctx.err().is_some() {
            self.close();
        }
        let submission = self.lock(|queue| queue.submit(task));
        if let Submission::Accepted { starts: true, .. } = submission {
            Worker::start(self);
        }
        submission
    }

    /// Takes the result of a worker's task, and returns its next task.
    pub(super) fn turn(&self, result: Option<TaskResult>) -> Option<Submitted> {
        let turn = self.lock(|queue| queue.turn(result));
        turn.readers.into_iter().for_each(Waker::wake);
        if let Some(end) = turn.end {
            self.cancel.cancel_with(Cause::custom(end));
        }
        if turn.has_room || turn.end.is_some() {
            self.room.notify_waiters();
        }
        if turn.is_over {
            self.over.notify_waiters();
        }
        turn.next
    }

    fn close(&self) {
        if let Some(readers) = self.lock(Queue::close) {
            readers.into_iter().for_each(Waker::wake);
            self.over.notify_waiters();
        }
        self.room.notify_waiters();
    }

    /// Waits until the group is closed and every task has ended.
    async fn ended(&self) {
        let over = self.over.notified();
        tokio::pin!(over);
        over.as_mut().enable();
        if !self.lock(|queue| queue.is_over()) {
            over.await;
        }
    }

    /// Polls for results. An empty list is the end.
    pub(super) fn poll_results(
        &self,
        cx: &mut TaskContext<'_>,
        most: usize,
    ) -> Poll<Vec<TaskResult>> {
        let (results, bounded, is_over) = self.lock(|queue| {
            let results = queue.take(most, Some(cx.waker()));
            (results, queue.unread != usize::MAX, queue.is_over())
        });
        if bounded && !results.is_empty() {
            self.room.notify_waiters();
        }
        if results.is_empty() && !is_over { Poll::Pending } else { Poll::Ready(results) }
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.0.shared.close();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.cancel.cancel_with(Cause::ParentDone);
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup").field("unfinished", &self.unfinished()).finish_non_exhaustive()
    }
}
