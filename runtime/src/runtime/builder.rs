//! The settings of a runtime, and how one is made of them.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::host_functions::Catalogue;
use super::listing::Listing;
use super::{Capacity, Runtime, Shared};
use crate::admission::Admission;
use crate::context::Context;
use crate::engine::cache::CacheSettings;
use crate::engine::compile::Compiler;
use crate::engine::{Engine, Settings, sizing};
use crate::error::BuildError;
use crate::function::{Budget, Keeper, Registry};
use crate::guest::Linkers;
use crate::limits::mib;

pub(crate) const CACHE_SIZE: u64 = mib(1_024);
pub(crate) const CALL_SHARE: f64 = 0.5;
pub(crate) const IDLE_MEMORY: u64 = mib(256);
pub(crate) const MAX_DEPTH: u32 = 16;
pub(crate) const MAX_FUNCTIONS: u32 = 100_000;

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
        }
    }

    /// How many invocations may be in flight at once; one more is
    /// [`Outcome::Busy`](crate::Outcome::Busy). Default 1,000, or what the machine allows if that is
    /// less.
    #[must_use]
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.max_in_flight = Some(most);
        self
    }

    /// How often a running guest is looked at, and so how late its
    /// interruption may come. Default 1 millisecond, which is also the least.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick.max(Duration::from_millis(1));
        self
    }

    /// A directory in which compiled code is kept, so that a second start
    /// compiles nothing. Default: none.
    ///
    /// It is created where it is missing. It must belong to the effective user
    /// and not be writable by others, and a symbolic link is not followed.
    /// Only files that this library wrote with the key in
    /// [`state_dir`](Self::state_dir) are loaded. It can be deleted at any time.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// A directory for the key of the code cache, `cache-key`. A user who can
    /// read the key and write to the cache can run code in this process. It must not
    /// be the cache directory, nor come with anything that is not trusted, and
    /// the same holds for it as for [`cache_dir`](Self::cache_dir). Default:
    /// `hourglass` in `$XDG_STATE_HOME` or `~/.local/state`. It is not used
    /// without a cache.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// How large the code cache may become, in bytes. What was used least
    /// recently is removed first. Default 1 GiB. It is checked after each write,
    /// by every process that shares the directory with the size it is given.
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

    /// How many functions a module may have, imports not counted. One with more
    /// is not compiled. Default 100,000; an interpreter such as CPython has on
    /// the order of 10,000.
    #[must_use]
    pub fn max_functions(mut self, most: u32) -> Self {
        self.max_functions = most;
        self
    }

    /// How much memory, in bytes, all instances together may hold that are
    /// kept for the invocations to come. Those that were used least recently
    /// go first; none is kept for longer than a minute. Default 256 MiB; with 0
    /// every invocation is given a new instance.
    #[must_use]
    pub fn idle_memory(mut self, bytes: u64) -> Self {
        self.idle_memory = bytes;
        self
    }

    /// How deeply calls may be nested: how many callers a function may have,
    /// one above the other. One more is [`Outcome::DepthExceeded`](crate::Outcome::DepthExceeded). Default 16.
    #[must_use]
    pub fn max_depth(mut self, most: u32) -> Self {
        self.max_depth = most;
        self
    }

    /// Which share of the capacity the calls of one request may take: of the
    /// invocations that the runtime has left to give, and those that they are
    /// themselves. Default 0.5; a number outside of 0 to 1 counts as the nearest.
    ///
    /// It holds for all calls that are made on behalf of one invocation, at any
    /// depth, also those that were detached. It is at least one, so that every
    /// function can call another, and one more for each depth at which calls are
    /// nested, so that callers never wait for each other. A call beyond the share
    /// waits, the deepest first, and ends with its context as any other. At most
    /// as many calls of one request wait as [`max_in_flight`](Self::max_in_flight)
    /// says, or 1,024 if that is more, and those of all requests together four
    /// times as many; one more is [`Outcome::Busy`](crate::Outcome::Busy), and so is one more than
    /// can run and wait, as soon as it is made. Where
    /// nothing at all is left a call is busy too, unless others of its request
    /// are in flight that it can wait for.
    ///
    /// With 1 a single request may take all that is left.
    #[must_use]
    pub fn call_share(mut self, share: f64) -> Self {
        self.call_share = share;
        self
    }

    /// Makes the runtime. Its address space is reserved here, its memory is
    /// not. It starts two threads, which are parked while nothing runs and
    /// nothing is kept.
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
        let bytes = usize::try_from(self.idle_memory).unwrap_or(usize::MAX);
        let keeper = Keeper::start(Budget { instances: sizing.idle, bytes })
            .map_err(|source| BuildError::Threads { source })?;
        let linkers =
            Linkers::new(&engine.wasm).map_err(|error| BuildError::Engine(format!("{error:#}")))?;
        let (root, end) = Context::background().with_cancel();
        Ok(Runtime(Arc::new(Shared {
            engine,
            linkers,
            functions: Registry::new(),
            provided: Catalogue::default(),
            admission: Admission::new(sizing.in_flight, self.call_share),
            listing: Listing::new(),
            max_depth: self.max_depth,
            tasks: RwLock::default(),
            keeper,
            root,
            end,
            capacity: Capacity {
                in_flight: sizing.in_flight,
                allowed: sizing.allowed,
                max_map_count: sizing.max_map_count,
            },
        })))
    }
}
