//! The Wasm engine: wasmtime, configured for many short runs of untrusted code.
//!
//! - Instances come from a pool. Its address space is reserved at start, so
//!   that a run allocates nothing; [`sizing`] determines its size.
//! - Memory is copy-on-write, and pages stay resident between runs. [`pages`]
//!   restores them, and [`faults`] tells when that needs no scan.
//! - [`merging`] keeps the kernel from merging pages.
//! - A stack that a guest used deeply is returned to the system; see
//!   [`stacks`].
//! - The engine's epoch preempts running guests. [`ticker`] advances it, and
//!   fires the alarms of guests that wait.
//! - [`compile`] turns modules into native code; [`cache`] keeps it on disk.

pub(crate) mod cache;
pub(crate) mod compile;
pub(crate) mod faults;
mod merging;
pub(crate) mod pages;
pub(crate) mod sizing;
pub(crate) mod stacks;
pub(crate) mod ticker;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy};
use wasmtime::{PoolingAllocationConfig, WasmFeatures};

use self::cache::{Cache, CacheSettings};
use self::compile::{Compiler, Modules};
use self::pages::PageMap;
use self::ticker::Ticker;
use crate::error::BuildError;
use crate::telemetry::CompileCounters;

/// The maximum number of entries of a table that the pool clears by itself: one
/// page of pointers. A larger table is cleared before its instance is dropped,
/// see [`crate::invocation`].
pub(crate) const TABLE_PAGE: u64 = 512;

/// The maximum number of entries of any table.
pub(crate) const TABLE_MAX: u64 = 65_536;

/// How much touched memory is copied back rather than returned to the system
/// when an instance ends, and so the maximum that an idle slot keeps resident.
const KEEP_RESIDENT: usize = 2 << 20;

/// Slots beyond the invocations in flight, to copy a function's initial memory
/// at deploy time while every other slot is in use.
const SPARE_SLOTS: usize = 4;

/// The settings of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_in_flight: usize,
    /// Instances that are kept between runs have slots of their own, so that
    /// they never take a slot from an invocation.
    pub(crate) max_idle: usize,
    pub(crate) tick: Duration,
    pub(crate) cache: Option<CacheSettings>,
    pub(crate) compiler: Compiler,
    /// The maximum number of functions of a module.
    pub(crate) max_functions: u32,
}

/// The engine and the parts that exist once per engine: ticker, page map,
/// cache.
pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) ticker: Ticker,
    /// Present if the system tells touched pages from untouched ones.
    pub(crate) pages: Option<PageMap>,
    cache: Option<Cache>,
    compiler: Compiler,
    pub(crate) compile_counters: CompileCounters,
    pub(crate) max_functions: u32,
    /// The modules that functions currently use.
    modules: Arc<Modules>,
}

impl Engine {
    pub(crate) fn new(settings: &Settings) -> Result<Arc<Self>, BuildError> {
        let pages = PageMap::open(KEEP_RESIDENT);
        let scan = pages.as_ref().is_some_and(|pages| pages.scans);
        if !scan {
            tracing::warn!(
                "this kernel has no PAGEMAP_SCAN (Linux 6.7 or later has): the memory of an \
                 instance that is not reset in place is returned to the system, which is slower"
            );
        }
        let mut config = code_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings, scan)));
        let wasm = wasmtime::Engine::new(&config)
            .map_err(|error| BuildError::Engine(format!("{error:#}")))?;
        let cache = settings.cache.as_ref().map(|cache| {
            Cache::open(cache, &wasm)
                .map_err(|source| BuildError::Cache { dir: cache.dir.clone(), source })
        });
        let ticker = Ticker::start(wasm.clone(), settings.tick).map_err(BuildError::Threads)?;
        Ok(Arc::new(Self {
            wasm,
            ticker,
            pages,
            cache: cache.transpose()?,
            compiler: settings.compiler.clone(),
            compile_counters: CompileCounters::default(),
            max_functions: settings.max_functions,
            modules: Arc::default(),
        }))
    }
}

/// The settings that native code depends on, shared with a compiler process.
fn code_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        // Such tables may have no null value to be cleared with.
        .wasm_features(WasmFeatures::FUNCTION_REFERENCES, false)
        // See `stacks`, which relies on them.
        .max_wasm_stack(stacks::GUEST)
        .async_stack_size(stacks::STACK)
        // Traps name functions; offsets inside them would only enlarge the
        // compiled code.
        .generate_address_map(false);
    config
}

fn pool(settings: &Settings, scan: bool) -> PoolingAllocationConfig {
    let slots =
        settings.max_in_flight.saturating_add(settings.max_idle).saturating_add(SPARE_SLOTS);
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .total_stacks(slots)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .table_elements(TABLE_MAX as usize)
        // Large modules have large instances, because of their functions and
        // globals.
        .max_core_instance_size(8 << 20);
    // Only instances that are created for every invocation go through the
    // pool's own reset; without its scan they would take several times as long.
    if scan {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            // One page, so that it is cleared by hand and never by a scan.
            .table_keep_resident(TABLE_PAGE as usize * size_of::<usize>());
    }
    pool
}
