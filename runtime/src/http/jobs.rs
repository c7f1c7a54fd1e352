//! Jobs over HTTP: `/-/async/FUNCTION`.
//!
//! | request | |
//! |---|---|
//! | `POST /-/async/FUNCTION` | submits a job: 202, once it is durable |
//! | `GET /-/async/FUNCTION/ID` | its state and its result |
//! | `DELETE /-/async/FUNCTION/ID` | cancels it |
//!
//! The first two wait for the end of the job if the client prefers that
//! (`Prefer: wait=10`, RFC 7240).

use std::collections::HashSet;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::problem;
use super::reserved::Exchange;
use crate::body::{PRINCIPAL, Request, Response};
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::jobs::document::{Audience, Document};
use crate::jobs::{JOB, Job, JobId, Jobs, StoreError, StoredJob, SubmitError};
use crate::outcome::Outcome;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest wait for the end of a job.
const LONGEST: Duration = Duration::from_secs(60);

/// The queue, and the functions for which clients may use it.
pub(super) struct JobsFront {
    pub(super) jobs: Jobs,
    pub(super) functions: HashSet<String>,
}

impl JobsFront {
    pub(super) fn is_enabled(&self, function: &str) -> bool {
        self.functions.contains(function)
    }
}

/// The response to a request for a function's jobs.
pub(super) async fn answer(exchange: Exchange, function: String, rest: String) -> Response {
    // The connection counts as busy for as long as this exists.
    let (ctx, _busy) = exchange.ctx.with_cancel();
    let Some(front) = &exchange.state.jobs else { return not_found(&function, "") };
    let jobs = front.jobs.clone();
    let (method, wait) = (exchange.request.method().clone(), wait(exchange.request.headers()));
    let answered = match method {
        Method::POST => return submit(exchange, &ctx, &jobs, &function, (&rest, wait)).await,
        Method::GET | Method::HEAD => show(&ctx, &jobs, &function, (&rest, wait)).await,
        Method::DELETE => cancel(&ctx, &jobs, &function, &rest).await,
        _ => {
            let detail = "jobs are submitted with POST, shown with GET, and canceled with DELETE";
            let mut response = problem::refusal(StatusCode::METHOD_NOT_ALLOWED, detail);
            let allowed = HeaderValue::from_static("GET, HEAD, POST, DELETE");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
    };
    answered.unwrap_or_else(|error| failed(&error))
}

/// Submits a job.
async fn submit(
    exchange: Exchange,
    ctx: &Context,
    jobs: &Jobs,
    function: &str,
    (rest, wait): (&str, Option<Duration>),
) -> Response {
    let Exchange { state, request, request_id, span, .. } = exchange;
    let submitted = match addressed(request, function, rest) {
        Ok(request) => jobs.submit(ctx, function, request).await,
        Err(reason) => Err(SubmitError::BadRequest(reason)),
    };
    let outcome = submitted.as_ref().map_or_else(SubmitError::outcome, |_| Outcome::Response);
    state.runtime.export_submission(ctx, function, &outcome, span);
    let job = match submitted {
        Ok(job) => job,
        Err(SubmitError::NotFound) => {
            let error = InvokeError::refused(function.into(), Outcome::NotFound);
            return problem::response(&error, &request_id);
        }
        Err(error) => return refused(&error),
    };
    let ended = match wait {
        Some(wait) => ended(ctx, jobs, job.id, wait).await.ok().flatten(),
        None => None,
    };
    let mut response = match &ended {
        Some(stored) if stored.job.state.is_end() => document(StatusCode::OK, stored),
        _ => document(StatusCode::ACCEPTED, &StoredJob { job: job.clone(), response: None }),
    };
    let location = format!("/-/async/{function}/{}", job.id);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    applied(response, wait)
}

/// Shows a job, once it has ended if the client waits for that.
async fn show(
    ctx: &Context,
    jobs: &Jobs,
    function: &str,
    (rest, wait): (&str, Option<Duration>),
) -> Result<Response, StoreError> {
    let Some(mut stored) = find(ctx, jobs, function, rest).await? else {
        return Ok(not_found(function, rest));
    };
    if let Some(wait) = wait
        && !stored.job.state.is_end()
    {
        match ended(ctx, jobs, stored.job.id, wait).await? {
            Some(later) => stored = later,
            None => return Ok(not_found(function, rest)),
        }
    }
    Ok(applied(document(StatusCode::OK, &stored), wait))
}

async fn cancel(
    ctx: &Context,
    jobs: &Jobs,
    function: &str,
    rest: &str,
) -> Result<Response, StoreError> {
    let Some(stored) = find(ctx, jobs, function, rest).await? else {
        return Ok(not_found(function, rest));
    };
    Ok(match jobs.cancel(stored.job.id, Cause::Canceled).await? {
        Some((job, true)) => document(StatusCode::OK, &StoredJob { job, response: None }),
        Some((job, false)) => {
            let detail = format!("the job has ended: it is {}", job.state.name());
            problem::refusal(StatusCode::CONFLICT, &detail)
        }
        None => not_found(function, rest),
    })
}

/// The job that a path names, if it is the function's and the principal's own.
async fn find(
    ctx: &Context,
    jobs: &Jobs,
    function: &str,
    rest: &str,
) -> Result<Option<StoredJob>, StoreError> {
    let Some(Ok(id)) = rest.strip_prefix('/').map(str::parse::<JobId>) else { return Ok(None) };
    let is_own = |job: &Job| job.function == function && job.principal == ctx.value(&PRINCIPAL);
    Ok(jobs.get(id).await?.filter(|stored| is_own(&stored.job)))
}

/// The job after its end, or as it is when the wait or the server ends.
async fn ended(
    ctx: &Context,
    jobs: &Jobs,
    id: JobId,
    wait: Duration,
) -> Result<Option<StoredJob>, StoreError> {
    tokio::select! {
        ended = jobs.wait(id) => ended,
        () = tokio::time::sleep(wait) => jobs.get(id).await,
        () = jobs.stopped() => jobs.get(id).await,
        _ = ctx.done() => jobs.get(id).await,
    }
}

/// The request as the function gets it: with its own path in front of the rest.
fn addressed(mut request: Request, function: &str, rest: &str) -> Result<Request, String> {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("/{function}{rest}{query}").parse::<Uri>();
    *request.uri_mut() = uri.map_err(|error| format!("the path can't be used: {error}"))?;
    request.headers_mut().remove(PREFER);
    Ok(request)
}

/// How long a client prefers to wait (RFC 7240, section 4.3).
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    // Of several preferences with one name the first applies.
    let seconds = values.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u32>().ok())
    });
    Some(Duration::from_secs(seconds??.into()).min(LONGEST))
}

fn applied(mut response: Response, wait: Option<Duration>) -> Response {
    if let Some(wait) = wait
        && let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
    {
        response.headers_mut().insert(APPLIED, applied);
    }
    response
}

fn document(status: StatusCode, stored: &StoredJob) -> Response {
    let mut response = Response::new(Document::of(stored, Audience::Client).to_json().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::try_from(stored.job.id.to_string()) {
        headers.insert(JOB, id);
    }
    response
}

fn not_found(function: &str, rest: &str) -> Response {
    let id = rest.strip_prefix('/').unwrap_or_default();
    let detail = match id.parse::<JobId>() {
        Ok(id) => format!("no job {id} of `{function}` is stored"),
        Err(error) => error.to_string(),
    };
    problem::refusal(StatusCode::NOT_FOUND, &detail)
}

fn refused(error: &SubmitError) -> Response {
    let status = match error {
        SubmitError::Store(error) => return failed(error),
        SubmitError::Conflict => StatusCode::UNPROCESSABLE_ENTITY,
        SubmitError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        SubmitError::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    problem::refusal(status, &error.to_string())
}

/// The response if the store has failed. The system's errors are not for
/// clients.
fn failed(error: &StoreError) -> Response {
    tracing::debug!(%error, "a request about jobs has failed");
    let (status, detail) = match error {
        StoreError::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "the store of jobs is full"),
        StoreError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too many submissions at once"),
        StoreError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "the host is shutting down"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the store of jobs has failed"),
    };
    problem::refusal(status, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_preference_is_read_as_its_rfc_says() {
        assert_eq!(prefers(&[]), None);
        assert_eq!(prefers(&["wait=10"]), Some(10));
        assert_eq!(prefers(&["respond-async, Wait = \"7\""]), Some(7));
        assert_eq!(prefers(&["respond-async", "wait=3, wait=9"]), Some(3));
        assert_eq!(prefers(&["wait=99999"]), Some(60));
        for bad in ["wait", "wait=", "wait=-1", "wait=x", "waiting=3"] {
            assert_eq!(prefers(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_function_gets_its_own_path() {
        let path = |uri: &str, rest: &str| {
            let request = Request::new(crate::body::Body::empty());
            let (mut head, body) = request.into_parts();
            head.uri = uri.parse().expect("a path");
            let request = addressed(Request::from_parts(head, body), "f", rest);
            request.expect("a path").uri().to_string()
        };
        assert_eq!(path("/-/async/f", ""), "/f");
        assert_eq!(path("/-/async/f/a/b?c=d", "/a/b"), "/f/a/b?c=d");
    }
}
