//! The state of a group: the tasks that wait and run, and the results that are
//! not taken yet.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use super::policy::{GroupEnd, Policy};
use super::task::{Task, TaskId, TaskResult};

/// A task that was submitted and has not begun.
pub(super) struct Submitted {
    pub(super) id: TaskId,
    pub(super) task: Task,
    pub(super) at: Instant,
}

/// All of a group's tasks. It is behind one lock, held for some loads and stores.
pub(super) struct Queue {
    pub(super) parallelism: usize,
    /// The most tasks whose results were not taken.
    pub(super) unread: usize,
    pub(super) policy: Policy,
    /// The number of tasks so far, which is the id of the next one.
    submitted: u64,
    waiting: VecDeque<Submitted>,
    /// The number of tasks that wait or run.
    unfinished: usize,
    /// The number of workers. Each runs a task, or is about to take one.
    workers: usize,
    results: VecDeque<TaskResult>,
    successes: usize,
    closed: bool,
    /// Tasks that wait for a result.
    readers: Vec<Waker>,
}

/// How a submission ended.
pub(super) enum Submission {
    Accepted {
        id: TaskId,
        /// Whether the submitter has to start a worker.
        starts: bool,
    },
    /// There is no room.
    Full(Task),
    Closed(Task),
}

/// What a worker does next, and what others can do.
#[derive(Default)]
pub(super) struct Turn {
    /// The next task. Without one, the worker ends.
    pub(super) next: Option<Submitted>,
    /// Those who wait for a result.
    pub(super) readers: Vec<Waker>,
    /// Whether there is room for submitters that wait.
    pub(super) has_room: bool,
    /// Why the group ends, if the result ends it.
    pub(super) end: Option<GroupEnd>,
    /// Whether this was the last of the group.
    pub(super) is_over: bool,
}

impl Queue {
    pub(super) fn new(parallelism: usize) -> Self {
        Self {
            parallelism,
            unread: usize::MAX,
            policy: Policy::Collect,
            submitted: 0,
            waiting: VecDeque::new(),
            unfinished: 0,
            workers: 0,
            results: VecDeque::new(),
            successes: 0,
            closed: false,
            readers: Vec::new(),
        }
    }

    /// Accepts a task if there is room: as many tasks may wait as may run.
    pub(super) fn submit(&mut self, task: Task) -> Submission {
        if self.closed {
            return Submission::Closed(task);
        }
        let unread = self.unfinished + self.results.len();
        if self.waiting.len() >= self.parallelism || unread >= self.unread {
            return Submission::Full(task);
        }
        let id = TaskId(self.submitted);
        self.submitted += 1;
        self.unfinished += 1;
        self.waiting.push_back(Submitted { id, task, at: Instant::now() });
        let starts = self.workers < self.parallelism;
        self.workers += usize::from(starts);
        Submission::Accepted { id, starts }
    }

    /// Counts further workers for the tasks that wait, and returns their number.
    pub(super) fn add_workers(&mut self) -> usize {
        let workers = self.parallelism.saturating_sub(self.workers).min(self.waiting.len());
        self.workers += workers;
        workers
    }

    /// Takes the result of a worker's task, if it had one, and gives it the next.
    pub(super) fn turn(&mut self, result: Option<TaskResult>) -> Turn {
        let (mut turn, is_new) = (Turn::default(), result.is_none());
        if let Some(result) = result {
            self.successes += usize::from(!result.is_failure());
            turn.end = self.policy.end(&result, self.successes);
            self.closed |= turn.end.is_some();
            self.unfinished -= 1;
            self.results.push_back(result);
            turn.readers = std::mem::take(&mut self.readers);
        }
        if self.workers <= self.parallelism {
            turn.next = self.waiting.pop_front();
            // Submitters wake once half of the room is free, not for each task. They
            // also wake for the first task of a worker: if all workers are busy then,
            // the next turn may be far away.
            let wakes = is_new || self.waiting.len() == self.parallelism / 2;
            turn.has_room = turn.next.is_some() && wakes;
        }
        if turn.next.is_none() {
            self.workers -= 1;
            turn.is_over = self.is_over();
            if turn.is_over {
                turn.readers.append(&mut self.readers);
            }
        }
        turn
    }

    /// Takes the tasks that have not begun.
    pub(super) fn withdraw(&mut self) -> VecDeque<Submitted> {
        self.unfinished -= self.waiting.len();
        std::mem::take(&mut self.waiting)
    }

    /// Accepts no more tasks. Returns those who wait for a result, if nothing is
    /// left to wait for.
    pub(super) fn close(&mut self) -> Option<Vec<Waker>> {
        self.closed = true;
        self.is_over().then(|| std::mem::take(&mut self.readers))
    }

    /// Whether every task has ended, and none can follow.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.workers == 0 && self.waiting.is_empty()
    }

    /// Takes up to `most` results, the oldest first. If there are no results, and
    /// there will be some, `reader` is woken then.
    pub(super) fn take(&mut self, most: usize, reader: Option<&Waker>) -> Vec<TaskResult> {
        let count = self.results.len().min(most);
        let taken: Vec<_> = self.results.drain(..count).collect();
        if let Some(reader) = reader.filter(|_| taken.is_empty() && !self.is_over())
            && !self.readers.iter().any(|known| known.will_wake(reader))
        {
            self.readers.push(reader.clone());
        }
        taken
    }

    /// The number of tasks that run or wait.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }
}

#[cfg(test)]
mod tests;
