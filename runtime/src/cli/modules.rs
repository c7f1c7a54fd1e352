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
        let function = Function::from_file(&self.name, &self.path).map_err(|error| {
            let is_missing = !self.path.exists() && self.path.extension().is_none();
            let error = anyhow::Error::from(error);
            if is_missing {
                return error.context(
                    "name the file of a module, such as target/wasm32-wasip1/release/hello.wasm",
                );
            }
            error
        })?;
        Ok(self.configure(flags, function))
    }

    /// Sets what the configuration says of the function. `flags` take precedence.
    pub(crate) fn configure(&self, flags: &FunctionOptions, function: Function) -> Function {
        let mut function = self.section.apply(flags, function);
        (function.environment, function.mounts) = (self.environment.clone(), self.mounts.clone());
        function
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
/// about callees that are not deployed. `flags` take precedence over the
/// configuration.
pub(crate) fn link(
    runtime: &Runtime,
    config: &Config,
    modules: &[Module],
    flags: &FunctionOptions,
) -> anyhow::Result<()> {
    provide(runtime, config, flags)?;
    let deployed = runtime.functions();
    warn_of_missing_callees(config, modules, deployed.iter().map(|name| &**name));
    Ok(())
}

/// Lets functions call those on other hosts in the configuration. `flags` take
/// precedence over the configuration.
pub(crate) fn provide(
    runtime: &Runtime,
    config: &Config,
    flags: &FunctionOptions,
) -> anyhow::Result<()> {
    for (name, (remote, options)) in &config.remotes {
        let timeout = flags.limits.over(&options.limits).timeout;
        remote.clone().provide(runtime, name, timeout)?;
    }
    Ok(())
}

/// Warns about callees that are neither in `functions` nor on other hosts.
pub(crate) fn warn_of_missing_callees<'a>(
    config: &'a Config,
    modules: &[Module],
    functions: impl Iterator<Item = &'a str>,
) {
    let known: Vec<_> = functions.chain(config.remotes.keys().map(String::as_str)).collect();
    for Module { name, section, .. } in modules {
        for callee in section.calls().filter(|callee| !known.contains(callee)) {
            let instead = match nearest(callee, known.iter().copied()) {
                Some(nearest) => format!("write `{nearest}`"),
                None => format!("add `[function.{callee}]`"),
            };
            output::message(&format!(
                "warning: `calls` of `{name}` names `{callee}`, and no function has that name; \
                 {instead}, or remove it"
            ));
        }
    }
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
    if let Some(folder) = paths.iter().find(|path| path.is_dir()) {
        let folder = folder.display();
        bail!(
            "{folder} is a directory; name modules or a hourglass.toml in it, or build and serve its \
             functions with `hourglass up {folder}`"
        );
    }
    let modules: Vec<_> =
        paths.iter().map(|path| Module::named_after_file(path)).collect::<Result<_, _>>()?;
    Ok((Config::default(), modules))
}
