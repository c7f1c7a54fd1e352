//! Jobs: asynchronous invocations that are stored durably, retried, and kept with
//! their results.
//!
//! Delivery is at least once. A job is durable before its submitter gets its id,
//! and the start of an attempt is durable before the function runs. So a job
//! whose process dies is run again by the next process, with a higher number of
//! the attempt: a repetition is always recognizable.
//!
//! # Layout
//! - [`Jobs`]: what an embedder holds; [`JobsBuilder`]: its settings.
//! - [`Job`], [`JobState`]: a job as it is stored; [`JobId`], [`Timestamp`]: parts
//!   of it; [`JobRequest`], [`JobResponse`]: its messages.
//! - [`JobPolicy`]: the deadlines, the retries and the retention of a function's
//!   jobs.
//! - [`JobStore`]: where jobs are kept; [`RedbStore`]: in a directory.
//! - [`Schedules`]: runs of functions at certain times.
//! - `submission`: from a request to a job.
//! - `worker`: takes jobs that are due, and runs them; `attempt`: one attempt;
//!   `decision`: what follows from its result; `waiters`: those who wait for an
//!   end.
//! - `callback`: sends results to a URL; `document`: a job as JSON.

mod attempt;
mod builder;
#[cfg(feature = "server")]
mod callback;
mod decision;
#[cfg(feature = "server")]
pub(crate) mod document;
mod handle;
mod id;
mod job;
mod message;
mod policy;
mod redb;
mod schedules;
mod store;
mod submission;
#[cfg(test)]
mod tests;
mod time;
mod waiters;
mod worker;

pub use self::builder::JobsBuilder;
pub use self::handle::Jobs;
pub use self::id::{JobId, JobIdError};
pub use self::job::{Callback, CallbackState, Job, JobFailure, JobOrigin, JobState, StoredJob};
pub use self::message::{JobRequest, JobResponse};
pub use self::policy::JobPolicy;
pub use self::redb::{RedbStore, StoreLimits};
pub use self::schedules::{Missed, Overlap, Schedule, ScheduleError, ScheduleInfo, Schedules};
pub use self::store::{
    Change, Claim, Claimed, JobCounts, JobPage, JobQuery, JobStore, NewJob, Settlement, StoreError,
    Stored, Submitted, Work,
};
pub use self::submission::{CALLBACK, IDEMPOTENCY_KEY, SubmitError};
pub use self::time::Timestamp;
pub use crate::tasks::ATTEMPT;

/// The header with the job's id, for the function and for the receiver of a
/// callback.
pub const JOB: http::HeaderName = http::HeaderName::from_static("hourglass-job");
