//! What operators see of a runtime: counters of every function, and recordings
//! of recent requests. Each core writes counters of its own, which are summed
//! when they are read.
//!
//! # Layout
//! - [`Telemetry`]: the counters and recordings of a runtime.
//! - [`invocation`]: an invocation in flight, until its end is counted.
//! - [`counters`]: those of one function; [`front`]: those of the HTTP front;
//!   [`histogram`]: durations.
//! - [`snapshot`]: what a reader of the counters gets.
//! - [`recorder`]: recent requests, with the spans of everything they started.
//! - [`ledger`]: a record of each invocation, in files.

mod counters;
mod front;
mod histogram;
mod invocation;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the program reads ledgers"))]
pub(crate) mod ledger;
#[cfg_attr(
    not(feature = "server"),
    expect(dead_code, unused_imports, reason = "only a server's operators read recordings")
)]
pub(crate) mod recorder;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use self::counters::{FunctionCounters, InstanceSource};
use self::counters::{increment, index};
pub(crate) use self::front::FrontCounters;
pub use self::histogram::Histogram;
use self::invocation::LiveInvocation;
pub(crate) use self::invocation::{Start, Trail};
use self::ledger::Ledger;
use self::recorder::Recorder;
pub use self::snapshot::{FunctionMetrics, InstanceCounts, Metrics, OutcomeMetrics, UsageMetrics};
use crate::cores::PerCore;
use crate::outcome::Outcome;
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
    pub(crate) fn new(ledger: Option<Ledger>) -> Self {
        let zeros = |_, _| [const { AtomicU64::new(0) }; Outcome::NAMES.len()];
        let unnamed = FunctionCounters::new("".into());
        register(ledger.as_ref(), &unnamed);
        Self {
            functions: Mutex::default(),
            unnamed,
            rejections: PerCore::new(zeros),
            front: FrontCounters::new(),
            recorder: Recorder::default(),
            ledger,
        }
    }

    /// Lists the counters of a function, unless those of its name are listed
    /// already. Returns the listed ones.
    pub(crate) fn list(&self, counters: &Arc<FunctionCounters>) -> Arc<FunctionCounters> {
        let mut functions = lock(&self.functions);
        let list = || {
            register(self.ledger.as_ref(), counters);
            counters.clone()
        };
        functions.entry(counters.name.clone()).or_insert_with(list).clone()
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
    pub(crate) fn begin<'a>(&'a self, start: Start<'a>) -> LiveInvocation<'a> {
        LiveInvocation::new(&self.recorder, self.ledger.as_ref(), start)
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
        }
    }
}

/// Gives the records of a function an id.
fn register(ledger: Option<&Ledger>, counters: &FunctionCounters) {
    if let Some(ledger) = ledger {
        counters.usage_id.get_or_init(|| ledger.register(&counters.name));
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
