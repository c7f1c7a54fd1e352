//! A function: a named module with its limits, and everything that is prepared
//! once per function rather than per invocation.
//!
//! # Layout
//! - [`Function`]: the description to deploy; [`Deployed`]: the prepared
//!   function, from which an invocation checks out an instance.
//! - [`settings`]: the settings of a function before it is deployed.
//! - [`module`]: reads a module, and rewrites it if the host needs that.
//! - [`size`]: limits on a module's size, and on the cost of validating it.
//! - [`proof`]: whether its instances can be reset in place.
//! - [`blueprint`]: the template for its instances, and their initial state.
//! - [`instance`]: one instance, from its creation to its end.
//! - [`pool`]: the instances that wait for an invocation, and the evictor that
//!   bounds how many wait, and for how long.
//! - [`registry`]: the functions by their names.

mod blueprint;
mod instance;
mod module;
mod pool;
mod proof;
mod registry;
mod settings;
mod size;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Instant;

use self::blueprint::Blueprint;
pub(crate) use self::instance::Instance;
use self::instance::ReadyInstance;
use self::pool::Idle;
pub use self::pool::IdleStats;
pub(crate) use self::pool::{Evictor, IdleLimits};
pub(crate) use self::registry::{Entry, Former, Registry};
#[cfg(feature = "server")]
pub(crate) use self::size::MAX_MODULE;
use crate::engine::Engine;
use crate::engine::faults::FaultWatch;
use crate::environment::Environment;
use crate::error::DeployError;
use crate::escape::OneLine;
use crate::guest::{self, Dispatcher, Inputs, Linkers, Style};
use crate::limits::Limits;
use crate::log::Rate;
use crate::mounts::Mounts;
#[cfg(all(feature = "jobs", feature = "server"))]
use crate::outbound::Outbound;
use crate::telemetry::{FunctionCounters, InstanceSource, NameId};

/// A function to deploy: a `wasm32-wasip1` program under a name, with limits.
///
/// ```no_run
/// use std::time::{Duration, Instant};
/// use hourglass::{Function, mib};
///
/// let hello = Function::from_file("hello", "hello.wasm")?
///     .timeout(Duration::from_secs(2))
///     .memory(mib(64));
/// # Ok::<(), hourglass::DeployError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    name: Arc<str>,
    wasm: Arc<[u8]>,
    limits: Limits,
    instances: InstancePolicy,
    calls: Arc<[Arc<str>]>,
    /// The hosts that it may reach, and the baggage that it sends to them.
    #[cfg(feature = "server")]
    hosts: Arc<[Box<str>]>,
    #[cfg(feature = "server")]
    baggage: Arc<[Arc<str>]>,
    pub(crate) environment: Environment,
    pub(crate) mounts: Mounts,
}

/// The permitted source of a function's fresh instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstancePolicy {
    /// An instance that was used before is reset to its initial state, if it is
    /// proven to be indistinguishable from a new one; otherwise as with
    /// [`NewEachTime`](Self::NewEachTime). The default.
    #[default]
    ResetInPlace,
    /// Every invocation gets a new instance.
    NewEachTime,
}

/// The source of a deployed function's fresh instances.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceReuse {
    /// They are reset in place: the module was proven to allow it.
    ResetInPlace,
    /// A new one is created for every invocation.
    NewEachTime {
        /// The reason, in words for the operator.
        reason: String,
    },
}

impl fmt::Display for InstanceReuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResetInPlace => f.write_str("its instances are reset in place"),
            Self::NewEachTime { reason } => {
                write!(f, "every invocation gets a new instance, because {}", OneLine(reason))
            }
        }
    }
}

impl Function {
    /// Takes a module's bytes. They are checked when the function is deployed.
    ///
    /// # Errors
    /// [`DeployError::Name`] if the name cannot be a path segment.
    pub fn from_bytes(
        name: impl AsRef<str>,
        wasm: impl Into<Arc<[u8]>>,
    ) -> Result<Self, DeployError> {
        let name = name.as_ref();
        if !is_name(name) {
            return Err(DeployError::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.into(),
            wasm: wasm.into(),
            limits: Limits::default(),
            instances: InstancePolicy::default(),
            calls: Arc::new([]),
            #[cfg(feature = "server")]
            hosts: Arc::new([]),
            #[cfg(feature = "server")]
            baggage: Arc::new([]),
            environment: Environment::default(),
            mounts: Mounts::default(),
        })
    }

    /// Reads a module's bytes from a file.
    ///
    /// # Errors
    /// [`DeployError::Read`], and those of [`from_bytes`](Self::from_bytes).
    pub fn from_file(name: impl AsRef<str>, path: impl AsRef<Path>) -> Result<Self, DeployError> {
        let path = path.as_ref();
        let wasm = std::fs::read(path)
            .map_err(|source| DeployError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(name, wasm)
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash of its module.
    pub(crate) fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.wasm)
    }

    /// The same settings with another module.
    pub(crate) fn with_module(&self, wasm: Arc<[u8]>) -> Self {
        Self { wasm, ..self.clone() }
    }
}

/// What a function is and may do, for operators.
#[cfg(feature = "server")]
#[derive(Clone, Debug)]
pub(crate) struct FunctionInfo {
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) calls: Arc<[Arc<str>]>,
    pub(crate) allow_hosts: Arc<[Box<str>]>,
    /// The folders' paths in the function.
    pub(crate) mounts: Vec<String>,
    /// The names of its variables.
    pub(crate) environment: Vec<String>,
}

#[cfg(feature = "server")]
impl FunctionInfo {
    fn new(function: &Function, version: Arc<str>) -> Self {
        Self {
            name: function.name.clone(),
            version,
            limits: function.limits.clone(),
            calls: function.calls.clone(),
            allow_hosts: function.hosts.clone(),
            mounts: function.mounts.paths().map(str::to_owned).collect(),
            environment: function.environment.names().map(str::to_owned).collect(),
        }
    }
}

/// The length of a version, in hexadecimal digits.
const VERSION: usize = 12;

/// Names go into paths, logs and metric labels.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// The parts that a function is prepared with.
pub(crate) struct DeployContext<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) linkers: &'a Linkers,
    pub(crate) evictor: &'a Evictor,
    /// Dispatches the function's calls to other functions.
    pub(crate) dispatcher: Weak<dyn Dispatcher>,
}

/// A prepared function: everything that an invocation would otherwise compute
/// again.
pub(crate) struct Deployed {
    pub(crate) name: Arc<str>,
    /// The first digits of the BLAKE3 hash of its module.
    pub(crate) version: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) reuse: InstanceReuse,
    #[cfg(feature = "server")]
    pub(crate) info: FunctionInfo,
    /// Limits the logging of its failures.
    pub(crate) failures: Rate,
    pub(crate) counters: Arc<FunctionCounters>,
    /// Its id in the usage ledger, if there is one.
    pub(crate) usage_id: Option<NameId>,
    blueprint: Arc<Blueprint>,
    /// The pool of its instances between runs, if they may be reused.
    idle: Option<Arc<Idle>>,
}

impl Deployed {
    /// Checks, compiles (or loads from the cache) and links a function.
    pub(crate) fn prepare(
        context: &DeployContext<'_>,
        function: &Function,
    ) -> Result<Self, DeployError> {
        let DeployContext { engine, evictor, .. } = context;
        let checked = module::check(&function.wasm, engine.max_functions)?;
        let unusable =
            |(name, reason): (&str, _)| DeployError::Setting { name: name.to_owned(), reason };
        function.environment.check().map_err(unusable)?;
        if checked.style == Style::Cgi
            && let Some(name) =
                function.environment.names().find(|name| guest::is_requests_own(name))
        {
            return Err(unusable((name, "a request has a variable of that name, or could have")));
        }
        let limits = function.limits.clone();
        if checked.memory > limits.memory {
            return Err(DeployError::Memory { needed: checked.memory, limit: limits.memory });
        }
        let reuse = match (&checked.proof, function.instances, &engine.pages) {
            (Err(reason), ..) => InstanceReuse::NewEachTime { reason: reason.clone() },
            (Ok(_), InstancePolicy::NewEachTime, _) => {
                InstanceReuse::NewEachTime { reason: "the setting `instances` requires it".into() }
            }
            (Ok(_), InstancePolicy::ResetInPlace, None) => InstanceReuse::NewEachTime {
                reason: "this machine does not report which pages were written".into(),
            },
            (Ok(_), InstancePolicy::ResetInPlace, Some(_)) if !evictor.keeps_any() => {
                InstanceReuse::NewEachTime { reason: "the host keeps none (`idle_memory`)".into() }
            }
            (Ok(_), InstancePolicy::ResetInPlace, Some(_)) => InstanceReuse::ResetInPlace,
        };
        let version: Arc<str> = function.hash().to_hex().get(..VERSION).unwrap_or_default().into();
        Ok(Self {
            name: function.name.clone(),
            limits,
            failures: Rate::of_failures(),
            counters: FunctionCounters::new(function.name.clone()),
            usage_id: None,
            blueprint: Blueprint::new(context, function, &checked)?,
            idle: (reuse == InstanceReuse::ResetInPlace).then(|| evictor.pool()),
            reuse,
            #[cfg(feature = "server")]
            info: FunctionInfo::new(function, version.clone()),
            version,
        })
    }

    /// The client with which it reaches other hosts, if it may reach any.
    #[cfg(all(feature = "jobs", feature = "server"))]
    pub(crate) fn outbound(&self) -> Option<&Arc<Outbound>> {
        self.blueprint.outbound()
    }

    /// Checks out an instance for one invocation.
    pub(crate) fn check_out(&self, inputs: Inputs) -> wasmtime::Result<Box<Instance>> {
        let idle = self.idle.as_ref();
        let (clean, source) = match idle.and_then(|idle| idle.take()) {
            Some(clean) => (clean, InstanceSource::Reset),
            None => {
                let reset = idle.is_some();
                let clean = ReadyInstance::new(&self.blueprint, reset)?;
                let none_idle = InstanceSource::NoneIdle;
                (clean, if reset { none_idle } else { InstanceSource::NewEachTime })
            }
        };
        self.counters.checked_out(source);
        Ok(clean.begin(inputs))
    }

    /// Sets whether the pool keeps instances. It does at first.
    pub(crate) fn keep_idle(&self, keep: bool) {
        if let Some(idle) = &self.idle {
            idle.set_open(keep);
        }
    }

    /// Drops the instances in the pool.
    pub(crate) fn drop_idle(&self) {
        if let Some(idle) = &self.idle {
            idle.drop_older(Instant::now());
        }
    }

    /// Returns an instance to the pool after its guest returned normally, if it
    /// is proven that the instance can be reused safely. The caller must
    /// discard every other instance. `used` is the time at which its last use
    /// began.
    ///
    /// # Errors
    /// The instance, if it cannot be reused.
    pub(crate) fn check_in(
        &self,
        instance: Box<Instance>,
        used: Instant,
        faults: &mut FaultWatch,
    ) -> Result<(), Box<Instance>> {
        let Some(idle) = &self.idle else { return Err(instance) };
        idle.put(instance.reset(faults)?, used);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
