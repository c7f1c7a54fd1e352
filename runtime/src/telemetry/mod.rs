//! What operators see of a runtime: counters of every function, and recordings
//! of recent requests. Each core writes counters of its own, which are summed
//! when they are read.
//!
//! # Layout
//! - [`Telemetry`]: the counters and recordings of a runtime.
//! - [`invocation`]: an invocation in flight, until its end is counted.
//! - [`counters`]: those of one function; [`front`]: those of the HTTP front;
//!   [`histogram`]: durations; [`exemplars`]: traces with such a duration.
//! - [`snapshot`]: what a reader of the counters gets.
//! - [`recorder`]: recent requests, with the spans of everything they started;
//!   [`exports`]: those that are exported; [`export_queue`]: their way.
//! - [`spans`]: the steps of a request, for an embedder's `tracing` subscriber.
//! - [`ledger`]: a record of each invocation, in files.

mod counters;
mod exemplars;
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "without it nothing is exported"))]
pub(crate) mod export_queue;
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "without it nothing is exported"))]
pub(crate) mod exports;
mod front;
mod histogram;
mod invocation;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the program reads ledgers"))]
pub(crate) mod ledger;
#[cfg_attr(
    not(feature = "server"),
    expect(dead_code, unused_imports, reason = "only a server's operators read recordings")
)]
#[cfg_attr(
    all(feature = "server", not(feature = "otlp")),
    allow(dead_code, reason = "only an exporter reads some of it")
)]
pub(crate) mod recorder;
mod snapshot;
pub(crate) mod spans;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use self::counters::{FunctionCounters, InstanceSource};
use self::counters::{increment, index};
pub use self::exemplars::Exemplar;
use self::exports::Exports;
pub(crate) use self::front::FrontCounters;
pub use self::histogram::Histogram;
use self::invocation::LiveInvocation;
pub(crate) use self::invocation::{Start, Trail};
use self::ledger::Ledger;
pub(crate) use self::ledger::NameId;
use self::recorder::{Kept, Recorded, Recorder, Recording, SpanBuffer, SpanRecorder};
pub use self::snapshot::{
    ExportMetrics, FunctionMetrics, InstanceCounts, Metrics, OutcomeMetrics, UsageMetrics,
};
use crate::context::Context;
use crate::cores::PerCore;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::{TRACE, Trace};
use crate::sync::lock;

/// The counters and recordings of a runtime.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// By name. There are as many as functions are deployed or provided.
    functions: Mutex<BTreeMap<Arc<str>, Arc<FunctionCounters>>>,
    /// Shared by all functions without a name of their own.
    unnamed: Arc<FunctionCounters>,
    rejections: PerCore<[AtomicU64; Outcome::NAMES.len()]>,
    pub(crate) front: FrontCounters,
    pub(crate) recorder: Recorder,
    pub(crate) exports: Option<Arc<Exports>>,
    ledger: Option<Ledger>,
}

/// The counters of the compiler.
#[derive(Debug, Default)]
pub(crate) struct CompileCounters {
    compilations: AtomicU64,
    nanos: AtomicU64,
    cache_hits: AtomicU64,
}

impl Telemetry {
    pub(crate) fn new(ledger: Option<Ledger>, exports: Option<Arc<Exports>>) -> Self {
        let zeros = |_, _| [const { AtomicU64::new(0) }; Outcome::NAMES.len()];
        let unnamed = FunctionCounters::new("".into());
        Self {
            functions: Mutex::default(),
            unnamed,
            rejections: PerCore::new(zeros),
            front: FrontCounters::new(),
            recorder: Recorder::default(),
            exports,
            ledger,
        }
    }

    /// Lists the counters of a function, unless those of its name are listed
    /// already. Returns the listed ones.
    pub(crate) fn list(&self, counters: &Arc<FunctionCounters>) -> Arc<FunctionCounters> {
        let mut functions = lock(&self.functions);
        functions.entry(counters.name.clone()).or_insert_with(|| counters.clone()).clone()
    }

    /// An id for the records of a function in the usage ledger, if there is one.
    pub(crate) fn usage_id(&self, name: &str, version: Option<&str>) -> Option<NameId> {
        self.ledger.as_ref().map(|ledger| ledger.register(name, version))
    }

    /// The counters of all functions without a name of their own.
    pub(crate) fn unnamed(&self) -> Arc<FunctionCounters> {
        self.unnamed.clone()
    }

    /// Drops the counters of a function that is removed.
    pub(crate) fn remove(&self, name: &str) {
        lock(&self.functions).remove(name);
    }

    /// Follows an invocation that was admitted.
    pub(crate) fn begin<'a>(
        &'a self,
        counters: &'a FunctionCounters,
        start: Start<'a>,
    ) -> LiveInvocation<'a> {
        LiveInvocation::new(self, counters, start)
    }

    /// Begins to record a request. With a buffer, it is kept by the recorder.
    pub(crate) fn begin_request(
        &self,
        ctx: &Context,
        buffer: Option<Arc<SpanBuffer>>,
    ) -> SpanRecorder {
        let recorded = if buffer.is_some() { Recorded::All } else { self.recorder.decide() };
        SpanRecorder::new(Kept { recorded, exported: self.exported(ctx) }, buffer)
    }

    /// What is exported of a request under this context.
    fn exported(&self, ctx: &Context) -> Recorded {
        let decide = |exports: &Arc<Exports>| exports.decide(ctx.value(&TRACE));
        self.exports.as_ref().map_or(Recorded::Nothing, decide)
    }

    /// Keeps a request that has ended, if anything wants it. Returns whether it
    /// is exported.
    fn keep(&self, recording: Recording, kept: Kept) -> bool {
        let (is_failed, wall) = (recording.is_failed(), recording.root.usage.wall);
        let recording = Arc::new(recording);
        if kept.recorded.keeps(is_failed, wall) {
            self.recorder.keep(recording.clone());
        }
        if let Some(exports) = &self.exports
            && kept.exported.keeps(is_failed, wall)
            && exports.admits(kept.exported == Recorded::All)
        {
            exports.send(recording);
            return true;
        }
        false
    }

    /// Counts an invocation that is refused before its guest runs, and exports
    /// it. It has waited for `queue`. A call has a span and the buffer of its
    /// request, if that is recorded.
    #[cold]
    pub(crate) fn refuse(
        &self,
        start: Start<'_>,
        queue: Duration,
        outcome: &Outcome,
        (trace, buffer): (Option<Trace>, Option<Arc<SpanBuffer>>),
    ) {
        self.refused(outcome);
        let usage = Usage { queue, ..Usage::default() };
        if start.parent.is_none() {
            self.export_refused(start, outcome);
        } else if let Some(buffer) = buffer {
            buffer.add_span(start.span(outcome, None, &usage, trace));
        }
    }

    /// Exports a request that was refused. A client's error, such as a path that
    /// leads nowhere, is not a failure of the host.
    #[cold]
    pub(crate) fn export_refused(&self, start: Start<'_>, outcome: &Outcome) {
        let Some(exports) = &self.exports else { return };
        let exported = self.exported(start.ctx);
        let is_failed = outcome.status().is_server_error();
        if exported.keeps(is_failed, Duration::ZERO) && exports.admits(exported == Recorded::All) {
            let span = start.span(outcome, None, &Usage::default(), None);
            let recording = Recording::new(span, None).about(start.ctx, None);
            exports.send(recording.of_request(start.request).into());
        }
    }

    /// Completes the usage ledger, once nothing is in flight and nothing is
    /// admitted any more.
    pub(crate) async fn close(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.close().await;
        }
    }

    /// Counts an invocation that was refused before its guest ran.
    #[cold]
    pub(crate) fn refused(&self, outcome: &Outcome) {
        if let Some(core) = self.rejections.own() {
            increment(core, index(&Outcome::NAMES, outcome.name()));
        }
    }

    /// The sums over all cores. `contexts` are alive.
    pub(crate) fn snapshot(&self, compiler: &CompileCounters, contexts: usize) -> Metrics {
        let named: Vec<_> = lock(&self.functions).values().cloned().collect();
        let functions = [&self.unnamed].into_iter().chain(&named);
        let functions = functions.map(|counters| counters.snapshot());
        let rejections = Outcome::NAMES.iter().enumerate().map(|(index, name)| {
            let counts = self.rejections.iter().filter_map(|core| core.get(index));
            (*name, counts.map(|count| count.load(Relaxed)).sum())
        });
        Metrics {
            functions: functions
                .filter(|function| !function.function.is_empty() || !function.outcomes.is_empty())
                .collect(),
            rejections: rejections.filter(|(_, count)| *count > 0).collect(),
            contexts,
            connections: self.front.opened(),
            open_connections: self.front.open(),
            http_responses: self.front.responses(),
            compilations: compiler.compilations.load(Relaxed),
            compile_time: Duration::from_nanos(compiler.nanos.load(Relaxed)),
            cache_hits: compiler.cache_hits.load(Relaxed),
            usage: self.ledger.as_ref().map(Ledger::metrics),
            export: self.exports.as_ref().map(|exports| exports.metrics()),
        }
    }
}

impl CompileCounters {
    /// Counts a module that was compiled within this time.
    pub(crate) fn compiled(&self, took: Duration) {
        self.compilations.fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts a module whose code the cache had.
    pub(crate) fn loaded(&self) {
        self.cache_hits.fetch_add(1, Relaxed);
    }
}
