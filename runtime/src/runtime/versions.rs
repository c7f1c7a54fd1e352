//! Live deploys: a function is replaced while it is invoked, and can be rolled
//! back.
//!
//! A deploy compiles and links the function first, which takes long and may fail.
//! Then the registry of each core gets the new version, which takes microseconds.
//! An invocation keeps the version that it has started with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::history::{ALL, History, Unservable};
use super::{Runtime, Shared};
use crate::error::{DeployError, VersionError};
use crate::function::{Deployed, Former, Function, InstanceReuse};
use crate::sync::lock;

/// The retained versions of all functions. `Runtime` states what they cost.
pub(super) struct Versions {
    functions: Mutex<HashMap<Arc<str>, History<Kept>>>,
    /// The number of versions of a function that are retained besides those that
    /// serve.
    most: usize,
}

/// What is kept of a version.
struct Kept {
    function: Arc<Deployed>,
    /// Its settings, with an empty module.
    settings: Function,
}

/// A function that is compiled and linked, and not deployed yet.
pub(crate) struct Ready {
    pub(crate) function: Deployed,
    settings: Function,
}

/// What a change leaves. Dropping it ends instances and unloads code, which takes
/// time: no lock should be held then.
#[must_use]
pub(crate) struct Leftovers {
    #[expect(dead_code, reason = "held for their drops")]
    former: Vec<(Former, Vec<Kept>)>,
    /// Versions that do not serve any more.
    ended: Vec<Arc<Deployed>>,
}

/// A version of a deployed function, as [`Runtime::versions`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The first 12 hexadecimal digits of the BLAKE3 hash of the module.
    pub version: Arc<str>,
    /// When it was deployed.
    pub deployed: SystemTime,
    /// The percentage of the invocations that it gets.
    pub percent: u8,
    /// Whether it is the canary.
    pub is_canary: bool,
}

impl Versions {
    pub(super) fn new(most: usize) -> Self {
        Self { functions: Mutex::default(), most }
    }
}

/// Deploys, versions and rollbacks.
///
/// A version is a module with the settings of its last deploy. Its
/// [id](VersionInfo::version) is a hash of the module: to deploy the same module
/// with other settings replaces the version. A version that does not serve is
/// retained until [`retained_versions`](crate::RuntimeBuilder::retained_versions)
/// others have served more recently. It holds its native code, which functions with
/// the same module share, three memory mappings and a file descriptor. It keeps no
/// instances.
impl Runtime {
    /// Deploys a function under its name, and replaces the function that had
    /// it. Invocations of the replaced version run to their end; its idle
    /// instances end at once, and [`rollback`](Self::rollback) returns to it.
    /// A [canary](Self::deploy_canary) ends. Returns how the function gets its
    /// fresh instances.
    ///
    /// This compiles, which can take seconds of processor time on all cores:
    /// call it from a thread that may block. Of concurrent deploys under one
    /// name the last to compile is in place afterwards.
    ///
    /// # Errors
    /// [`DeployError`] says why the module can't be deployed here. The replaced
    /// function then stays.
    pub fn deploy(&self, function: Function) -> Result<InstanceReuse, DeployError> {
        self.deploy_canary(function, ALL)
    }

    /// Deploys a function as [`deploy`](Self::deploy) does, for a percentage of
    /// the invocations; the version that has served gets the others. It
    /// replaces the canary, if there is one.
    ///
    /// The choice is made for each invocation, at random, also for calls of
    /// other functions. With 0 the version is ready and gets no invocation, with
    /// 100 or more this is `deploy`, and so it is if no function has the name.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy), and [`DeployError::SameVersion`] if the
    /// version that serves has the same module.
    pub fn deploy_canary(
        &self,
        function: Function,
        percent: u8,
    ) -> Result<InstanceReuse, DeployError> {
        let ready = self.ready(&function)?;
        let reuse = ready.function.reuse.clone();
        drop(self.install(ready, percent)?);
        Ok(reuse)
    }

    /// Sets the percentage of the invocations that the canary of a function
    /// gets. With 100 or more it replaces the version that has served.
    ///
    /// # Errors
    /// [`VersionError::NotDeployed`] and [`VersionError::NoCanary`].
    pub fn set_canary(&self, name: &str, percent: u8) -> Result<(), VersionError> {
        self.serve_other(name, |history| {
            history.weigh(percent).map_err(|_| VersionError::NoCanary { function: name.to_owned() })
        })?;
        Ok(())
    }

    /// Serves a retained version of a function at once, with the settings that
    /// it was deployed with, and returns its id. Without an id, a canary ends;
    /// without a canary, the version that served before the present one returns.
    ///
    /// # Errors
    /// [`VersionError`] says what is not deployed or not retained. Nothing has
    /// changed then.
    pub fn rollback(&self, name: &str, version: Option<&str>) -> Result<Arc<str>, VersionError> {
        self.serve_other(name, |history| {
            history.roll_back(version).map_err(|unservable| match (unservable, version) {
                (Unservable::Unknown, Some(version)) => VersionError::NotRetained {
                    function: name.to_owned(),
                    version: version.to_owned(),
                },
                _ => VersionError::NoEarlier { function: name.to_owned() },
            })
        })
    }

    /// The versions of a function: the one that serves, the canary, and the
    /// others from the one that served most recently. Empty if there is no such
    /// function.
    pub fn versions(&self, name: &str) -> Vec<VersionInfo> {
        let functions = lock(&self.0.versions.functions);
        let Some(history) = functions.get(name) else { return Vec::new() };
        let canary = history.canary().map(|(version, _)| &version.id);
        let infos = history.versions().map(|(version, percent)| VersionInfo {
            version: version.id.clone(),
            deployed: version.deployed,
            percent,
            is_canary: canary == Some(&version.id),
        });
        infos.collect()
    }

    /// A function with another module and the settings of the one that is
    /// deployed under a name, to [`deploy`](Self::deploy) it. `None` if there is
    /// no such function.
    pub fn with_module(&self, name: &str, wasm: impl Into<Arc<[u8]>>) -> Option<Function> {
        let functions = lock(&self.0.versions.functions);
        Some(functions.get(name)?.current().kept.settings.with_module(wasm.into()))
    }

    /// Removes the function of that name with all of its versions, and returns
    /// whether there was one. Further invocations are
    /// [`Outcome::NotFound`](crate::Outcome::NotFound). Invocations in flight run
    /// to their end; its idle instances end at once. Its code is freed with the
    /// last of them, unless another function has the same module.
    pub fn remove(&self, name: &str) -> bool {
        self.take_out(name).is_some()
    }

    /// Removes a function.
    pub(crate) fn take_out(&self, name: &str) -> Option<Leftovers> {
        let Shared { functions, provided, telemetry, versions, .. } = &*self.0;
        let mut histories = lock(&versions.functions);
        let history = histories.remove(name)?;
        // A host function of that name has the same counters.
        if provided.find(name).is_none() {
            telemetry.remove(name);
        }
        let ended = serving(&history);
        ended.iter().for_each(|function| function.keep_idle(false));
        let removed = history.into_versions().collect();
        Some(Leftovers { former: vec![(functions.remove(name), removed)], ended })
    }

    /// Compiles and links a function.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub(crate) fn ready(&self, function: &Function) -> Result<Ready, DeployError> {
        let settings = function.with_module(Arc::new([]));
        let mut function = self.make_ready(function)?;
        function.usage_id = self.0.telemetry.usage_id(&function.name, Some(&function.version));
        Ok(Ready { function, settings })
    }

    /// Deploys a function that is ready.
    ///
    /// # Errors
    /// [`DeployError::SameVersion`], if it is to be a canary.
    pub(crate) fn install(&self, ready: Ready, percent: u8) -> Result<Leftovers, DeployError> {
        let Shared { telemetry, versions, .. } = &*self.0;
        let Ready { mut function, settings } = ready;
        let (name, version) = (function.name.clone(), function.version.clone());
        let mut histories = lock(&versions.functions);
        // With the lock, so that no removal comes in between.
        function.counters = telemetry.list(&function.counters);
        let kept = Kept { function: Arc::new(function), settings };
        let Some(history) = histories.get_mut(&name) else {
            let history = History::new(version, kept);
            let former = vec![(self.serve(&history), Vec::new())];
            histories.insert(name, history);
            return Ok(Leftovers { former, ended: Vec::new() });
        };
        self.change(history, |history| {
            Ok(match percent {
                ALL.. => history.deploy(version, kept),
                _ => history
                    .deploy_canary(version, kept, percent)
                    .map_err(|_| DeployError::SameVersion { function: name.to_string() })?,
            })
        })
    }

    /// Changes the versions of a function, or leaves them if that fails. `change`
    /// may return one that is replaced.
    fn change<E>(
        &self,
        history: &mut History<Kept>,
        change: impl FnOnce(&mut History<Kept>) -> Result<Option<Kept>, E>,
    ) -> Result<Leftovers, E> {
        let mut ended = serving(history);
        let replaced = change(history)?;
        let now = serving(history);
        ended.retain(|one| !now.iter().any(|other| Arc::ptr_eq(one, other)));
        ended.iter().for_each(|function| function.keep_idle(false));
        let mut removed = history.trim(self.0.versions.most);
        removed.extend(replaced);
        Ok(Leftovers { former: vec![(self.serve(history), removed)], ended })
    }

    /// Lets another version of a function serve. Returns the one that serves now.
    fn serve_other(
        &self,
        name: &str,
        change: impl FnOnce(&mut History<Kept>) -> Result<(), VersionError>,
    ) -> Result<Arc<str>, VersionError> {
        let mut histories = lock(&self.0.versions.functions);
        let not_deployed = || VersionError::NotDeployed { function: name.to_owned() };
        let history = histories.get_mut(name).ok_or_else(not_deployed)?;
        let leftovers = self.change(history, |history| change(history).map(|()| None))?;
        let serves = history.current().id.clone();
        drop(histories);
        drop(leftovers);
        Ok(serves)
    }

    /// Sets what invocations find.
    fn serve(&self, history: &History<Kept>) -> Former {
        serving(history).iter().for_each(|function| function.keep_idle(true));
        let canary = history.canary().filter(|(_, percent)| *percent > 0);
        let canary = canary.map(|(version, percent)| (&version.kept.function, percent));
        self.0.functions.insert(&history.current().kept.function, canary)
    }
}

/// The versions that may get invocations.
fn serving(history: &History<Kept>) -> Vec<Arc<Deployed>> {
    let canary = history.canary().map(|(version, _)| version);
    let serving = [Some(history.current()), canary].into_iter().flatten();
    serving.map(|version| version.kept.function.clone()).collect()
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        self.ended.iter().for_each(|function| function.drop_idle());
    }
}
