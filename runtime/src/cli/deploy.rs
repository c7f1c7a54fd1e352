//! From the file of a module to a deployed function: its name, its settings,
//! and the errors.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::config::{Config, FunctionConfig};
use super::nearest::nearest;
use super::output;
use super::settings::FunctionOptions;
use crate::environment::Environment;
use crate::function::Function;
use crate::mounts::Mounts;
use crate::runtime::Runtime;

/// A module on disk, the name of its function, and the function's section of
/// the configuration.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Its section of the configuration.
    pub(crate) section: FunctionConfig,
    /// Its variables and secrets.
    pub(crate) environment: Environment,
    /// The directories that it may read.
    pub(crate) mounts: Mounts,
}

impl Module {
    /// A module whose function is named after its file, without a
    /// configuration.
    pub(crate) fn named_after_file(path: &Path) -> anyhow::Result<Self> {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
            bail!("{} can't be a module's file; name a file such as hello.wasm", path.display());
        };
        Self::named(&Config::default(), stem.to_owned(), path.to_owned())
    }

    /// A module that becomes the function of that name, with its section of the
    /// configuration.
    pub(crate) fn named(config: &Config, name: String, path: PathBuf) -> anyhow::Result<Self> {
        let section = config.functions.get(&name).cloned().unwrap_or_default();
        let (environment, mounts) = config.resources(&section)?;
        Ok(Self { name, path, section, environment, mounts })
    }

    /// The modules of all functions in the configuration.
    pub(crate) fn of_config(config: &Config) -> anyhow::Result<Vec<Self>> {
        let mut modules = Vec::new();
        for (name, function) in &config.functions {
            let Some(path) = config.module(function)? else {
                return Err(config.error(function, "this function has no `file`; name its module"));
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

    /// Reads the module. `flags` take precedence over the configuration.
    pub(crate) fn function(&self, flags: &FunctionOptions) -> anyhow::Result<Function> {
        let function = Function::from_file(&self.name, &self.path)?;
        let mut function = self.section.apply(flags, function);
        (function.environment, function.mounts) = (self.environment.clone(), self.mounts.clone());
        Ok(function)
    }
}

/// Deploys a module. `flags` take precedence over the configuration.
pub(crate) fn deploy(
    runtime: &Runtime,
    module: &Module,
    flags: &FunctionOptions,
) -> anyhow::Result<()> {
    let deployed = runtime.deploy(module.function(flags)?);
    deployed.map(drop).with_context(|| format!("cannot deploy {}", module.path.display()))
}

/// Lets functions call those on other hosts in the configuration, and warns
/// about callees that do not exist. `flags` take precedence over the
/// configuration.
pub(crate) fn link(
    runtime: &Runtime,
    config: &Config,
    modules: &[Module],
    flags: &FunctionOptions,
) -> anyhow::Result<()> {
    for (name, (remote, options)) in &config.remotes {
        let timeout = flags.limits.over(&options.limits).timeout;
        remote.clone().provide(runtime, name, timeout)?;
    }
    let deployed = runtime.functions();
    let exists = |name: &str| {
        config.remotes.contains_key(name) || deployed.iter().any(|there| **there == *name)
    };
    for Module { name, section, .. } in modules {
        for callee in section.calls().filter(|callee| !exists(callee)) {
            let known = config.remotes.keys().map(String::as_str);
            let known = known.chain(deployed.iter().map(|name| &**name));
            let instead = match nearest(callee, known) {
                Some(nearest) => format!("write `{nearest}`"),
                None => format!("add `[function.{callee}]`"),
            };
            output::message(&format!(
                "warning: `calls` of `{name}` names `{callee}`, and no function has that name; \
                 {instead}, or remove it"
            ));
        }
    }
    Ok(())
}

/// Whether a path is that of a configuration, not of a module.
pub(crate) fn is_config(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// The modules of the command line: their files, or one configuration.
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
