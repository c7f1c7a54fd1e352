//! `hourglass cancel`: ends an invocation in a server.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::access::AccessOptions;
use super::output;

/// Cancels an invocation in a server, and all that it started.
///
/// They are interrupted at the end of their grace periods. The server must have
/// been started with `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// The invocation's id, as `hourglass ps` shows it
    #[arg(value_parser = id)]
    id: u64,
    #[command(flatten)]
    server: AccessOptions,
}

fn id(text: &str) -> anyhow::Result<u64> {
    text.parse().context("write the number that `hourglass ps` shows as ID")
}

pub(crate) fn run(args: &CancelArgs) -> anyhow::Result<()> {
    let (id, client) = (args.id, args.server.client(Path::new(""))?);
    match super::block_on(async { Ok(client.cancel(id).await?) })? {
        0 => bail!(
            "no invocation {id} is in flight at {}; `hourglass ps` lists those that are",
            client.address
        ),
        1 => output::line(&format!("canceled invocation {id}"))?,
        more => output::line(&format!("canceled invocation {id}, and {} below it", more - 1))?,
    }
    Ok(())
}
