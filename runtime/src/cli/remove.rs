//! `hourglass remove`: removes a function from a server.

use std::path::Path;

use super::access::AccessOptions;
use super::output;

/// Removes a function from a server, with all of its versions.
///
/// Invocations in flight finish. The server must have been started with
/// `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The function
    #[arg(value_parser = super::function_name)]
    name: String,
    #[command(flatten)]
    server: AccessOptions,
}

pub(crate) fn run(args: &RemoveArgs) -> anyhow::Result<()> {
    let client = args.server.client(Path::new(""))?;
    let removed = super::block_on(async { Ok(client.remove(&args.name).await?) })?;
    let versions = match removed.versions.len() {
        1 => "1 version".to_owned(),
        versions => format!("{versions} versions"),
    };
    output::line(&format!("removed {} with {versions}", args.name))?;
    Ok(())
}
