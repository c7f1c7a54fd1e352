//! A function that a command runs in this process, with those it calls.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::code::CodeOptions;
use super::config::{Config, FILE_NAME};
use super::modules::{self, Module};
use super::settings::FunctionOptions;
use crate::function::Function;
use crate::runtime::Runtime;
use hourglass_build::TARGET;

/// The function, and how it is found and compiled.
#[derive(Debug, clap::Args)]
pub(crate) struct LocalOptions {
    /// A module; or the name of a function in hourglass.toml, or of one built
    /// from this folder
    #[arg(value_name = "FILE|NAME")]
    function: String,
    /// The file that names functions [default: hourglass.toml, where it is
    /// there]
    #[arg(long, value_name = "FILE", env = "HOURGLASS_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    code: CodeOptions,
}

impl LocalOptions {
    /// Deploys the function, and those it calls, to a runtime of its own. Returns
    /// its name.
    ///
    /// `flags` take precedence over the configuration, and `change` over both.
    /// `most` is the most invocations in flight, if the function calls no others.
    pub(crate) fn deploy(
        &self,
        most: Option<usize>,
        flags: &FunctionOptions,
        change: impl FnOnce(Function) -> Function,
    ) -> anyhow::Result<(Runtime, String)> {
        let (config, module) = self.find()?;
        let all = with_callees(&config, module)?;
        let [module, callees @ ..] = &*all else { anyhow::bail!("no function is named") };
        let mut builder = Runtime::builder();
        if let Some(most) = most.filter(|_| module.section.calls.is_empty()) {
            builder = builder.max_in_flight(most);
        }
        let runtime = self.code.build(builder, &config)?;
        let deployed = runtime.deploy(change(module.function(flags)?));
        deployed.with_context(|| format!("cannot deploy {}", module.path.display()))?;
        for callee in callees {
            modules::deploy(&runtime, callee, &FunctionOptions::default())?;
        }
        modules::link(&runtime, &config, &all, &FunctionOptions::default())?;
        Ok((runtime, module.name.clone()))
    }

    /// The module of the function, and the configuration that may name it.
    fn find(&self) -> anyhow::Result<(Config, Module)> {
        let config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::find(Path::new(""))?,
        };
        let name = &self.function;
        let path = Path::new(name);
        if path.is_file() || name.contains('/') || name.ends_with(".wasm") {
            return Ok((config, Module::named_after_file(path)?));
        }
        let module = module(&config, name)?.with_context(|| {
            let file = config.path().display().to_string();
            let file = if file.is_empty() {
                format!("there is no {FILE_NAME}")
            } else {
                format!("{file} names no file for it")
            };
            format!(
                "no function `{name}`: {file}, and no module of that name was built in this \
                 directory; build it with `hourglass build`, or give its file"
            )
        })?;
        Ok((config, module))
    }
}

/// The module of the function with that name: the one in the configuration, or
/// else one that was built from this folder.
fn module(config: &Config, name: &str) -> anyhow::Result<Option<Module>> {
    let named = match config.functions.get(name) {
        Some(function) => config.module(function)?,
        None => None,
    };
    let path = named.or_else(|| built(name));
    path.map(|path| Module::named(config, name.to_owned(), path)).transpose()
}

/// The module that `hourglass build` has built from this folder.
fn built(name: &str) -> Option<PathBuf> {
    let own = Path::new("target").join(TARGET).join("release").join(format!("{name}.wasm"));
    if own.is_file() {
        return Some(own);
    }
    // Each crate may have a `target` of its own, or share that of a workspace
    // above this folder.
    let functions = hourglass_build::functions(Path::new(".")).unwrap_or_default();
    let function = functions.iter().find(|function| function.name() == name)?;
    function.module().filter(|module| module.is_file())
}

/// A function, followed by the functions it may call, those they may call, and
/// so on. A missing one is left out: this invocation may not call it.
fn with_callees(config: &Config, first: Module) -> anyhow::Result<Vec<Module>> {
    let mut names: Vec<_> = first.section.calls().map(str::to_owned).collect();
    let mut modules = vec![first];
    while let Some(name) = names.pop() {
        if modules.iter().any(|known| known.name == name) {
            continue;
        }
        if let Some(callee) = module(config, &name)? {
            names.extend(callee.section.calls().map(str::to_owned));
            modules.push(callee);
        }
    }
    Ok(modules)
}
