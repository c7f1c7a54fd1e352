//! The queue of jobs of a server: its settings, and the policies of its
//! functions.

use anyhow::Context as _;

use super::config::{Config, FunctionConfig};
use super::settings::{FunctionOptions, JobSettings, JobsSettings};
use crate::jobs::{JobPolicy, Jobs, StoreLimits};
use crate::runtime::Runtime;
use crate::tasks::Retry;

/// Opens the queue, if the settings name its directory. `flags` take precedence
/// over the functions' sections of the file.
pub(crate) fn open(
    settings: &JobsSettings,
    config: &Config,
    flags: &FunctionOptions,
    runtime: &Runtime,
) -> anyhow::Result<Option<Jobs>> {
    let Some(dir) = &settings.jobs else { return Ok(None) };
    let limits = StoreLimits { jobs: settings.jobs_count.into(), bytes: settings.jobs_size };
    let mut builder = Jobs::builder(runtime)
        .limits(limits)
        .default_policy(policy(flags, &FunctionConfig::default()));
    if let Some(most) = settings.jobs_in_flight {
        builder = builder.in_flight(most as usize);
    }
    for (name, function) in &config.functions {
        builder = builder.policy(name, policy(flags, function));
    }
    let jobs = builder.open(dir);
    jobs.map(Some).with_context(|| format!("the jobs in {} can't be used", dir.display()))
}

/// The policy for the jobs of a function.
fn policy(flags: &FunctionOptions, function: &FunctionConfig) -> JobPolicy {
    let JobSettings {
        job_retries,
        job_backoff,
        job_backoff_max,
        job_attempt_timeout,
        job_deadline,
        job_keep,
        job_keep_failed,
        job_response,
    } = flags.jobs.over(&function.options.jobs);
    let retry = function.retry_after(Retry::times(job_retries));
    let policy = JobPolicy::default()
        .retry(retry.backoff(job_backoff, job_backoff_max))
        .deadline(job_deadline)
        .keep(job_keep)
        .keep_failed(job_keep_failed)
        .response_bytes(job_response);
    match job_attempt_timeout {
        Some(timeout) => policy.attempt_timeout(timeout),
        None => policy,
    }
}
