//! Where jobs are kept.
//!
//! A store does not run anything and reads no clock: every operation gets the
//! time that it needs. So a message broker can implement it, and so can a test.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::JobId;
use super::job::{Job, JobFailure, JobState, StoredJob};
use super::message::{JobRequest, JobResponse};
use super::time::Timestamp;

/// The result of an operation of a store.
pub type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A durable store of jobs.
///
/// Every change is durable when its future completes, and happens as a whole or
/// not at all.
///
/// # Cancel safety
/// Dropping a future may or may not prevent the operation.
pub trait JobStore: Send + Sync + 'static {
    /// Stores a new job, or finds the one with the same idempotency key.
    fn submit(&self, job: NewJob) -> Stored<'_, Submitted>;

    /// Takes jobs that are due and marks them as running, turn by turn among
    /// the functions, and of one function in the order in which they are due.
    /// Also removes jobs that have expired, a bounded number at a time.
    fn claim(&self, claim: Claim) -> Stored<'_, Claimed>;

    /// Records the end of a claim. `attempt` is the number of attempts of the
    /// job when it was claimed. A claim that is no longer current changes
    /// nothing. Returns the job, if it still exists.
    fn settle(
        &self,
        id: JobId,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Stored<'_, Option<Job>>;

    /// Changes a job on behalf of a person. Returns the job after the change, if
    /// it exists, and whether it was changed.
    fn change(&self, id: JobId, change: Change, now: Timestamp) -> Stored<'_, Option<(Job, bool)>>;

    /// A job with its response, if it exists.
    fn get(&self, id: JobId) -> Stored<'_, Option<StoredJob>>;

    /// Lists jobs, the newest first.
    fn list(&self, query: JobQuery) -> Stored<'_, JobPage>;

    /// The number of jobs by state, and their bytes.
    fn counts(&self) -> Stored<'_, JobCounts>;

    /// Stores the time of an event under a name, such as the last run of a
    /// schedule.
    fn mark(&self, name: String, at: Timestamp) -> Stored<'_, ()>;

    /// The times of events.
    fn marks(&self) -> Stored<'_, BTreeMap<String, Timestamp>>;

    /// Closes the store. Every later operation is [`StoreError::Closed`].
    fn close(&self) -> Stored<'_, ()>;
}

/// A job to store.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The job, which is queued.
    pub job: Job,
    /// Its request.
    pub request: JobRequest,
    /// The hash of the request, which a request with the same idempotency key
    /// must have.
    pub fingerprint: [u8; 32],
}

/// The result of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Submitted {
    /// The job is new.
    New(Job),
    /// A job with the same idempotency key and the same request exists.
    Known(Job),
    /// A job with the same idempotency key and another request exists.
    Conflict,
}

/// How many jobs to take.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The current time.
    pub now: Timestamp,
    /// The most jobs.
    pub most: usize,
    /// The most bytes of their requests and responses. The first job is taken
    /// even if it has more.
    pub bytes: u64,
}

/// Jobs that were taken.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// The jobs, with what is to be done.
    pub jobs: Vec<Work>,
    /// When to claim again: when the next job is due or expires. `None` if no job
    /// is stored. It is not in the future if more jobs are due than were taken.
    pub next: Option<Timestamp>,
}

/// What is to be done about a job.
#[derive(Clone, Debug)]
pub enum Work {
    /// Its next attempt. The number of its attempts includes this one.
    Run(Job, JobRequest),
    /// Its callback.
    Notify(StoredJob),
    /// The stored request is damaged.
    Damaged(Job),
}

/// How a claim ends.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// The attempt says nothing about the job: the host was full or shuts down.
    Release {
        /// When the next attempt is due.
        due: Timestamp,
        /// Whether the function may have run.
        has_run: bool,
    },
    /// The attempt has failed, and another one follows.
    Retry {
        /// When the next attempt is due.
        due: Timestamp,
        /// Why it has failed.
        failure: JobFailure,
    },
    /// The job has ended.
    End {
        /// [`JobState::Succeeded`] or [`JobState::Failed`].
        state: JobState,
        /// Why it has failed.
        failure: Option<JobFailure>,
        /// The response.
        response: Option<JobResponse>,
        /// When the job is removed.
        expires: Timestamp,
        /// Whether this attempt has run.
        has_run: bool,
    },
    /// The callback was accepted, or else is given up.
    Notified {
        /// Whether it was accepted.
        is_delivered: bool,
    },
    /// The callback has failed, and another try follows.
    NotifyLater {
        /// When it is due.
        due: Timestamp,
    },
}

/// A change that a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Cancels a job that has not ended. It is kept until `expires`.
    Cancel {
        /// When the job is removed.
        expires: Timestamp,
    },
    /// Queues a job that has failed or was canceled again, with all its
    /// attempts.
    Retry {
        /// When it fails at the latest.
        deadline: Timestamp,
    },
    /// Removes a job, whatever its state.
    Remove,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// Only jobs of this function.
    pub function: Option<String>,
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs that were submitted before this one.
    pub before: Option<JobId>,
    /// The most jobs.
    pub limit: usize,
}

/// A part of a list of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs, the newest first.
    pub jobs: Vec<Job>,
    /// The value of [`before`](JobQuery::before) for the next part; `None` at
    /// the end. A part may have fewer jobs than the limit, or none, and not be
    /// the last one, because a bounded number of jobs is looked at.
    pub next: Option<JobId>,
}

/// The number of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    /// By state, in the order of [`JobState::ALL`].
    pub by_state: [u64; 5],
    /// The bytes that they count for.
    pub bytes: u64,
}

impl JobCounts {
    /// The jobs in all states.
    pub fn total(&self) -> u64 {
        self.by_state.iter().sum()
    }

    /// The jobs in one state.
    pub fn of(&self, state: JobState) -> u64 {
        self.by_state[state as usize]
    }
}

/// An operation of a store has failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for another job: on the disk, or within the limits of
    /// the store. No job that was accepted is lost.
    #[error("the store of jobs is full: {0}")]
    Full(String),
    /// More submissions wait for the disk than the host holds.
    #[error("too many submissions of jobs wait for the disk; try again later")]
    Busy,
    /// The store is closed.
    #[error("the store of jobs is closed, because the host shuts down")]
    Closed,
    /// Another process has the store open.
    #[error("another process uses the jobs in {0}; give each host a directory of its own")]
    InUse(String),
    /// The system refuses access.
    #[error("the store of jobs can't be used: {0}")]
    Io(#[source] Arc<io::Error>),
    /// The content of the store is damaged or has another format.
    #[error("the store of jobs is damaged or was written by another version: {0}")]
    Damaged(String),
}

impl StoreError {
    /// How long to wait before the same operation is tried again.
    pub(super) fn pause(failures: u32) -> Duration {
        let retry = crate::tasks::Retry::times(u32::MAX);
        retry.backoff(Duration::from_millis(100), Duration::from_secs(5)).delay(failures)
    }
}
