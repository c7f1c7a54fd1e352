//! Traces that are examples of durations: for each function, outcome and bucket
//! the latest one that was exported.
//!
//! # Bounds
//! One for each bucket of each outcome that occurred, of 48 bytes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::histogram;
use crate::propagation::trace::TraceId;
use crate::sync::lock;

/// A trace with an invocation that ran this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The trace, which was exported.
    pub trace: TraceId,
    /// How long the invocation [ran](crate::Usage::run).
    pub duration: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// Exemplars by the outcome's name and the bucket.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<BTreeMap<(&'static str, usize), Exemplar>>);

impl Exemplars {
    pub(super) fn add(&self, outcome: &'static str, duration: Duration, trace: TraceId) {
        let exemplar = Exemplar { trace, duration, at: SystemTime::now() };
        lock(&self.0).insert((outcome, histogram::bucket_of(duration)), exemplar);
    }

    /// Those of an outcome, the shortest first.
    pub(super) fn of(&self, outcome: &'static str) -> Vec<Exemplar> {
        let exemplars = lock(&self.0);
        exemplars.range((outcome, 0)..=(outcome, usize::MAX)).map(|(_, one)| *one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::trace::Trace;

    #[test]
    fn each_bucket_of_an_outcome_has_its_latest_trace() {
        let (exemplars, traces) =
            (Exemplars::default(), [(); 4].map(|()| Trace::root().trace_id()));
        let micros = Duration::from_micros;
        exemplars.add("trap", micros(900), traces[0]);
        exemplars.add("response", micros(900), traces[1]);
        exemplars.add("response", micros(3), traces[2]);
        exemplars.add("response", micros(901), traces[3]);
        let found = |outcome| -> Vec<_> {
            exemplars.of(outcome).iter().map(|one| (one.trace, one.duration)).collect()
        };
        assert_eq!(found("trap"), [(traces[0], micros(900))]);
        assert_eq!(found("response"), [(traces[2], micros(3)), (traces[3], micros(901))]);
        assert_eq!(found("exit"), []);
    }
}
