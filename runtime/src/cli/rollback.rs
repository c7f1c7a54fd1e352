//! `hourglass rollback`: returns a function in a server to an earlier version.

use std::path::Path;

use super::access::AccessOptions;
use super::output;
use crate::escape::OneLine;

/// Returns a function in a server to an earlier version, with the settings that
/// it had.
///
/// Invocations in flight finish on the version that they started with. The
/// server must have been started with `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The function
    #[arg(value_parser = super::function_name)]
    name: String,
    /// The version, as `hourglass versions` shows it [default: a canary ends;
    /// without one, the version that served before]
    #[arg(value_parser = version)]
    version: Option<String>,
    #[command(flatten)]
    server: AccessOptions,
}

fn version(text: &str) -> Result<String, &'static str> {
    let is_version = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_version.then(|| text.to_owned()).ok_or("write a version that `hourglass versions` shows")
}

pub(crate) fn run(args: &RollbackArgs) -> anyhow::Result<()> {
    let client = args.server.client(Path::new(""))?;
    let serves = super::block_on(async {
        Ok(client.roll_back(&args.name, args.version.as_deref()).await?)
    })?;
    output::line(&format!("{} serves version {}", args.name, OneLine(serves.version)))?;
    Ok(())
}
