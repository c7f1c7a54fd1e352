//! `hourglass versions`: the versions of a function in a server.

use std::path::Path;

use super::access::AccessOptions;
use super::output;
use super::table::aligned;
use crate::escape::OneLine;
use crate::http::admin::deployment::ListedVersion;

/// Lists the versions of a function in a server.
///
/// Those that serve come first, then those that `hourglass rollback` can return
/// to. The server must have been started with `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct VersionsArgs {
    /// The function
    #[arg(value_parser = super::function_name)]
    name: String,
    #[command(flatten)]
    server: AccessOptions,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &VersionsArgs) -> anyhow::Result<()> {
    let client = args.server.client(Path::new(""))?;
    let listed = super::block_on(async { Ok(client.versions(&args.name).await?) })?;
    if args.json {
        output::json(&serde_json::to_string(&listed.versions)?)?;
    } else {
        let head = ["VERSION", "STATE", "WEIGHT", "DEPLOYED"].map(str::to_owned);
        let rows = [head].into_iter().chain(listed.versions.iter().map(row));
        output::write(&aligned(rows))?;
    }
    Ok(())
}

fn row(version: &ListedVersion) -> [String; 4] {
    let plain = |text: &str| OneLine(text).to_string();
    let weight = format!("{}%", version.weight);
    [plain(&version.version), plain(&version.state), weight, plain(&version.deployed)]
}
