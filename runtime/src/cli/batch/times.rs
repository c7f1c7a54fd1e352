//! Quantiles of durations, in constant memory.

use std::time::Duration;

/// Each power of two is divided into this many buckets, so that a quantile is
/// exact to about 3 %.
const PARTS: u32 = 32;

/// Counts of durations, by their microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    buckets: Vec<u64>,
    count: u64,
}

impl Times {
    pub(super) fn record(&mut self, time: Duration) {
        let index = bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
        self.count += 1;
    }

    /// The time that this share of all does not exceed; zero without any.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let index = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        });
        Duration::from_micros(index.map_or(0, upper))
    }
}

/// The bucket of a number of microseconds. Small numbers have one each.
fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(PARTS.ilog2() + 1);
    shift as usize * PARTS as usize + (micros >> shift) as usize
}

/// The largest number of microseconds in a bucket.
fn upper(index: usize) -> u64 {
    let parts = PARTS as usize;
    let shift = (index / parts).saturating_sub(1);
    let first = (index - shift * parts) as u64;
    first.saturating_add(1).checked_shl(shift as u32).unwrap_or(u64::MAX) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_upper_bound_and_no_more() {
        for micros in (0..5_000).chain([1 << 20, (1 << 40) + 12_345]) {
            let index = bucket(micros);
            assert!(micros <= upper(index), "{micros}");
            assert_eq!(bucket(upper(index)), index, "{micros}");
            assert_eq!(bucket(upper(index) + 1), index + 1, "{micros}");
            assert!(upper(index) as f64 <= micros as f64 * 1.04 + 1.0, "{micros}");
        }
    }

    #[test]
    fn quantiles_are_near_the_exact_ones() {
        let mut times = Times::default();
        assert_eq!(times.quantile(0.5), Duration::ZERO);
        (1..=1_000).map(Duration::from_millis).for_each(|time| times.record(time));
        for (share, exact) in [(0.001, 1), (0.5, 500), (0.99, 990), (1.0, 1_000)] {
            let exact = Duration::from_millis(exact);
            let found = times.quantile(share);
            assert!(found >= exact && found <= exact.mul_f64(1.04), "{share}: {found:?}");
        }
    }
}
