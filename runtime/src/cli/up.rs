//! `hourglass up`: builds the functions under a path, then serves them.

use std::path::PathBuf;

use anyhow::bail;

use super::config::Config;
use super::deploy::{self, Module};
use super::logging::LogOptions;
use super::options::ServeOptions;
use super::signals::Signals;
use super::{build, output, serve};
use hourglass_build::FunctionCrate;

/// Builds the functions under a path and serves them.
///
/// A function that does not build is reported, and the others are served. An
/// hourglass.toml in the path sets their limits and routes.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// A crate, a workspace, or a folder of crates that depend on
    /// hourglass-sdk
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    options: ServeOptions,
}

pub(crate) fn run(args: &UpArgs, log: &LogOptions, signals: Signals) -> anyhow::Result<()> {
    let UpArgs { path, options } = args;
    if path.is_file() && !path.ends_with("Cargo.toml") {
        let path = path.display();
        bail!(
            "{path} is not a folder; serve modules or a hourglass.toml with `hourglass serve {path}`"
        );
    }
    // Report errors that can be found immediately before the build.
    let config = Config::find(if path.is_file() { path.parent().unwrap_or(path) } else { path })?;
    let functions = hourglass_build::functions(path)?;
    let ready_made = ready_made(&config, &functions)?;
    let names = functions.iter().map(FunctionCrate::name);
    config.check_routes(names.chain(ready_made.iter().map(|module| &*module.name)))?;
    let runtime = options.runtime(&config)?;
    serve::check_addresses(options, &config)?;

    let built = build::modules(path, &functions)?.into_iter();
    let built = built.map(|(name, path)| Module::named(&config, name, path));
    let mut modules = built.collect::<Result<Vec<_>, _>>()?;
    modules.extend(ready_made);
    for module in &modules {
        if let Err(error) = deploy::deploy(&runtime, module, &options.functions) {
            output::message(&format!("error: {error:#}"));
        }
    }
    if runtime.functions().is_empty() {
        bail!("nothing to serve: no function in {} could be built", path.display());
    }
    deploy::link(&runtime, &config, &modules, &options.functions)?;
    let access_log = options.access_log.start(log, true)?;
    serve::serve(runtime, options, access_log, config, signals)
}

/// The functions of the configuration that are not built from source. Their
/// modules must exist.
fn ready_made(config: &Config, functions: &[FunctionCrate]) -> anyhow::Result<Vec<Module>> {
    let mut modules = Vec::new();
    for (name, function) in &config.functions {
        if functions.iter().any(|built| built.name() == name) {
            continue;
        }
        let Some(path) = config.module(function)? else {
            let names: Vec<_> = functions.iter().map(FunctionCrate::name).collect();
            let reason = format!(
                "no function here is called `{name}` (but {}); name its module with `file`",
                names.join(", ")
            );
            return Err(config.error(function, reason));
        };
        modules.push(Module::named(config, name.clone(), path)?);
    }
    Ok(modules)
}
