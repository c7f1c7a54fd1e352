//! From a module's file to a function that runs: its name, its limits, and
//! what to say where it can't be deployed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::config::ConfigError;
use super::config::resolve::{Config, Grants};
use super::nearest::nearest;
use super::options::FunctionOptions;
use super::output;
use crate::environment::Environment;
use crate::function::Function;
use crate::mounts::Mounts;
use crate::runtime::Runtime;

/// A module on disk, the name under which it is to be deployed, and what the
/// file says about it.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) options: FunctionOptions,
    pub(crate) grants: Grants,
    /// Its settings and secrets.
    pub(crate) environment: Environment,
    /// The folders that it may read.
    pub(crate) mounts: Mounts,
}

impl Module {
    /// A module whose function is named after its file, and of which no
    /// configuration says anything.
    pub(crate) fn named_after_file(path: &Path) -> anyhow::Result<Self> {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
            bail!(
                "{} is no name of a module's file; name a file such as hello.wasm",
                path.display()
            );
        };
        Ok(Self::named(&Config::default(), stem.to_owned(), path.to_owned())?)
    }

    /// A module that becomes the function of that name, with what the file
    /// says about it.
    pub(crate) fn named(config: &Config, name: String, path: PathBuf) -> Result<Self, ConfigError> {
        let (options, grants, environment, mounts) = match config.functions.get(&name) {
            Some(function) => {
                let (settings, mounts) = (config.environment(function)?, config.mounts(function)?);
                (function.options, function.grants.clone(), settings, mounts)
            }
            None => Default::default(),
        };
        Ok(Self { name, path, options, grants, environment, mounts })
    }

    /// All modules that the file names.
    pub(crate) fn of_config(config: &Config) -> anyhow::Result<Vec<Self>> {
        let mut modules = Vec::new();
        for (name, function) in &config.functions {
            let Some(path) = config.module(function)? else {
                return Err(config
                    .error(function, "this function has no `file`; name its module")
                    .into());
            };
            modules.push(Self::named(config, name.clone(), path)?);
        }
        if modules.is_empty() {
            bail!(
                "{} names no function; add `[function.NAME]` with a `file`",
                config.path().display()
            );
        }
        Ok(modules)
    }

    /// Reads the module. `flags` come before what the file says.
    pub(crate) fn function(&self, flags: FunctionOptions) -> anyhow::Result<Function> {
        let function = Function::from_file(&self.name, &self.path)?;
        let function = self.grants.apply(flags.apply(self.options, function));
        Ok(function.environment(self.environment.clone()).mounts(self.mounts.clone()))
    }
}

/// Deploys a module. `flags` come before what the file says.
pub(crate) fn deploy(
    runtime: &Runtime,
    module: &Module,
    flags: FunctionOptions,
) -> anyhow::Result<()> {
    let deployed = runtime.deploy(module.function(flags)?);
    deployed.map(drop).with_context(|| format!("cannot deploy {}", module.path.display()))
}

/// Lets functions call those on other hosts that the file names, and tells of
/// what they may call and is not there. `flags` come before the file.
pub(crate) fn link(
    runtime: &Runtime,
    config: &Config,
    modules: &[Module],
    flags: FunctionOptions,
) -> anyhow::Result<()> {
    for (name, remote) in &config.remotes {
        remote.provide(runtime, name, flags.timeout)?;
    }
    let deployed = runtime.functions();
    let is_there = |name: &str| {
        config.remotes.contains_key(name) || deployed.iter().any(|there| **there == *name)
    };
    for Module { name, grants, .. } in modules {
        for callee in grants.calls.iter().filter(|callee| !is_there(callee)) {
            let known = config.remotes.keys().map(String::as_str);
            let known = known.chain(deployed.iter().map(|name| &**name));
            let instead = match nearest(callee, known) {
                Some(nearest) => format!("write `{nearest}`"),
                None => format!("add `[function.{callee}]`"),
            };
            output::tell(&format!(
                "warning: `calls` of `{name}` names `{callee}`, and no function has that name; \
                 {instead}, or take it out"
            ));
        }
    }
    Ok(())
}

/// Whether a path names a configuration rather than a module.
pub(crate) fn is_config(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Reads what the command line names: modules, or one configuration.
pub(crate) fn sources(paths: &[PathBuf]) -> anyhow::Result<(Config, Vec<Module>)> {
    if let [path] = paths
        && is_config(path)
    {
        let config = Config::load(path)?;
        let modules = Module::of_config(&config)?;
        config.check_routes(modules.iter().map(|module| &*module.name))?;
        return Ok((config, modules));
    }
    if let Some(path) = paths.iter().find(|path| is_config(path)) {
        bail!("{} must be given alone; or name modules, such as hello.wasm", path.display());
    }
    let modules: Vec<_> =
        paths.iter().map(|path| Module::named_after_file(path)).collect::<Result<_, _>>()?;
    Ok((Config::default(), modules))
}
