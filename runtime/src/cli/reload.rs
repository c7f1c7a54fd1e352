//! `hourglass reload`: lets a server read its configuration again.

use std::path::Path;

use super::access::AccessOptions;
use super::output;
use crate::escape::Lines;

/// Lets a server read its configuration and its modules again.
///
/// What has changed is deployed, all at once. If anything is invalid, nothing
/// changes. The server must have been started with `--admin`; SIGHUP does the
/// same.
#[derive(Debug, clap::Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    server: AccessOptions,
}

pub(crate) fn run(args: &ReloadArgs) -> anyhow::Result<()> {
    let client = args.server.client(Path::new(""))?;
    let reloaded = super::block_on(async { Ok(client.reload().await?) })?;
    if reloaded.changes.is_empty() {
        output::line("nothing has changed")?;
    }
    for change in reloaded.changes {
        output::line(&Lines(change).to_string())?;
    }
    Ok(())
}
