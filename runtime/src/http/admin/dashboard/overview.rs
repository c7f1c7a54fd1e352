//! The state of the host as a whole, once a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::time::{Clock, micros};
use crate::cores;
use crate::http::admin::process::Process;
use crate::runtime::Runtime;
use crate::telemetry::{FunctionMetrics, Histogram, OutcomeMetrics};

/// Compares the metrics with those of one reading earlier.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// The run times of each function's invocations at the last reading.
    before: HashMap<Arc<str>, Histogram>,
}

/// The state of the host. Counters are totals since its start.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    now: f64,
    version: &'static str,
    draining: bool,
    in_flight: usize,
    max_in_flight: usize,
    contexts: usize,
    connections: u64,
    cores: usize,
    cpu_seconds: f64,
    resident_bytes: u64,
    rejections: HashMap<&'static str, u64>,
    functions: Vec<FunctionOverview>,
}

/// The state of one function.
#[derive(Debug, Serialize)]
struct FunctionOverview {
    name: String,
    in_flight: usize,
    outcomes: HashMap<&'static str, u64>,
    cpu_seconds: f64,
    peak_memory: u64,
    request_bytes: u64,
    response_bytes: u64,
    calls: u64,
    fetches: u64,
    #[serde(flatten)]
    latency: Latency,
}

/// The run times of the invocations that ended since the last reading.
#[derive(Debug, PartialEq, Serialize)]
struct Latency {
    p50_us: Option<f64>,
    p95_us: Option<f64>,
    p99_us: Option<f64>,
    /// The upper bound of each bucket with a count; the last one has none.
    latency: Vec<(Option<f64>, u64)>,
}

impl Sampler {
    pub(super) fn read(&mut self, runtime: &Runtime) -> Overview {
        let metrics = runtime.metrics();
        let mut in_flight: HashMap<Arc<str>, usize> = HashMap::new();
        for invocation in runtime.invocations() {
            *in_flight.entry(invocation.function).or_default() += 1;
        }
        let process = Process::read();
        let mut before = std::mem::take(&mut self.before);
        let functions = metrics.functions.into_iter().map(|function| {
            let name = function.function.clone();
            let total = total(&function);
            let before = before.remove(&name);
            let latency = Latency::new(&total, &before.unwrap_or_default());
            self.before.insert(name.clone(), total);
            let in_flight = in_flight.get(&name).copied().unwrap_or(0);
            FunctionOverview::new(&function, in_flight, latency)
        });
        Overview {
            functions: functions.collect(),
            now: Clock::now().unix_ms(),
            version: env!("CARGO_PKG_VERSION"),
            draining: runtime.is_draining(),
            in_flight: runtime.in_flight(),
            max_in_flight: runtime.capacity().in_flight,
            contexts: metrics.contexts,
            connections: metrics.open_connections,
            cores: cores::count(),
            cpu_seconds: process.as_ref().map_or(0.0, |process| process.cpu().as_secs_f64()),
            resident_bytes: process.as_ref().map_or(0, Process::resident),
            rejections: metrics.rejections.into_iter().collect(),
        }
    }
}

impl FunctionOverview {
    fn new(function: &FunctionMetrics, in_flight: usize, latency: Latency) -> Self {
        let sum = |each: fn(&OutcomeMetrics) -> u64| function.outcomes.iter().map(each).sum();
        let outcomes = &function.outcomes;
        Self {
            name: function.function.to_string(),
            in_flight,
            outcomes: outcomes.iter().map(|one| (one.outcome, one.invocations)).collect(),
            cpu_seconds: outcomes.iter().map(|one| one.cpu).sum::<Duration>().as_secs_f64(),
            peak_memory: outcomes.iter().map(|one| one.peak_memory).max().unwrap_or(0),
            request_bytes: sum(|one| one.request_bytes),
            response_bytes: sum(|one| one.response_bytes),
            calls: sum(|one| one.calls),
            fetches: sum(|one| one.fetches),
            latency,
        }
    }
}

/// The run times of all invocations of a function.
fn total(function: &FunctionMetrics) -> Histogram {
    let mut total = Histogram::default();
    for outcome in &function.outcomes {
        total.add(&outcome.run);
    }
    total
}

impl Latency {
    fn new(now: &Histogram, before: &Histogram) -> Self {
        let recent = now.since(before);
        let quantile = |share| recent.quantile(share).map(micros);
        let counts = Histogram::bounds().zip(recent.buckets);
        let counts = counts.filter(|(_, count)| *count > 0);
        Self {
            p50_us: quantile(0.5),
            p95_us: quantile(0.95),
            p99_us: quantile(0.99),
            latency: counts.map(|(bound, count)| (bound.map(micros), count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_covers_what_ended_since_the_last_one() {
        let (mut now, mut before) = (Histogram::default(), Histogram::default());
        (before.buckets[3], now.buckets[3], now.buckets[4]) = (5, 5, 2);
        let latency = Latency::new(&now, &before);
        assert_eq!(latency.latency, [(Some(16.0), 2)]);
        assert_eq!(latency.p50_us, Some(12.0));
        // A function that was removed and deployed again starts from zero.
        assert_eq!(Latency::new(&before, &now).latency, [(Some(8.0), 5)]);
        assert_eq!(Latency::new(&now, &now).p99_us, None);
    }
}
