//! Jobs, for operators.

use std::collections::BTreeMap;

use http::{StatusCode, Uri};
use serde::Serialize;

use super::endpoints::json;
use crate::body::Response;
use crate::http::problem;
use crate::jobs::document::{Audience, Document};
use crate::jobs::{Job, JobId, JobPage, JobQuery, JobState, Jobs, StoreError, StoredJob};

/// The jobs in one part of a list, if the request does not say, and at most.
const LIMIT: usize = 100;
const MOST: usize = 1_000;

#[derive(Serialize)]
struct Page<'a> {
    jobs: Vec<Document<'a>>,
    /// The value of `before` for the next part.
    next: Option<String>,
    /// The number of all jobs by state.
    counts: BTreeMap<&'static str, u64>,
    /// The bytes that all jobs count for.
    bytes: u64,
}

/// `GET /jobs`: lists jobs, the newest first.
pub(super) async fn list(jobs: &Jobs, uri: &Uri) -> Response {
    match query(uri) {
        Ok(query) => answered(page(jobs, query).await),
        Err(detail) => problem::refusal(StatusCode::BAD_REQUEST, &detail),
    }
}

async fn page(jobs: &Jobs, query: JobQuery) -> Result<Response, StoreError> {
    let JobPage { jobs: listed, next } = jobs.list(query).await?;
    let counts = jobs.counts().await?;
    Ok(json(&Page {
        jobs: listed.iter().map(|job| Document::of_job(job, Audience::Operator)).collect(),
        next: next.map(|id| id.to_string()),
        counts: JobState::ALL.map(|state| (state.name(), counts.of(state))).into(),
        bytes: counts.bytes,
    }))
}

/// The query of a list: `function`, `state`, `before` and `limit`.
fn query(uri: &Uri) -> Result<JobQuery, String> {
    let mut query = JobQuery { limit: LIMIT, ..JobQuery::default() };
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "function" => query.function = Some(value.into_owned()),
            "state" => {
                let state = JobState::ALL.into_iter().find(|state| state.name() == value);
                query.state = Some(state.ok_or_else(|| {
                    format!("the state is one of {}", JobState::ALL.map(JobState::name).join(", "))
                })?);
            }
            "before" => {
                query.before = Some(value.parse().map_err(|error| format!("`before`: {error}"))?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                query.limit = limit.ok_or_else(|| format!("the limit is 1 to {MOST}"))?;
            }
            _ => return Err("there are `function`, `state`, `before` and `limit`".to_owned()),
        }
    }
    Ok(query)
}

/// `GET /jobs/ID`: shows a job with its response.
pub(super) async fn show(jobs: &Jobs, id: &str) -> Response {
    let Ok(id) = id.parse::<JobId>() else { return missing(id) };
    answered(jobs.get(id).await.map(|stored| match stored {
        Some(stored) => document(&stored),
        None => missing(id),
    }))
}

/// `POST /jobs/ID/retry`: queues a job that has failed again.
pub(super) async fn retry(jobs: &Jobs, id: &str) -> Response {
    let Ok(id) = id.parse::<JobId>() else { return missing(id) };
    answered(jobs.retry(id).await.map(|changed| match changed {
        Some((job, true)) => {
            tracing::info!(job = %id, "an operator queued a job again");
            document(&without_response(job))
        }
        Some((job, false)) => {
            let detail = format!(
                "the job is {}; only a job that has failed or was canceled is queued again",
                job.state.name()
            );
            problem::refusal(StatusCode::CONFLICT, &detail)
        }
        None => missing(id),
    }))
}

/// `DELETE /jobs/ID`: removes a job. An attempt under way is canceled.
pub(super) async fn remove(jobs: &Jobs, id: &str) -> Response {
    let Ok(id) = id.parse::<JobId>() else { return missing(id) };
    answered(jobs.remove(id).await.map(|removed| match removed {
        Some(job) => {
            tracing::info!(job = %id, "an operator dropped a job");
            document(&without_response(job))
        }
        None => missing(id),
    }))
}

/// The response of a host without a queue.
pub(super) fn none() -> Response {
    let detail = "the host has no queue of jobs; start it with `--jobs DIR`";
    problem::refusal(StatusCode::NOT_FOUND, detail)
}

fn without_response(job: Job) -> StoredJob {
    StoredJob { job, response: None }
}

fn document(stored: &StoredJob) -> Response {
    json(&Document::of(stored, Audience::Operator))
}

fn missing(id: impl std::fmt::Display) -> Response {
    let detail = format!("no job {id} is stored");
    problem::refusal(StatusCode::NOT_FOUND, &detail)
}

fn answered(result: Result<Response, StoreError>) -> Response {
    result.unwrap_or_else(|error| {
        let status = match error {
            StoreError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            StoreError::Busy | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        problem::refusal(status, &error.to_string())
    })
}
