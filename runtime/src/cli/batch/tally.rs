//! The numbers of a batch so far.

use std::collections::BTreeMap;
use std::time::Duration;

use super::times::Times;

/// The results so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) succeeded: u64,
    /// Failures by outcome; a response with an error status is `status-404`.
    pub(super) failures: BTreeMap<String, u64>,
    /// Jobs that had more than one attempt.
    pub(super) retried: u64,
    took: Times,
}

impl Tally {
    /// Counts a job that has run, with its number of attempts. `failure` says how it
    /// failed, if it did.
    pub(super) fn add(&mut self, took: Duration, attempts: u32, failure: Option<String>) {
        self.took.record(took);
        self.retried += u64::from(attempts > 1);
        match failure {
            Some(name) => self.add_failure(name),
            None => self.succeeded += 1,
        }
    }

    /// Counts a failure, also of a line that is no job.
    pub(super) fn add_failure(&mut self, name: String) {
        *self.failures.entry(name).or_default() += 1;
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    pub(super) fn done(&self) -> u64 {
        self.succeeded + self.failed()
    }

    /// The time that this share of all jobs did not exceed.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        self.took.quantile(share)
    }
}
