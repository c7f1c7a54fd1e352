//! A function: a named module with its limits, and what is made of it once so
//! that an invocation need not.
//!
//! # Layout
//! - [`Function`]: what is deployed; [`Deployed`]: what becomes of it, and
//!   where an invocation checks out an instance.
//! - [`module`]: reads a module, and rewrites it where the host needs that.
//! - [`proof`]: whether its instances can be reset in place.
//! - [`blueprint`]: what every instance is made from, and its first state.
//! - [`instance`]: one of them, from its making to its end.
//! - [`idle`]: those that wait for an invocation.
//! - [`keeper`]: bounds how many wait, and for how long.
//! - [`registry`]: the functions under their names.

mod blueprint;
mod idle;
mod instance;
mod keeper;
mod module;
mod proof;
mod registry;

#[cfg(test)]
mod differential_tests;
#[cfg(test)]
mod generated;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use self::blueprint::Blueprint;
use self::idle::Idle;
use self::instance::Clean;
pub(crate) use self::instance::Instance;
pub use self::keeper::Kept;
pub(crate) use self::keeper::{Budget, Keeper};
pub(crate) use self::registry::{Entry, Registry};
use crate::abi::{self, Callees, Linkers, Run, Style};
use crate::engine::Engine;
use crate::environment::{Environment, Unusable};
use crate::error::DeployError;
#[cfg(feature = "server")]
use crate::headers::baggage;
use crate::limits::Limits;
use crate::mounts::Mounts;
#[cfg(feature = "server")]
use crate::outbound::{Hosts, Outbound};

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
#[derive(Clone, Debug)]
pub struct Function {
    name: Arc<str>,
    wasm: Arc<[u8]>,
    limits: Limits,
    instances: Instances,
    calls: Arc<[Arc<str>]>,
    #[cfg(feature = "server")]
    way_out: WayOut,
    environment: Environment,
    mounts: Mounts,
}

/// Which other hosts a function may reach, and what goes along.
#[cfg(feature = "server")]
#[derive(Clone, Debug, Default)]
struct WayOut {
    hosts: Arc<[Box<str>]>,
    baggage: Arc<[Arc<str>]>,
}

/// Where a function's fresh instances may come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// An instance that was used before is put back into its first state,
    /// where it is proven that nobody can tell it from a new one; else it is
    /// as with [`New`](Self::New). The default.
    #[default]
    Reset,
    /// Every invocation is given a new instance.
    New,
}

/// Where a deployed function's fresh instances come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fresh {
    /// They are reset in place: the module was proven to allow it.
    Reset,
    /// A new one is made for every invocation.
    Made {
        /// Why, in words for whoever deploys it.
        why: String,
    },
}

impl fmt::Display for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("its instances are reset in place"),
            Self::Made { why } => write!(f, "every invocation gets a new instance, because {why}"),
        }
    }
}

impl Function {
    /// Takes a module's bytes. They are looked at when it is deployed.
    ///
    /// # Errors
    /// [`DeployError::Name`] where the name can't be a path's segment.
    pub fn from_bytes(
        name: impl AsRef<str>,
        wasm: impl Into<Arc<[u8]>>,
    ) -> Result<Self, DeployError> {
        let name = name.as_ref();
        if !is_name(name) {
            return Err(DeployError::Name { name: name.to_owned() });
        }
        Ok(Self {
            name: name.into(),
            wasm: wasm.into(),
            limits: Limits::default(),
            instances: Instances::default(),
            calls: Arc::new([]),
            #[cfg(feature = "server")]
            way_out: WayOut::default(),
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

    /// Sets [`Limits::timeout`]. Default 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets [`Limits::grace`]. Default 100 milliseconds.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Sets [`Limits::memory`] in bytes. Default 128 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// Sets [`Limits::request_body`] in bytes. Default 10 MiB.
    #[must_use]
    pub fn request_body(mut self, bytes: u64) -> Self {
        self.limits.request_body = bytes;
        self
    }

    /// Sets [`Limits::response_body`] in bytes. Default: no limit.
    #[must_use]
    pub fn response_body(mut self, bytes: u64) -> Self {
        self.limits.response_body = bytes;
        self
    }

    /// Sets [`Limits::max_calls`]. Default 1,000.
    #[must_use]
    pub fn max_calls(mut self, most: u32) -> Self {
        self.limits.max_calls = most;
        self
    }

    /// Sets [`Limits::max_fetches`]. Default 1,000.
    #[must_use]
    pub fn max_fetches(mut self, most: u32) -> Self {
        self.limits.max_fetches = most;
        self
    }

    /// Sets [`Limits::fetches_at_once`]. Default 64.
    #[must_use]
    pub fn fetches_at_once(mut self, most: u32) -> Self {
        self.limits.fetches_at_once = most;
        self
    }

    /// Sets [`Limits::fetch_body`] in bytes. Default 10 MiB.
    #[must_use]
    pub fn fetch_body(mut self, bytes: u64) -> Self {
        self.limits.fetch_body = bytes;
        self
    }

    /// Sets [`Limits::detach`]. Default zero.
    #[must_use]
    pub fn detach(mut self, detach: Duration) -> Self {
        self.limits.detach = detach;
        self
    }

    /// Sets all limits at once.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where its instances may come from. Default [`Instances::Reset`].
    #[must_use]
    pub fn instances(mut self, instances: Instances) -> Self {
        self.instances = instances;
        self
    }

    /// Names the functions that it may call, in place of those named before.
    /// Default: none. They need not be deployed yet, and one that is not when
    /// it is called is [`Outcome::NotFound`](crate::Outcome::NotFound).
    #[must_use]
    pub fn calls<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.calls = names.into_iter().map(Into::into).collect();
        self
    }

    /// Names the hosts that it may reach with `Context::fetch` of the SDK, in
    /// place of those named before. Default: none.
    ///
    /// An entry is a name (`api.example.com`), all names below one
    /// (`*.example.com`), an address (`10.0.0.7`), a range of them
    /// (`10.0.0.0/8`), or `*` for any name and any public address. In front may
    /// stand the one scheme that it is for (`https://`), behind it the one port
    /// (`:8443`); without, it is for all.
    ///
    /// An address that is not public (loopback, link-local, private, reserved)
    /// is reached only where it is named as an address or a range, also by a
    /// name that leads there; and one by which a machine gets its credentials
    /// only where it is named alone. Each address is looked at as it is
    /// connected to, for every redirect anew. This machine's own public addresses
    /// are public ones.
    ///
    /// An entry that names no host is an error when the function is deployed.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn allow_hosts<H: Into<Box<str>>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.way_out.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Names the values of its context that go along as `baggage` when it
    /// fetches, for everybody on the way to read. Default: none. What is left
    /// of the budget, the step of the trace and the request's id always do. A
    /// name that baggage can't have is an error when the function is deployed.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn fetch_baggage<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.way_out.baggage = names.into_iter().map(Into::into).collect();
        self
    }

    /// Gives it a setting, in place of one of that name: a variable of its
    /// environment, which `Context::config` of the SDK reads as well. Default:
    /// it has none, and none of the host's.
    ///
    /// The value is never logged and never shown, so it may be a secret. A name
    /// that no environment can have is an error when the function is deployed;
    /// so is one of a request's own variables, such as `HTTP_HOST`, for a
    /// function that finds its request in its environment as CGI scripts do.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.set(name.into(), value.into());
        self
    }

    /// Gives it all of its settings at once.
    #[cfg(feature = "cli")]
    pub(crate) fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Lets it read a folder of the host's, which it finds at an absolute path
    /// of its own, such as `/data`, with all that is beneath. A relative `folder`
    /// is one of the process's working directory. Default: it reads no file at
    /// all.
    ///
    /// It can change nothing there, and neither a `..` nor a link leads it out;
    /// an absolute link leads nowhere. It reads plain files and folders, and
    /// opens nothing else. The folder is opened once, when the function is
    /// deployed, as a mount is: another that is put in its place is seen when
    /// the function is deployed again. What changes inside of it is seen at
    /// once.
    ///
    /// An invocation has at most 32 files open, and all guests together a
    /// quarter of what the process may. Of a folder eight calls at once wait for
    /// the disk, and others for those; one that waits fails when its
    /// invocation's context is done.
    ///
    /// A folder that is not there, and a path that is not absolute or is taken,
    /// are errors when the function is deployed: [`DeployError::MountFolder`]
    /// and [`DeployError::MountPath`].
    #[must_use]
    pub fn mount(mut self, path: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.mounts.add(path.into(), folder.into());
        self
    }

    /// Gives it all of its folders at once.
    #[cfg(feature = "cli")]
    pub(crate) fn mounts(mut self, mounts: Mounts) -> Self {
        self.mounts = mounts;
        self
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(feature = "server")]
impl WayOut {
    /// The client for it, if it leads anywhere.
    fn outbound(&self, limits: &Limits) -> Result<Option<Arc<Outbound>>, DeployError> {
        let hosts = Hosts::new(&*self.hosts);
        let hosts = hosts.map_err(|error| DeployError::AllowHosts { reason: error.to_string() })?;
        if let Some(name) = self.baggage.iter().find(|name| !baggage::is_name(name)) {
            return Err(DeployError::Baggage { name: name.to_string() });
        }
        Ok(Outbound::new(hosts, self.baggage.clone(), limits))
    }
}

/// Names go into paths, logs and metric labels.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// What a function is made ready with.
pub(crate) struct Workshop<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) linkers: &'a Linkers,
    pub(crate) keeper: &'a Keeper,
    /// Who calls other functions for it.
    pub(crate) callees: Weak<dyn Callees>,
}

/// A function made ready: everything an invocation would otherwise work out
/// again.
pub(crate) struct Deployed {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) fresh: Fresh,
    blueprint: Arc<Blueprint>,
    /// Where its instances wait between runs, if they may be used again.
    idle: Option<Arc<Idle>>,
}

impl Deployed {
    /// Checks, compiles (or loads from the cache) and links a function.
    pub(crate) fn prepare(
        workshop: &Workshop<'_>,
        function: &Function,
    ) -> Result<Self, DeployError> {
        let Workshop { engine, keeper, .. } = workshop;
        let checked = module::check(&function.wasm)?;
        let settings = function.environment.check();
        settings.map_err(|Unusable { name, reason }| DeployError::Setting { name, reason })?;
        if checked.style == Style::Cgi
            && let Some(name) = function.environment.names().find(|name| abi::is_requests_own(name))
        {
            let reason = "a request has a variable of that name, or could have";
            return Err(DeployError::Setting { name: name.to_owned(), reason });
        }
        let limits = function.limits.clone();
        if checked.memory > limits.memory {
            return Err(DeployError::Memory { needed: checked.memory, limit: limits.memory });
        }
        let fresh = match (&checked.proof, function.instances, &engine.pages) {
            (Err(reason), ..) => Fresh::Made { why: reason.clone() },
            (Ok(_), Instances::New, _) => Fresh::Made { why: "that was asked for".into() },
            (Ok(_), Instances::Reset, None) => {
                Fresh::Made { why: "this machine does not tell which pages were touched".into() }
            }
            (Ok(_), Instances::Reset, Some(_)) if !keeper.keeps_any() => {
                Fresh::Made { why: "the host keeps none (`idle_memory`)".into() }
            }
            (Ok(_), Instances::Reset, Some(_)) => Fresh::Reset,
        };
        Ok(Self {
            name: function.name.clone(),
            limits,
            blueprint: Blueprint::new(workshop, function, &checked)?,
            idle: (fresh == Fresh::Reset).then(|| keeper.idle()),
            fresh,
        })
    }

    /// An instance for one invocation.
    pub(crate) fn check_out(&self, run: Run) -> wasmtime::Result<Box<Instance>> {
        let clean = match self.idle.as_ref().and_then(|idle| idle.take()) {
            Some(clean) => clean,
            None => Clean::new(&self.blueprint, self.idle.is_some())?,
        };
        Ok(clean.begin(run))
    }

    /// Takes back an instance whose guest returned as it should, to be used
    /// again where that is proven to be safe. Every other one is to be dropped.
    /// `used` is when that began.
    pub(crate) fn give_back(&self, instance: Box<Instance>, used: Instant) {
        if let Some(idle) = &self.idle
            && let Some(clean) = instance.reset()
        {
            idle.put(clean, used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_plain() {
        for good in ["hello", "a", "v1.2-x_y"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".hidden", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
