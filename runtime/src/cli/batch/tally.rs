//! The numbers of a batch so far.

use std::collections::BTreeMap;
use std::time::Duration;

use super::times::Times;
use crate::tasks::TaskResult;

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
    pub(super) fn add_all(&mut self, results: &[TaskResult]) {
        results.iter().for_each(|ended| self.add(ended));
    }

    fn add(&mut self, ended: &TaskResult) {
        self.took.record(ended.took);
        self.retried += u64::from(ended.attempts + ended.earlier_attempts > 1);
        if !ended.is_failure() {
            self.succeeded += 1;
            return;
        }
        match &ended.result {
            Ok(response) => self.add_failure(format!("status-{}", response.status().as_u16())),
            Err(error) => self.add_failure(error.outcome().name().to_owned()),
        }
    }

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
