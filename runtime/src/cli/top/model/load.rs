//! Rates and run times.

use std::collections::{BTreeMap, VecDeque};

use crate::http::admin::client::answers::{FunctionOverview, Overview};
use crate::http::admin::client::text::Text;
use crate::telemetry::Histogram;

/// The number of overviews, one per second, whose run times count.
pub(crate) const WINDOW: usize = 10;

/// The number of rates that are kept for the sparklines.
const HISTORY: usize = 120;

/// The most functions.
const FUNCTIONS: usize = 10_000;

/// The load of the host.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) overview: Overview,
    pub(crate) total: Activity,
    /// Rejections per second.
    pub(crate) rejected: Option<f64>,
    /// Processor time per time.
    pub(crate) cpu: Option<f64>,
    pub(crate) functions: BTreeMap<Text, FunctionLoad>,
}

/// The load of one function.
#[derive(Debug, Default)]
pub(crate) struct FunctionLoad {
    pub(crate) overview: FunctionOverview,
    pub(crate) activity: Activity,
    pub(crate) cpu: Option<f64>,
}

/// How many invocations end, and how long they run.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Per second. `None` until there are two overviews.
    pub(crate) rate: Option<f64>,
    /// The latest rates, oldest first.
    pub(crate) history: VecDeque<u64>,
    /// The run times between two overviews, oldest first.
    recent: VecDeque<Histogram>,
}

impl Load {
    pub(crate) fn apply(&mut self, mut overview: Overview) {
        let seconds = (overview.now - self.overview.now) / 1e3;
        let since = |now: f64, before: f64| per_second(now - before, seconds);
        let mut before = std::mem::take(&mut self.functions);
        let (mut ended, mut latency) = (None, Histogram::default());
        for function in std::mem::take(&mut overview.functions).into_iter().take(FUNCTIONS) {
            let mut load = before.remove(&function.name).unwrap_or_default();
            let run = histogram(&function.latency);
            latency.add(&run);
            let rate = since(total(&function) as f64, total(&load.overview) as f64);
            load.activity.add(rate, run);
            ended = rate.map(|rate| ended.unwrap_or(0.0) + rate).or(ended);
            load.cpu = since(function.cpu_seconds, load.overview.cpu_seconds);
            load.overview = function;
            self.functions.insert(load.overview.name.clone(), load);
        }
        self.total.add(ended.or_else(|| since(0.0, 0.0)), latency);
        let rejected = |overview: &Overview| overview.rejections.values().sum::<u64>() as f64;
        self.rejected = since(rejected(&overview), rejected(&self.overview));
        self.cpu = since(overview.cpu_seconds, self.overview.cpu_seconds);
        self.overview = overview;
    }

    /// The number of rejections since the host's start.
    pub(crate) fn rejections(&self) -> u64 {
        self.overview.rejections.values().sum()
    }
}

impl FunctionLoad {
    /// The number of invocations that have ended without a response.
    pub(crate) fn failures(&self) -> u64 {
        let failed = self.overview.outcomes.iter().filter(|(name, _)| &***name != "response");
        failed.map(|(_, count)| count).sum()
    }
}

impl Activity {
    fn add(&mut self, rate: Option<f64>, run: Histogram) {
        self.rate = rate;
        push(&mut self.recent, run, WINDOW);
        if let Some(rate) = rate {
            push(&mut self.history, rate.round() as u64, HISTORY);
        }
    }

    /// The run times, in microseconds, that these shares of the recent
    /// invocations do not exceed.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Option<f64>; N] {
        let mut sum = Histogram::default();
        self.recent.iter().for_each(|recent| sum.add(recent));
        shares.map(|share| sum.quantile(share).map(|time| time.as_secs_f64() * 1e6))
    }
}

fn total(function: &FunctionOverview) -> u64 {
    function.outcomes.values().sum()
}

/// A rate. `None` for the first overview, and if a counter starts again.
fn per_second(difference: f64, seconds: f64) -> Option<f64> {
    // The first overview comes decades after the epoch.
    let is_recent = seconds > 0.0 && seconds < 1e6;
    (is_recent && difference >= 0.0).then(|| difference / seconds)
}

/// The histogram with these buckets. Bounds are powers of two.
fn histogram(latency: &[(Option<f64>, u64)]) -> Histogram {
    let mut histogram = Histogram::default();
    let last = histogram.buckets.len() - 1;
    for (bound, count) in latency {
        let index = bound.map_or(last, |bound| bound.max(1.0).log2().round() as usize);
        if let Some(bucket) = histogram.buckets.get_mut(index) {
            *bucket = bucket.saturating_add(*count);
        }
    }
    histogram
}

fn push<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(second: u64, responses: u64, latency: &[(Option<f64>, u64)]) -> Overview {
        let function = FunctionOverview {
            name: "f".into(),
            outcomes: [("response".into(), responses), ("trap".into(), 2)].into(),
            cpu_seconds: responses as f64 / 100.0,
            latency: latency.to_vec(),
            ..FunctionOverview::default()
        };
        Overview {
            now: 1.7e12 + second as f64 * 1e3,
            cpu_seconds: second as f64,
            rejections: [("busy".into(), second * 3)].into(),
            functions: vec![function],
            ..Overview::default()
        }
    }

    #[test]
    fn rates_are_differences_between_overviews() {
        let mut load = Load::default();
        load.apply(overview(0, 100, &[]));
        assert_eq!((load.total.rate, load.rejected, load.cpu), (None, None, None));
        load.apply(overview(2, 150, &[]));
        assert_eq!((load.total.rate, load.rejected, load.cpu), (Some(25.0), Some(3.0), Some(1.0)));
        let function = &load.functions[&Text::from("f")];
        assert_eq!((function.activity.rate, function.cpu), (Some(25.0), Some(0.25)));
        assert_eq!((function.failures(), load.rejections()), (2, 6));
        // Its counters start again.
        load.apply(overview(3, 1, &[]));
        assert_eq!(load.functions[&Text::from("f")].activity.rate, None);
        assert_eq!(load.total.rate, Some(0.0));
    }

    #[test]
    fn a_function_that_appears_counts_from_zero() {
        let mut load = Load::default();
        load.apply(Overview { functions: Vec::new(), ..overview(1, 0, &[]) });
        load.apply(overview(2, 8, &[]));
        assert_eq!(load.total.rate, Some(10.0));
        load.apply(Overview { functions: Vec::new(), ..overview(3, 0, &[]) });
        assert_eq!((load.functions.len(), load.total.rate), (0, Some(0.0)));
    }

    #[test]
    fn run_times_are_those_of_the_last_seconds() {
        let mut load = Load::default();
        load.apply(overview(0, 1, &[(None, 1)]));
        assert_eq!(load.total.quantiles([0.5]), [Some(f64::from(1 << 25))]);
        for second in 1..=WINDOW as u64 {
            load.apply(overview(second, 1, &[(Some(16.0), 2)]));
        }
        assert_eq!(load.total.quantiles([0.5, 1.0]), [Some(12.0), Some(16.0)]);
        for second in 0..500 {
            load.apply(overview(100 + second, second, &[]));
        }
        assert_eq!(load.total.quantiles([0.5]), [None]);
        assert_eq!((load.total.history.len(), load.total.recent.len()), (HISTORY, WINDOW));
    }

    #[test]
    fn buckets_that_no_host_has_are_left_out() {
        let strange = [(Some(f64::NAN), 1), (Some(1e300), 1), (Some(-1.0), 1)];
        assert!(histogram(&strange).count() <= 3);
    }
}
