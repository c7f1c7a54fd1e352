//! Histograms of durations, with the same buckets everywhere.
//!
//! The upper bound of a bucket is twice that of the previous one, so the index
//! of a duration is a count of leading zeros.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The number of buckets with an upper bound.
const BOUNDED: usize = 26;

/// The number of buckets. The last one has no upper bound.
const BUCKETS: usize = BOUNDED + 1;

/// How many durations fell into each bucket, and their sum.
///
/// The first bucket has those of up to one microsecond, each further one those
/// of up to twice the previous bound, and the last one those of more than 33.5
/// seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// The number of durations in each bucket, not cumulative.
    pub buckets: [u64; BUCKETS],
    /// The sum of all durations.
    pub sum: Duration,
}

/// A histogram that threads add to.
#[derive(Debug, Default)]
pub(super) struct AtomicHistogram {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Histogram {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The upper bound of each bucket; `None` for the last one.
    pub fn bounds() -> impl Iterator<Item = Option<Duration>> {
        let bounded = (0..BOUNDED).map(|index| Some(Duration::from_micros(1 << index)));
        bounded.chain([None])
    }

    /// An estimate of the duration that this share of all durations does not
    /// exceed, between 0 and 1: exact to the bounds of its bucket, and linear
    /// within. In the last bucket it is the lower bound. `None` without
    /// durations.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = share.clamp(0.0, 1.0) * self.count() as f64;
        let (mut below, mut lower) = (0.0, Duration::ZERO);
        for (bound, count) in Self::bounds().zip(self.buckets) {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                let width = bound.map_or(Duration::ZERO, |bound| bound - lower);
                return Some(lower + width.mul_f64(((rank - below) / count).clamp(0.0, 1.0)));
            }
            below += count;
            lower = bound.unwrap_or(lower);
        }
        None
    }

    /// The durations that were added since an earlier snapshot. If that is not
    /// one of the same function, the result is this snapshot.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut recent = *self;
        for (count, before) in recent.buckets.iter_mut().zip(earlier.buckets) {
            let Some(left) = count.checked_sub(before) else { return *self };
            *count = left;
        }
        recent.sum = self.sum.saturating_sub(earlier.sum);
        recent
    }

    /// Adds all durations of another histogram.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += count;
        }
        self.sum += other.sum;
    }

    /// Adds durations that were not recorded one by one because they are zero.
    pub(super) fn add_zeros(&mut self, count: u64) {
        self.buckets[0] += count;
    }
}

impl AtomicHistogram {
    pub(super) fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket(nanos)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    pub(super) fn add_to(&self, histogram: &mut Histogram) {
        for (sum, bucket) in histogram.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Relaxed);
        }
        histogram.sum += Duration::from_nanos(self.nanos.load(Relaxed));
    }
}

/// The index of the bucket of a duration.
pub(super) fn bucket_of(duration: Duration) -> usize {
    bucket(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// The index of the bucket of a duration in nanoseconds.
fn bucket(nanos: u64) -> usize {
    let micros = nanos.div_ceil(1_000);
    let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
    (bits as usize).min(BOUNDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let bounds: Vec<_> = Histogram::bounds().collect();
        assert_eq!(bounds.len(), BUCKETS);
        assert_eq!(bounds[0], Some(Duration::from_micros(1)));
        let around = (0..63).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        let bounded = bounds.iter().flatten().map(|bound| bound.as_nanos() as u64);
        let edges = bounded.flat_map(|nanos| [nanos - 1, nanos, nanos + 1]);
        for nanos in around.chain(edges).chain([0, u64::MAX]) {
            let fits = |bound: &Option<Duration>| {
                bound.is_none_or(|bound| u128::from(nanos) <= bound.as_nanos())
            };
            assert_eq!(Some(bucket(nanos)), bounds.iter().position(fits), "{nanos} ns");
        }
    }

    #[test]
    fn a_quantile_is_within_its_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (histogram.buckets[0], histogram.buckets[10]) = (1, 99);
        let quantile = |share| histogram.quantile(share).expect("a duration").as_micros();
        assert_eq!((quantile(0.0), quantile(0.01), quantile(1.0)), (0, 1, 1_024));
        assert!((513..1_024).contains(&quantile(0.5)), "{}", quantile(0.5));
        histogram.buckets[BUCKETS - 1] = 1_000;
        assert_eq!(histogram.quantile(0.99), Some(Duration::from_micros(1 << 25)));
    }

    #[test]
    fn all_parts_are_summed() {
        let (one, other, mut sum) =
            (AtomicHistogram::default(), AtomicHistogram::default(), Histogram::default());
        for nanos in [0, 1_000, 1_001, 40_000_000_000] {
            one.record(Duration::from_nanos(nanos));
            other.record(Duration::from_nanos(nanos));
        }
        one.add_to(&mut sum);
        other.add_to(&mut sum);
        assert_eq!((sum.count(), sum.sum), (8, Duration::from_nanos(80_000_004_002)));
        assert_eq!([sum.buckets[0], sum.buckets[1], sum.buckets[BUCKETS - 1]], [4, 2, 2]);
    }
}
