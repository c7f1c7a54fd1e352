//! `hourglass check`: whether modules would deploy.

use std::path::PathBuf;

use anyhow::bail;

use super::code::CodeOptions;
use super::modules::{self, Module};
use super::output;
use super::settings::FunctionOptions;
use crate::escape::OneLine;
use crate::function::InstanceReuse;
use crate::runtime::Runtime;

/// Checks whether modules would deploy, and if not, says why and what to do.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Modules, each a function named after its file; or one hourglass.toml
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    code: CodeOptions,
    #[command(flatten)]
    functions: FunctionOptions,
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let (config, modules) = modules::sources(&args.files)?;
    let runtime = args.code.build(Runtime::builder().max_in_flight(1), &config)?;
    let mut refused = 0;
    for module in &modules {
        let verdict = match check(&runtime, module, &args.functions) {
            Ok(fresh) => format!("would deploy; {fresh}"),
            Err(error) => {
                refused += 1;
                format!("would not deploy: {error:#}")
            }
        };
        // An error may contain text from the module, such as import names.
        output::line(&format!("{}: {}", OneLine(module.path.display()), OneLine(verdict)))?;
    }
    let names = modules.iter().map(|module| &*module.name);
    modules::warn_of_missing_callees(&config, &modules, names);
    match refused {
        0 => Ok(()),
        refused => bail!("{refused} of {} would not deploy", modules.len()),
    }
}

fn check(
    runtime: &Runtime,
    module: &Module,
    flags: &FunctionOptions,
) -> anyhow::Result<InstanceReuse> {
    Ok(runtime.check(&module.function(flags)?)?)
}
