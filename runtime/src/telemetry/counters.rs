//! The counters of one function. Every core has its own, and a reader sums
//! them.
//!
//! # Bounds
//! The counters of an outcome are created when it first occurs: about 1 KiB for
//! each outcome, core and function. Nothing here depends on what clients or
//! guests send.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::exemplars::Exemplars;
use super::histogram::{AtomicHistogram, Histogram};
use super::snapshot::{FunctionMetrics, InstanceCounts, OutcomeMetrics};
use crate::context::Cause;
use crate::cores::PerCore;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::TraceId;

/// The counters of one function.
#[derive(Debug)]
pub(crate) struct FunctionCounters {
    pub(super) name: Arc<str>,
    cores: PerCore<CoreCounters>,
    exemplars: Exemplars,
}

/// What one core counts.
#[derive(Debug, Default)]
struct CoreCounters {
    outcomes: [OnceLock<Box<OutcomeCounters>>; Outcome::NAMES.len()],
    causes: [AtomicU64; Cause::NAMES.len()],
    instances: [AtomicU64; 3],
    lateness: AtomicHistogram,
}

/// The invocations with one outcome.
#[derive(Debug, Default)]
struct OutcomeCounters {
    /// Without those that did not wait.
    queue: AtomicHistogram,
    checkout: AtomicHistogram,
    run: AtomicHistogram,
    /// Without those that had no grace period.
    grace: AtomicHistogram,
    cpu_nanos: AtomicU64,
    peak_memory: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    calls: AtomicU64,
    fetches: AtomicU64,
}

/// The source of an invocation's instance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InstanceSource {
    /// An idle one that was reset in place.
    Reset,
    /// A new one, because none was idle.
    NoneIdle,
    /// A new one, because the function's instances are not reset.
    NewEachTime,
}

impl FunctionCounters {
    pub(crate) fn new(name: Arc<str>) -> Arc<Self> {
        let cores = PerCore::new(|_, _| CoreCounters::default());
        Arc::new(Self { name, cores, exemplars: Exemplars::default() })
    }

    /// Counts an invocation that has ended.
    pub(super) fn ended(&self, outcome: &Outcome, usage: &Usage) {
        let Some(core) = self.cores.own() else { return };
        if let Some(cause) = outcome.cause() {
            increment(&core.causes, index(&Cause::NAMES, cause.name()));
        }
        let index = match outcome {
            Outcome::Response => 0,
            _ => index(&Outcome::NAMES, outcome.name()),
        };
        if let Some(counters) = core.outcomes.get(index) {
            counters.get_or_init(Box::default).add(usage);
        }
    }

    /// Keeps the trace of an invocation, which is exported, as an example.
    #[cold]
    pub(super) fn exported(&self, outcome: &Outcome, usage: &Usage, trace: TraceId) {
        self.exemplars.add(outcome.name(), usage.run(), trace);
    }

    /// Counts an instance that was handed to an invocation.
    pub(crate) fn checked_out(&self, source: InstanceSource) {
        if let Some(core) = self.cores.own() {
            increment(&core.instances, source as usize);
        }
    }

    /// Records how long after the end of its grace period a guest was
    /// interrupted.
    pub(crate) fn interrupted(&self, lateness: Duration) {
        if let Some(core) = self.cores.own() {
            core.lateness.record(lateness);
        }
    }

    pub(super) fn snapshot(&self) -> FunctionMetrics {
        let (mut instances, mut lateness) = ([0; 3], Histogram::default());
        let mut cancellations: Vec<_> = Cause::NAMES.iter().map(|name| (*name, 0)).collect();
        let mut outcomes: Vec<_> =
            Outcome::NAMES.iter().map(|name| OutcomeMetrics::new(name)).collect();
        for core in self.cores.iter() {
            for (sum, counters) in outcomes.iter_mut().zip(&core.outcomes) {
                if let Some(counters) = counters.get() {
                    counters.add_to(sum);
                }
            }
            for ((_, sum), count) in cancellations.iter_mut().zip(&core.causes) {
                *sum += count.load(Relaxed);
            }
            for (sum, count) in instances.iter_mut().zip(&core.instances) {
                *sum += count.load(Relaxed);
            }
            core.lateness.add_to(&mut lateness);
        }
        outcomes.iter_mut().for_each(OutcomeMetrics::complete);
        outcomes.retain(|outcome| outcome.invocations > 0);
        outcomes.iter_mut().for_each(|of| of.exemplars = self.exemplars.of(of.outcome));
        cancellations.retain(|(_, count)| *count > 0);
        let [reset, none_idle, new_each_time] = instances;
        FunctionMetrics {
            function: self.name.clone(),
            outcomes,
            cancellations,
            instances: InstanceCounts { reset, none_idle, new_each_time },
            lateness,
        }
    }
}

impl OutcomeCounters {
    fn add(&self, usage: &Usage) {
        self.checkout.record(usage.checkout);
        self.run.record(usage.run());
        for (histogram, duration) in [(&self.queue, usage.queue), (&self.grace, usage.grace)] {
            if !duration.is_zero() {
                histogram.record(duration);
            }
        }
        let add = |counter: &AtomicU64, value: u64| {
            if value > 0 {
                counter.fetch_add(value, Relaxed);
            }
        };
        add(&self.cpu_nanos, u64::try_from(usage.cpu.as_nanos()).unwrap_or(u64::MAX));
        add(&self.request_bytes, usage.request_bytes);
        add(&self.response_bytes, usage.response_bytes);
        add(&self.calls, usage.calls.into());
        add(&self.fetches, usage.fetches.into());
        if usage.peak_memory > self.peak_memory.load(Relaxed) {
            self.peak_memory.fetch_max(usage.peak_memory, Relaxed);
        }
    }

    fn add_to(&self, sum: &mut OutcomeMetrics) {
        self.queue.add_to(&mut sum.queue);
        self.checkout.add_to(&mut sum.checkout);
        self.run.add_to(&mut sum.run);
        self.grace.add_to(&mut sum.grace);
        sum.cpu += Duration::from_nanos(self.cpu_nanos.load(Relaxed));
        sum.peak_memory = sum.peak_memory.max(self.peak_memory.load(Relaxed));
        sum.request_bytes += self.request_bytes.load(Relaxed);
        sum.response_bytes += self.response_bytes.load(Relaxed);
        sum.calls += self.calls.load(Relaxed);
        sum.fetches += self.fetches.load(Relaxed);
    }
}

/// The position of a name. All names are listed, which a test checks.
pub(super) fn index(names: &[&str], name: &str) -> usize {
    names.iter().position(|known| *known == name).unwrap_or(usize::MAX)
}

pub(super) fn increment(counters: &[AtomicU64], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.fetch_add(1, Relaxed);
    }
}
