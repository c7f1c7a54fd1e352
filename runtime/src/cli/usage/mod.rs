//! `hourglass usage`: sums a usage ledger.
//!
//! # Layout
//! - [`UsageArgs`]: the command.
//! - `groups`: the sums of groups; `time`: the period.
//! - `report`: the result, as JSON; `table`: the result as text.

mod groups;
mod report;
mod table;
mod time;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::groups::{Dimension, Groups};
use self::report::Report;
use self::time::Moment;
use super::config::Config;
use super::output;
use crate::telemetry::ledger::account::Account;
use crate::telemetry::ledger::now;

/// Sums what invocations have used, from the usage ledger of a server.
///
/// The server may be running. It writes a ledger if it is started with
/// `--usage`.
#[derive(Debug, clap::Args)]
pub(crate) struct UsageArgs {
    /// The directory of the ledger [default: `usage` in hourglass.toml of this
    /// directory]
    #[arg(value_name = "DIR", env = "HOURGLASS_USAGE")]
    usage: Option<PathBuf>,
    /// What to sum by: function, version, principal, outcome, cause and hour,
    /// separated by commas
    #[arg(long, value_delimiter = ',', default_value = "function")]
    by: Vec<Dimension>,
    /// Only invocations that ended at or after this: a time ago such as 1h, or
    /// a moment such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME|MOMENT", value_parser = |text: &str| Moment::parse(text, now()))]
    since: Option<Moment>,
    /// Only invocations that ended before this
    #[arg(long, value_name = "TIME|MOMENT", value_parser = |text: &str| Moment::parse(text, now()))]
    until: Option<Moment>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &UsageArgs) -> anyhow::Result<()> {
    let dir = directory(args)?;
    let since = args.since.map_or(i64::MIN, |moment| moment.0);
    let until = args.until.map_or(i64::MAX, |moment| moment.0);
    let mut groups = Groups::new(&args.by);
    let account = Account::read(&dir, &mut |invocation| {
        if (since..until).contains(&invocation.ended) {
            groups.add(invocation);
        }
    })?;
    let report = Report::new(&account, groups, &(since..until));
    if args.json {
        output::json(&serde_json::to_string(&report)?)
    } else {
        output::write(&table::table(&report))
    }
    .map_err(Into::into)
}

fn directory(args: &UsageArgs) -> anyhow::Result<PathBuf> {
    if let Some(dir) = &args.usage {
        return Ok(dir.clone());
    }
    let config = Config::find(Path::new(""))?;
    config.usage.values().usage.clone().context(
        "no usage ledger is given; name its directory: `hourglass usage DIR`, HOURGLASS_USAGE, or \
         `usage` in hourglass.toml",
    )
}
