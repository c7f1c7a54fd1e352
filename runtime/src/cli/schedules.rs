//! `hourglass schedules`: when the functions of a server run.

use std::path::Path;

use super::access::AccessOptions;
use super::output;
use super::table::aligned;
use crate::http::admin::client::answers::ScheduleDetails;

/// Lists the schedules of a server, with the times of their next and last runs.
///
/// The server must have been started with `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct SchedulesArgs {
    #[command(flatten)]
    server: AccessOptions,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &SchedulesArgs) -> anyhow::Result<()> {
    let client = args.server.client(Path::new(""))?;
    let listed = super::block_on(async { Ok(client.schedules().await?) })?;
    if args.json {
        return Ok(output::json(&serde_json::to_string(&listed)?)?);
    }
    if listed.is_empty() {
        return Ok(output::line(&format!("no function at {} has a schedule", client.address))?);
    }
    let listed: Vec<ScheduleDetails> =
        listed.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?;
    let head = ["FUNCTION", "SCHEDULE", "ZONE", "NEXT", "LAST", "SKIPPED"].map(str::to_owned);
    Ok(output::write(&aligned([head].into_iter().chain(listed.iter().map(row))))?)
}

fn row(one: &ScheduleDetails) -> [String; 6] {
    [
        one.function.to_string(),
        one.schedule.to_string(),
        one.zone.to_string(),
        one.next.as_deref().unwrap_or("-").to_owned(),
        one.last.as_deref().unwrap_or("-").to_owned(),
        one.skipped.to_string(),
    ]
}
