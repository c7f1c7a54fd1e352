//! How the jobs of a function are run and kept.

use std::time::Duration;

use crate::limits::mib;
use crate::tasks::Retry;

/// How the jobs of a function are run and kept.
///
/// ```
/// use std::time::Duration;
/// use hourglass::Retry;
/// use hourglass::jobs::JobPolicy;
///
/// let policy = JobPolicy::default()
///     .retry(Retry::times(2).backoff(Duration::from_secs(1), Duration::from_secs(30)))
///     .deadline(Duration::from_secs(600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPolicy {
    pub(crate) retry: Retry,
    pub(crate) attempt_timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) keep: Duration,
    pub(crate) keep_failed: Duration,
    pub(crate) response_bytes: u64,
}

/// The defaults.
impl JobPolicy {
    pub(crate) const RETRIES: u32 = 4;
    pub(crate) const BACKOFF: Duration = Duration::from_secs(1);
    pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
    pub(crate) const DEADLINE: Duration = Duration::from_hours(24);
    pub(crate) const KEEP: Duration = Duration::from_hours(24);
    pub(crate) const KEEP_FAILED: Duration = Duration::from_hours(14 * 24);
    pub(crate) const RESPONSE: u64 = mib(10);
}

impl Default for JobPolicy {
    fn default() -> Self {
        Self {
            retry: Retry::times(Self::RETRIES).backoff(Self::BACKOFF, Self::LONGEST_BACKOFF),
            attempt_timeout: Duration::MAX,
            deadline: Self::DEADLINE,
            keep: Self::KEEP,
            keep_failed: Self::KEEP_FAILED,
            response_bytes: Self::RESPONSE,
        }
    }
}

impl JobPolicy {
    /// When a failed attempt is repeated. Default: 4 times, after every failure
    /// that [`Retry`] knows, with delays of up to 1 s before the first and 5 min
    /// before any retry.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The deadline of each attempt. Default: the function's own
    /// [`timeout`](crate::Limits::timeout), which applies too.
    #[must_use]
    pub fn attempt_timeout(self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self }
    }

    /// The deadline of a job, from its submission until the end of its last
    /// attempt. Default 24 hours.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// How long a job that has succeeded or was canceled is kept, with its
    /// response and its idempotency key. Default 24 hours.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// How long a job that has failed stays on the dead-letter list. Default 14
    /// days.
    #[must_use]
    pub fn keep_failed(self, keep_failed: Duration) -> Self {
        Self { keep_failed, ..self }
    }

    /// The longest body of a response that is kept, in bytes. A job whose
    /// response is longer fails. Default 10 MiB.
    #[must_use]
    pub fn response_bytes(self, response_bytes: u64) -> Self {
        Self { response_bytes, ..self }
    }
}
