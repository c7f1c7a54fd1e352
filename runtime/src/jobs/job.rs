//! A job as it is stored.

use serde::{Deserialize, Serialize};

use super::id::JobId;
use super::message::JobResponse;
use super::time::Timestamp;

/// A job without its request and its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The function that it invokes.
    pub function: String,
    /// The principal that has submitted it.
    pub principal: Option<String>,
    /// Its state.
    pub state: JobState,
    /// The number of attempts that have begun.
    pub attempts: u32,
    /// The attempts that count against the limit of the policy: those that
    /// failed, or whose process died. An attempt that a shutdown ended does not
    /// count.
    pub failures: u32,
    /// The attempts whose end is unknown, because their process died or shut
    /// down. The function may have done its work in them.
    pub interruptions: u32,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// When the next attempt is due, or, if it has ended, the next try of its
    /// callback.
    pub due: Timestamp,
    /// When it fails at the latest.
    pub deadline: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When it is removed. Set when it ends.
    pub expires: Option<Timestamp>,
    /// Why the last attempt that ended has failed.
    pub failure: Option<JobFailure>,
    /// The receiver of its result.
    pub callback: Option<Callback>,
    /// The context of the request that submitted it.
    pub origin: JobOrigin,
    /// The hash of its idempotency key, with its function and its principal.
    pub key: Option<[u8; 32]>,
    /// Bytes of the stored request.
    pub request_bytes: u64,
    /// Bytes of the stored response.
    pub response_bytes: u64,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobState {
    /// It waits for its next attempt.
    Queued,
    /// An attempt is under way.
    Running,
    /// The function has responded, and the policy does not retry the response.
    Succeeded,
    /// It has failed permanently, and is on the dead-letter list.
    Failed,
    /// It was canceled.
    Canceled,
}

/// Why an attempt has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// The name of the [`Outcome`](crate::Outcome), or `server-error` for a
    /// response that is a failure.
    pub outcome: String,
    /// The name of the cause, if its context was done.
    pub cause: Option<String>,
    /// A description for the operator, at most 1 KiB.
    pub message: String,
}

/// The URL that gets the result of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The URL.
    pub url: String,
    /// The number of tries that have failed.
    pub failures: u32,
    /// Its state.
    pub state: CallbackState,
}

/// The state of a callback. It is called once the job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallbackState {
    /// It waits for the end of the job, or for its next try.
    Waiting,
    /// A try is under way.
    Calling,
    /// The receiver has accepted the result.
    Delivered,
    /// The receiver has not accepted it in any try.
    GivenUp,
}

/// What an attempt continues: the context of the request that submitted the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrigin {
    /// The span of the submission, as a `traceparent`. The attempts are its
    /// children.
    pub trace: Option<String>,
    /// The vendor's part of the trace.
    pub trace_state: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The other values of its context, by their names on the wire.
    pub values: Vec<(String, String)>,
}

/// A job with the response of its last attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredJob {
    /// The job.
    pub job: Job,
    /// The response of its last attempt, once it has ended and if there was one.
    pub response: Option<JobResponse>,
}

impl CallbackState {
    /// The name on the wire, such as `waiting`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Calling => "calling",
            Self::Delivered => "delivered",
            Self::GivenUp => "given-up",
        }
    }
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The name on the wire, such as `queued`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the job has ended.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

impl Job {
    /// Whether it waits to be taken: for its next attempt, or for a try of its
    /// callback.
    pub(super) fn is_waiting(&self) -> bool {
        self.state == JobState::Queued || self.calls(CallbackState::Waiting)
    }

    /// Whether it was taken, for one or the other.
    pub(super) fn is_taken(&self) -> bool {
        self.state == JobState::Running || self.calls(CallbackState::Calling)
    }

    /// Whether it has ended and its callback is in this state.
    pub(super) fn calls(&self, state: CallbackState) -> bool {
        self.state.is_end() && self.callback.as_ref().is_some_and(|one| one.state == state)
    }

    /// Sets the state of its callback, if it has one.
    pub(super) fn set_callback(&mut self, state: CallbackState) {
        self.callback.iter_mut().for_each(|callback| callback.state = state);
    }

    /// Its bytes in the store, without those of indexes.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.request_bytes + self.response_bytes + OVERHEAD
    }
}

/// The bytes that a job counts for beside its request and its response.
pub(super) const OVERHEAD: u64 = 1 << 10;
