//! `hourglass build`, and the first half of `up`: from crates to modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::output;
use crate::escape::OneLine;
use hourglass_build::{self as build, FunctionCrate};

/// Builds the functions under a path and prints where their modules are.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// A crate, a workspace, or a folder of crates that depend on
    /// hourglass-sdk
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Copy the modules to this folder, and print where they are there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &BuildArgs) -> anyhow::Result<()> {
    let functions = build::functions(&args.path)?;
    let modules = modules(&args.path, &functions)?;
    for (name, module) in &modules {
        let module = match &args.out {
            Some(folder) => copy(name, module, folder)?,
            None => module.clone(),
        };
        output::line(&OneLine(module.display()).to_string())?;
    }
    match functions.len() - modules.len() {
        0 => Ok(()),
        failed => bail!("{failed} of {} functions did not build", functions.len()),
    }
}

/// Builds every function that compiles, and reports the others with the
/// compiler's messages. Returns the functions' names with their modules.
pub(crate) fn modules(
    path: &Path,
    functions: &[FunctionCrate],
) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut progress = build::Progress::to_stderr();
    build::target::ensure(path, &mut progress)?;
    let mut modules = Vec::new();
    for built in build::build(functions, &mut progress) {
        match built.outcome {
            Ok(module) => modules.push((built.function.name().to_owned(), module)),
            Err(failure) => output::colored_message(&format!("error: {failure}")),
        }
    }
    Ok(modules)
}

fn copy(name: &str, module: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let to = folder.join(name).with_added_extension("wasm");
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(module, &to))
        .with_context(|| format!("cannot copy {} to {}", module.display(), to.display()))?;
    Ok(to)
}
