//! What a server serves, and how it is read again while the server runs.
//!
//! A reload deploys what has changed since the configuration was last read: the
//! functions whose module or settings have. A function that an operator has
//! deployed keeps its module until its file or its section changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;

use super::config::Config;
use super::modules::{self, Module};
use super::options::ServeOptions;
use super::output;
use crate::escape::OneLine;
use crate::function::Function;
use crate::http::RouteTable;
use crate::runtime::{ALL, Leftovers, Ready, Runtime};
use crate::sync::lock;

/// Reads the configuration, and finds the modules of its functions.
pub(crate) type Read = dyn Fn() -> anyhow::Result<(Config, Vec<Module>)> + Send + Sync;

/// The functions and routes of a server.
pub(crate) struct Live {
    pub(crate) runtime: Runtime,
    pub(crate) routes: RouteTable,
    options: ServeOptions,
    read: Box<Read>,
    failures: Failures,
    state: Mutex<State>,
}

/// What happens if a function can't be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    /// Nothing is deployed.
    Abort,
    /// It is reported, and the others are deployed.
    Report,
}

/// What was last read.
#[derive(Default)]
struct State {
    config: Arc<Config>,
    functions: BTreeMap<String, Known>,
}

/// A function as it was last read.
#[derive(Clone, PartialEq)]
struct Known {
    path: PathBuf,
    /// Its settings, with an empty module.
    settings: Function,
    module: blake3::Hash,
}

impl Live {
    /// Serves nothing yet.
    pub(crate) fn new(
        runtime: Runtime,
        options: &ServeOptions,
        failures: Failures,
        read: Box<Read>,
    ) -> Self {
        let (routes, options) = (RouteTable::default(), options.clone());
        Self { runtime, routes, options, read, failures, state: Mutex::default() }
    }

    /// Deploys the modules of a configuration that was just read.
    pub(crate) fn begin(&self, config: Config, modules: &[Module]) -> anyhow::Result<Arc<Config>> {
        let mut state = lock(&self.state);
        self.deploy(&mut state, config, modules)?;
        Ok(state.config.clone())
    }

    /// Reads the configuration and the modules again, and deploys what has
    /// changed. Returns a line for each change.
    ///
    /// # Errors
    /// Nothing has changed.
    pub(crate) fn reload(&self) -> anyhow::Result<Vec<String>> {
        let mut state = lock(&self.state);
        let read = (self.read)();
        let reloaded = read.and_then(|(config, modules)| self.deploy(&mut state, config, &modules));
        match &reloaded {
            Ok(changes) => {
                changes.iter().for_each(|change| tracing::info!("reload: {change}"));
            }
            Err(error) => tracing::error!("reload: nothing has changed: {error:#}"),
        }
        reloaded
    }

    /// The files that were last read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let state = lock(&self.state);
        let config = Some(state.config.path()).filter(|path| !path.as_os_str().is_empty());
        let modules = state.functions.values().map(|known| known.path.clone());
        modules.chain(config.map(Into::into)).collect()
    }

    /// A function that the server does not have yet, with its section of the
    /// configuration.
    pub(crate) fn new_function(&self, name: &str, wasm: Arc<[u8]>) -> anyhow::Result<Function> {
        let config = lock(&self.state).config.clone();
        let module = Module::named(&config, name.to_owned(), PathBuf::new())?;
        Ok(module.configure(&self.options.functions, Function::from_bytes(name, wasm)?))
    }

    /// Deploys what differs from what was last read.
    fn deploy(
        &self,
        state: &mut State,
        config: Config,
        modules: &[Module],
    ) -> anyhow::Result<Vec<String>> {
        let (mut functions, mut ready) = (BTreeMap::new(), Vec::new());
        for module in modules {
            let known = state.functions.get(&module.name);
            match self.prepare(known, module) {
                Ok((now, new)) => {
                    functions.insert(module.name.clone(), now);
                    ready.extend(new);
                }
                Err(error) if self.failures == Failures::Report => {
                    output::message(&format!("error: {error:#}"));
                    functions.extend(known.map(|known| (module.name.clone(), known.clone())));
                }
                Err(error) => return Err(error),
            }
        }
        let mut changes: Vec<_> = ready
            .iter()
            .map(|ready| {
                format!("deployed {}, version {}", ready.function.name, ready.function.version)
            })
            .collect();
        let gone = state.functions.keys().filter(|name| !functions.contains_key(*name));
        let gone: Vec<_> = gone.cloned().collect();
        changes.extend(gone.iter().map(|name| format!("removed {name}")));

        // Functions on other hosts come first: the new ones may call them.
        modules::provide(&self.runtime, &config, &self.options.functions)?;
        drop(self.swap(&config, ready, &gone));
        let remotes =
            state.config.remotes.keys().filter(|name| !config.remotes.contains_key(*name));
        for name in remotes {
            self.runtime.withdraw(name);
            changes.push(format!("removed {name}, a function on another host"));
        }
        changes.extend(self.options.changes(&state.config, &config));
        if changes.is_empty() && !config.has_text_of(&state.config) {
            changes.push(format!("read {}", OneLine(config.path().display())));
        }
        *state = State { config: Arc::new(config), functions };
        let deployed = self.runtime.functions();
        let deployed = deployed.iter().map(|name| &**name);
        modules::warn_of_missing_callees(&state.config, modules, deployed);
        Ok(changes)
    }

    /// Compiles a module, unless it is served as it is.
    fn prepare(
        &self,
        known: Option<&Known>,
        module: &Module,
    ) -> anyhow::Result<(Known, Option<Ready>)> {
        let function = module.function(&self.options.functions)?;
        let now = Known {
            path: module.path.clone(),
            settings: function.with_module(Arc::new([])),
            module: function.hash(),
        };
        let is_served = known == Some(&now) && self.runtime.is_deployed(&module.name);
        let ready = (!is_served).then(|| self.runtime.ready(&function)).transpose();
        let ready = ready.with_context(|| format!("cannot deploy {}", module.path.display()))?;
        Ok((now, ready))
    }

    /// Replaces functions and routes: no request finds a mixture.
    fn swap(&self, config: &Config, ready: Vec<Ready>, gone: &[String]) -> Vec<Leftovers> {
        self.routes.replace_with(config.routes.clone(), || {
            // A deploy for all invocations does not fail.
            let deployed =
                ready.into_iter().filter_map(|ready| self.runtime.install(ready, ALL).ok());
            let mut leftovers: Vec<_> = deployed.collect();
            leftovers.extend(gone.iter().filter_map(|name| self.runtime.take_out(name)));
            leftovers
        })
    }
}
