//! `hourglass deploy`: deploys a module to a server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::access::AccessOptions;
use super::output;
use crate::escape::OneLine;
use crate::function::MAX_MODULE;
use crate::http::admin::client::Client;
use crate::http::admin::deployment::Deployment;

/// Deploys a module to a server, while it serves.
///
/// The module gets the settings of the function that it replaces. Invocations in
/// flight finish on the old version, and `hourglass rollback` returns to it. The
/// server must have been started with `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeployArgs {
    /// The function
    #[arg(value_parser = super::function_name)]
    name: String,
    /// The module; without one, `--weight` is that of the canary
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The percentage of the invocations that the version gets, as a canary; with
    /// 100 it replaces the one that serves [default: 100]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    weight: Option<u8>,
    #[command(flatten)]
    server: AccessOptions,
}

pub(crate) fn run(args: &DeployArgs) -> anyhow::Result<()> {
    let DeployArgs { name, file, weight, server } = args;
    let client = server.client(Path::new(""))?;
    match (file, weight) {
        (Some(file), weight) => deploy(&client, name, file, *weight),
        (None, Some(weight)) => weigh(&client, name, *weight),
        (None, None) => bail!(
            "name a module, as in `hourglass deploy {name} {name}.wasm`, or the weight of the canary, \
             as in `hourglass deploy {name} --weight 50`"
        ),
    }
}

fn deploy(client: &Client, name: &str, file: &Path, weight: Option<u8>) -> anyhow::Result<()> {
    let unreadable = || format!("{} can't be read", OneLine(file.display()));
    let size = std::fs::metadata(file).with_context(unreadable)?.len();
    ensure!(
        size <= MAX_MODULE,
        "{} is larger than {} MiB, the most that a module may have",
        OneLine(file.display()),
        MAX_MODULE >> 20
    );
    let module = std::fs::read(file).with_context(unreadable)?;
    let deployed =
        super::block_on(async { Ok(client.deploy(name, module.into(), weight).await?) })?;
    let Deployment { version, weight, instances, .. } = deployed;
    let version = OneLine(version);
    match weight {
        100.. => {
            output::line(&format!("deployed {name}, version {version}; {}", OneLine(instances)))?
        }
        weight => output::line(&format!(
            "deployed {name}, version {version}, for {weight}% of the invocations\n\
             for all: hourglass deploy {name} --weight 100\n\
             for none: hourglass rollback {name}"
        ))?,
    }
    Ok(())
}

fn weigh(client: &Client, name: &str, weight: u8) -> anyhow::Result<()> {
    let changed = super::block_on(async { Ok(client.weigh(name, weight).await?) })?;
    let version = OneLine(changed.version);
    output::line(&format!("version {version} of {name} gets {weight}% of the invocations"))?;
    Ok(())
}
