//! `hourglass jobs`: the jobs of a server.
//!
//! # Layout
//! - Here: the commands; `table`: a list of jobs, and one job, as text.

mod table;

use std::path::Path;

use anyhow::{Context as _, bail};

use super::access::AccessOptions;
use super::output;
use crate::http::admin::client::Client;
use crate::http::admin::client::answers::JobDetails;
use crate::jobs::{JobId, JobState};

/// The most jobs of one request.
const PART: usize = 1_000;

/// Lists and manages the jobs of a server.
///
/// The server must have been started with `--jobs` and `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists jobs, the newest first
    List(ListArgs),
    /// Lists the jobs that have failed permanently, the newest first
    Dead(DeadArgs),
    /// Shows a job with its result
    Show(ShowArgs),
    /// Queues jobs again that have failed or were canceled
    Retry(RetryArgs),
    /// Removes jobs; those that run are canceled
    Drop(DropArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<JobState>,
    #[command(flatten)]
    dead: DeadArgs,
}

#[derive(Debug, clap::Args)]
struct DeadArgs {
    /// Only jobs of this function
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// The most jobs
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: AccessOptions,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The job's id
    id: JobId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: AccessOptions,
}

#[derive(Debug, clap::Args)]
struct RetryArgs {
    /// The ids of jobs
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<JobId>,
    /// All jobs that have failed
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: AccessOptions,
}

#[derive(Debug, clap::Args)]
struct DropArgs {
    /// The ids of jobs
    #[arg(value_name = "ID", required = true)]
    ids: Vec<JobId>,
    #[command(flatten)]
    server: AccessOptions,
}

fn state(text: &str) -> anyhow::Result<JobState> {
    let state = JobState::ALL.into_iter().find(|state| state.name() == text);
    state.with_context(|| format!("write one of {}", JobState::ALL.map(JobState::name).join(", ")))
}

pub(crate) fn run(args: &JobsArgs) -> anyhow::Result<()> {
    match &args.command {
        Command::List(args) => list(args.state, &args.dead),
        Command::Dead(args) => list(Some(JobState::Failed), args),
        Command::Show(args) => show(args),
        Command::Retry(args) => retry(args),
        Command::Drop(args) => remove(args),
    }
}

fn client(server: &AccessOptions) -> anyhow::Result<Client> {
    server.client(Path::new(""))
}

fn list(state: Option<JobState>, args: &DeadArgs) -> anyhow::Result<()> {
    let client = client(&args.server)?;
    let jobs = listed(&client, state, args.function.as_deref(), args.limit);
    let jobs = super::block_on(jobs)?;
    if args.json {
        return Ok(output::json(&serde_json::to_string(&jobs)?)?);
    }
    if jobs.is_empty() {
        return Ok(output::line("no such jobs")?);
    }
    let jobs: Vec<JobDetails> =
        jobs.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?;
    Ok(output::write(&table::list(&jobs))?)
}

/// The first jobs of a list, part by part.
async fn listed(
    client: &Client,
    state: Option<JobState>,
    function: Option<&str>,
    limit: usize,
) -> anyhow::Result<Vec<serde_json::Value>> {
    let (mut jobs, mut before) = (Vec::new(), None);
    while jobs.len() < limit {
        let part = PART.min(limit - jobs.len());
        let page = client.jobs(state, function, before.as_deref(), part).await?;
        jobs.extend(page.jobs);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(jobs)
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let client = client(&args.server)?;
    let job = super::block_on(async { Ok(client.job(args.id).await?) })?;
    let Some(job) = job else { bail!("no job {} is stored at {}", args.id, client.address) };
    if args.json {
        return Ok(output::json(&serde_json::to_string(&job)?)?);
    }
    Ok(output::write(&table::job(&serde_json::from_value(job)?))?)
}

fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let client = client(&args.server)?;
    super::block_on(async {
        if !args.all {
            for id in &args.ids {
                client.retry_job(*id).await?;
                output::line(&format!("queued job {id} again"))?;
            }
            return Ok(());
        }
        let failed = listed(&client, Some(JobState::Failed), None, usize::MAX).await?;
        for job in &failed {
            let id = job["id"].as_str().unwrap_or_default();
            client.retry_job(id.parse()?).await?;
        }
        Ok(output::line(&format!("queued {} jobs again", failed.len()))?)
    })
}

fn remove(args: &DropArgs) -> anyhow::Result<()> {
    let client = client(&args.server)?;
    super::block_on(async {
        for id in &args.ids {
            client.drop_job(*id).await?;
            output::line(&format!("dropped job {id}"))?;
        }
        Ok(())
    })
}
