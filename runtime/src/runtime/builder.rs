//! The settings of a runtime, and its construction.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::host_functions::Catalogue;
use super::listing::Listing;
use super::queue::QueueSlot;
use super::versions::Versions;
use super::{Capacity, Runtime, Shared};
use crate::admission::Admission;
use crate::context::Context;
use crate::engine::cache::CacheSettings;
use crate::engine::compile::Compiler;
use crate::engine::{Engine, Settings, sizing};
use crate::error::BuildError;
use crate::function::{Evictor, IdleLimits, Registry};
use crate::guest::Linkers;
use crate::limits::mib;
use crate::telemetry::Telemetry;
use crate::telemetry::exports::Exports;
use crate::telemetry::ledger::{Ledger, LedgerSettings};

pub(crate) const CACHE_SIZE: u64 = mib(1_024);
pub(crate) const CALL_SHARE: f64 = 0.5;
pub(crate) const IDLE_MEMORY: u64 = mib(256);
pub(crate) const MAX_DEPTH: u32 = 16;
pub(crate) const MAX_FUNCTIONS: u32 = 100_000;
pub(crate) const RETAINED_VERSIONS: usize = 2;
pub(crate) const USAGE_AGE: Duration = Duration::from_hours(30 * 24);
pub(crate) const USAGE_SIZE: u64 = mib(1_024);
/// The smallest size of a usage ledger.
pub(crate) const LEAST_USAGE_SIZE: u64 = mib(1);

/// Settings of a [`Runtime`].
#[derive(Clone, Debug)]
pub struct RuntimeBuilder {
    max_in_flight: Option<usize>,
    tick: Duration,
    cache_dir: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    cache_size: u64,
    compiler: Compiler,
    max_functions: u32,
    idle_memory: u64,
    max_depth: u32,
    call_share: f64,
    retained_versions: usize,
    usage: Option<PathBuf>,
    usage_size: u64,
    usage_age: Duration,
    exports: Option<Arc<Exports>>,
}

impl RuntimeBuilder {
    pub(super) fn new() -> Self {
        Self {
            max_in_flight: None,
            tick: Duration::from_millis(1),
            cache_dir: None,
            state_dir: None,
            cache_size: CACHE_SIZE,
            compiler: Compiler::default(),
            max_functions: MAX_FUNCTIONS,
            idle_memory: IDLE_MEMORY,
            max_depth: MAX_DEPTH,
            call_share: CALL_SHARE,
            retained_versions: RETAINED_VERSIONS,
            usage: None,
            usage_size: USAGE_SIZE,
            usage_age: USAGE_AGE,
            exports: None,
        }
    }

    /// The most invocations in flight at once. One more is
    /// [`Outcome::Busy`](crate::Outcome::Busy). Default 1,000, or what the
    /// machine allows if that is less.
    #[must_use]
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.max_in_flight = Some(most);
        self
    }

    /// The tick: the interval at which a running guest is checked, and so the
    /// longest delay of its interruption. Default 1 millisecond, which is also
    /// the minimum.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick.max(Duration::from_millis(1));
        self
    }

    /// A directory for compiled code, so that a second start compiles nothing.
    /// Default: none.
    ///
    /// It is created if it is missing. It must belong to the effective user and
    /// not be writable by others, and a symbolic link is not followed. Only
    /// files that this library wrote with the key in
    /// [`state_dir`](Self::state_dir) are loaded. It can be deleted at any
    /// time.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// A directory for the key of the code cache, `cache-key`. A user who can
    /// read the key and write to the cache can run code in this process. It
    /// must not be the cache directory, nor come from an untrusted source, and
    /// the requirements of [`cache_dir`](Self::cache_dir) apply to it too.
    /// Default: `hourglass` in `$XDG_STATE_HOME` or `~/.local/state`. It is not
    /// used without a cache.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// The largest size of the code cache, in bytes. The least recently used
    /// files are removed first. Default 1 GiB. Each process that shares the
    /// directory checks the size after each write, with its own setting.
    #[must_use]
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.cache_size = bytes;
        self
    }

    /// Where modules are compiled, and within which time and memory. Default:
    /// in this process, without such limits; see [`Compiler`].
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// The most functions of a module, not counting imports. A module with more
    /// is not compiled. Default 100,000; an interpreter such as CPython has on
    /// the order of 10,000.
    #[must_use]
    pub fn max_functions(mut self, most: u32) -> Self {
        self.max_functions = most;
        self
    }

    /// The most memory of all idle instances, in bytes. Idle instances are kept
    /// for later invocations. The least recently used ones are dropped first,
    /// and none is kept for longer than a minute. Default 256 MiB. With 0,
    /// every invocation gets a new instance.
    #[must_use]
    pub fn idle_memory(mut self, bytes: u64) -> Self {
        self.idle_memory = bytes;
        self
    }

    /// The most nested calls: the number of callers that a function may have
    /// above it. One more is
    /// [`Outcome::DepthExceeded`](crate::Outcome::DepthExceeded). Default 16.
    #[must_use]
    pub fn max_depth(mut self, most: u32) -> Self {
        self.max_depth = most;
        self
    }

    /// The share of the capacity that the calls of one request may take: of the
    /// invocations that the runtime has left to give, and those that they are
    /// themselves. Default 0.5; a number outside of 0 to 1 counts as the
    /// nearest.
    ///
    /// It applies to all calls on behalf of one invocation, at any depth,
    /// including detached ones. It is at least one, so that every function can
    /// call another, and one more for each depth at which calls are nested, so
    /// that callers never wait for each other. A call beyond the share waits,
    /// the deepest first, and ends with its context as any other call. At most
    /// as many calls of one request wait as
    /// [`max_in_flight`](Self::max_in_flight) says, or 1,024 if that is more.
    /// At most four times as many calls of all requests wait. One more is
    /// [`Outcome::Busy`](crate::Outcome::Busy), and so, as soon as it is made,
    /// is one more than can run and wait. If no capacity is left, a call is
    /// busy too, unless other calls of its request are in flight that it can
    /// wait for.
    ///
    /// With 1 a single request may take all that is left.
    #[must_use]
    pub fn call_share(mut self, share: f64) -> Self {
        self.call_share = share;
        self
    }

    /// The most versions of a function that are retained for
    /// [`rollback`](Runtime::rollback), besides those that serve. Default 2.
    ///
    /// Each holds its native code, with three memory mappings and a file
    /// descriptor, and no instances.
    #[must_use]
    pub fn retained_versions(mut self, most: usize) -> Self {
        self.retained_versions = most;
        self
    }

    /// A directory for the usage ledger: a record of each invocation that ended,
    /// with its function, principal, outcome and usage. `hourglass usage` sums
    /// it. Default: none.
    ///
    /// It is created if it is missing, for its owner alone, because it names
    /// principals. Each runtime needs a directory of its own. Records are
    /// written about a tenth of a second after the end of their invocation, by
    /// a thread that is parked while nothing runs. Those that are lost, because
    /// the disk is too slow or full or the process was killed, are counted
    /// exactly; see [`Metrics::usage`](crate::Metrics::usage).
    /// [`Runtime::shutdown`] writes everything, and so does dropping the last
    /// clone of the runtime.
    #[must_use]
    pub fn usage_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.usage = Some(dir.into());
        self
    }

    /// The largest size of the usage ledger, in bytes. The oldest records are
    /// removed first, and their sum stays. Default 1 GiB, which is some 25
    /// million records; at least 1 MiB.
    #[must_use]
    pub fn usage_size(mut self, bytes: u64) -> Self {
        self.usage_size = bytes.max(LEAST_USAGE_SIZE);
        self
    }

    /// The age at which records of the usage ledger are removed, while the
    /// runtime exists. Their sum stays. Records are removed file by file, up to
    /// a sixty-fourth of that age later. Default 30 days.
    #[must_use]
    pub fn usage_age(mut self, age: Duration) -> Self {
        self.usage_age = age;
        self
    }

    /// Exports the traces of the runtime. Each request without a trace begins a
    /// new one. Default: none.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn exporter(mut self, exporter: &crate::otlp::Exporter) -> Self {
        self.exports = Some(exporter.exports());
        self
    }

    /// Builds the runtime. This reserves its address space, but not its memory.
    /// It starts two threads, which are parked while nothing runs and no
    /// instance is kept, and one more for a usage ledger.
    ///
    /// # Errors
    /// [`BuildError`] says what the machine does not allow.
    pub fn build(self) -> Result<Runtime, BuildError> {
        let sizing = sizing::decide(self.max_in_flight)?;
        let engine = Engine::new(&Settings {
            max_in_flight: sizing.in_flight,
            max_idle: sizing.idle,
            tick: self.tick,
            cache: self.cache_dir.map(|dir| CacheSettings {
                dir,
                state_dir: self.state_dir,
                size: self.cache_size,
            }),
            compiler: self.compiler,
            max_functions: self.max_functions,
        })?;
        let limits = IdleLimits { instances: sizing.idle, bytes: self.idle_memory };
        let evictor = Evictor::start(limits).map_err(BuildError::Threads)?;
        let linkers =
            Linkers::new(&engine.wasm).map_err(|error| BuildError::Engine(format!("{error:#}")))?;
        let ledger = self.usage.map(|dir| {
            Ledger::open(&LedgerSettings { dir, size: self.usage_size, age: self.usage_age })
        });
        let ledger = ledger.transpose().map_err(BuildError::Usage)?;
        let (root, end) = Context::background().with_cancel();
        let (draining, drain) = Context::background().with_cancel();
        Ok(Runtime(Arc::new(Shared {
            engine,
            linkers,
            functions: Registry::new(),
            versions: Versions::new(self.retained_versions),
            provided: Catalogue::default(),
            admission: Admission::new(sizing.in_flight, self.call_share),
            listing: Listing::new(),
            max_depth: self.max_depth,
            tasks: RwLock::default(),
            queue: QueueSlot::default(),
            evictor,
            telemetry: Telemetry::new(ledger, self.exports),
            root,
            end,
            draining,
            drain,
            capacity: Capacity {
                in_flight: sizing.in_flight,
                allowed: sizing.allowed,
                max_map_count: sizing.max_map_count,
            },
        })))
    }
}
