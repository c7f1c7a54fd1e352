//! What a reader of the metrics gets.

use std::sync::Arc;
use std::time::Duration;

use super::exemplars::Exemplar;
use super::histogram::Histogram;

/// The metrics of a runtime since it was built, from
/// [`Runtime::metrics`](crate::Runtime::metrics).
///
/// Counters only grow. A snapshot that is taken while invocations end may
/// include a part of what one of them counts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// The deployed functions and the host functions, sorted by name. Functions
    /// that only a [handle](crate::FunctionHandle) reaches are one entry with
    /// an empty name, which comes first. A function that is replaced keeps its
    /// counters, one that is [removed](crate::Runtime::remove) takes them away.
    pub functions: Vec<FunctionMetrics>,
    /// Invocations that were refused before their guest ran, by the name of the
    /// [`Outcome`](crate::Outcome): only those that occurred.
    pub rejections: Vec<(&'static str, u64)>,
    /// Live contexts below [`Runtime::context`](crate::Runtime::context): one of
    /// each connection, of each invocation for a client, and those that
    /// functions derived.
    pub contexts: usize,
    /// Connections of clients that a [`Server`](crate::http::Server) accepted.
    pub connections: u64,
    /// Those of them that are open.
    pub open_connections: u64,
    /// Responses to clients of a server, by the class of their status, such as
    /// `2xx`: only those that occurred. A client that disconnected before its
    /// response was ready got none.
    pub http_responses: Vec<(&'static str, u64)>,
    /// Modules that were compiled.
    pub compilations: u64,
    /// The time that this took.
    pub compile_time: Duration,
    /// Modules whose code the cache on disk had.
    pub cache_hits: u64,
    /// The [usage ledger](crate::RuntimeBuilder::usage_dir), if there is one.
    pub usage: Option<UsageMetrics>,
    /// The exporter of traces and logs, if there is one. It may serve several
    /// runtimes.
    pub export: Option<ExportMetrics>,
}

/// The metrics of an exporter, by result: `sent` to the collector, `failed`
/// because the collector did not take them, or `dropped` because they exceeded a
/// bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportMetrics {
    /// Spans. A request that is dropped counts as one.
    pub spans: [(&'static str, u64); 3],
    /// Log records.
    pub logs: [(&'static str, u64); 3],
}

/// The metrics of a usage ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageMetrics {
    /// The invocations that it has accepted. Their records are on disk about a
    /// tenth of a second later, unless writing fails.
    pub records: u64,
    /// The invocations without a record, by reason: `buffer-full` were not
    /// accepted, `write-failed` were.
    pub lost: Vec<(&'static str, u64)>,
    /// The size of its files.
    pub file_bytes: u64,
}

/// The metrics of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionMetrics {
    /// The function's name.
    pub function: Arc<str>,
    /// The invocations that have ended, by outcome: only outcomes that
    /// occurred.
    pub outcomes: Vec<OutcomeMetrics>,
    /// The invocations whose context was done before they responded, by the
    /// name of the [`Cause`](crate::Cause): only causes that occurred.
    pub cancellations: Vec<(&'static str, u64)>,
    /// Where the instances came from.
    pub instances: InstanceCounts,
    /// How long after the end of their grace period guests were interrupted.
    pub lateness: Histogram,
}

/// The invocations of one function with one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutcomeMetrics {
    /// The [name](crate::Outcome::name) of the outcome.
    pub outcome: &'static str,
    /// The number of invocations.
    pub invocations: u64,
    /// The time for which calls waited for their admission.
    pub queue: Histogram,
    /// The time to get an instance.
    pub checkout: Histogram,
    /// The time from then until the end, without the grace period.
    pub run: Histogram,
    /// Exported traces with invocations of different [`run`](Self::run) times,
    /// the shortest first: the latest of each bucket. It is empty
    /// without an exporter.
    pub exemplars: Vec<Exemplar>,
    /// The time from when the context was done until the end.
    pub grace: Histogram,
    /// Processor time.
    pub cpu: Duration,
    /// The largest linear memory of an invocation so far, in bytes.
    pub peak_memory: u64,
    /// Bytes of request bodies that the function received.
    pub request_bytes: u64,
    /// Bytes of response bodies that it wrote.
    pub response_bytes: u64,
    /// Calls of other functions.
    pub calls: u64,
    /// Requests to other hosts.
    pub fetches: u64,
}

/// Where the instances of a function's invocations came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceCounts {
    /// Idle instances that were reset in place.
    pub reset: u64,
    /// New instances, because none was idle.
    pub none_idle: u64,
    /// New instances, because the function's are
    /// [not reset](crate::InstanceReuse::NewEachTime).
    pub new_each_time: u64,
}

impl OutcomeMetrics {
    pub(super) fn new(outcome: &'static str) -> Self {
        Self {
            outcome,
            invocations: 0,
            queue: Histogram::default(),
            checkout: Histogram::default(),
            run: Histogram::default(),
            exemplars: Vec::new(),
            grace: Histogram::default(),
            cpu: Duration::ZERO,
            peak_memory: 0,
            request_bytes: 0,
            response_bytes: 0,
            calls: 0,
            fetches: 0,
        }
    }

    /// Adds what is not recorded one by one: durations of zero.
    pub(super) fn complete(&mut self) {
        self.invocations = self.run.count();
        self.queue.add_zeros(self.invocations);
        self.grace.add_zeros(self.invocations);
    }
}
