//! One attempt of a job, from its start to its end in the store.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::handle::Shared;
use super::job::{Job, JobFailure, JobOrigin};
use super::message::{JobRequest, JobResponse};
use super::policy::JobPolicy;
use super::store::{Settlement, StoreError, Work};
use super::time::Timestamp;
use super::{ATTEMPT, JOB, decision};
use crate::body::{Body, CLIENT_ADDRESS, PRINCIPAL, REQUEST_ID, Response};
use crate::context::{Context, Key};
use crate::error::InvokeError;
use crate::outcome::Outcome;
use crate::propagation::trace::{TRACE, TRACE_STATE};
use crate::sync::lock;

/// Does what is to be done about a job, and records it.
pub(super) async fn run(shared: &Arc<Shared>, work: Work) {
    let (job, settlement) = match work {
        Work::Run(job, request) => {
            let settlement = attempt(shared, &job, request).await;
            (job, settlement)
        }
        Work::Damaged(job) => {
            let failure = JobFailure {
                outcome: Outcome::Host(String::new()).name().to_owned(),
                cause: None,
                message: "the stored request is damaged".to_owned(),
            };
            let policy = shared.policy(&job.function);
            let end = decision::end(&policy, Some(failure), None, Timestamp::now(), false);
            (job, end)
        }
        #[cfg(feature = "server")]
        Work::Notify(stored) => {
            let settlement = super::callback::call(shared, &stored).await;
            (stored.job, settlement)
        }
        #[cfg(not(feature = "server"))]
        Work::Notify(stored) => (stored.job, Settlement::Notified { is_delivered: false }),
    };
    settle(shared, &job, settlement).await;
}

async fn attempt(shared: &Arc<Shared>, job: &Job, request: JobRequest) -> Settlement {
    let policy = shared.policy(&job.function);
    if let Some(end) = decision::before(job, &policy, Timestamp::now()) {
        return end;
    }
    // What is claimed at once was bounded before; this bounds the claims.
    let _held = shared.memory.reserve(request.body.len() as u64);
    let ctx = context(shared.runtime.context(), job);
    let left = job.deadline.since(Timestamp::now());
    let (ctx, cancel) = ctx.with_timeout(policy.attempt_timeout.min(left));
    lock(&shared.running).insert(job.id, cancel);
    let mut request = request.into_request();
    request.headers_mut().insert(ATTEMPT, job.attempts.into());
    if let Ok(id) = HeaderValue::try_from(job.id.to_string()) {
        request.headers_mut().insert(JOB, id);
    }
    let result = shared.runtime.invoke_job(&ctx, &job.function, request).await;
    lock(&shared.running).remove(&job.id);
    let (result, body) = kept(&policy, &job.function, result).await;
    let response = result.as_ref().ok().zip(body);
    let response = response.map(|(response, body)| JobResponse::new(response, body));
    decision::after(job, &policy, &result, response, Timestamp::now())
}

/// Separates the body of a response, if it is not too long to be kept.
async fn kept(
    policy: &JobPolicy,
    function: &str,
    result: Result<Response, InvokeError>,
) -> (Result<Response, InvokeError>, Option<Bytes>) {
    let (head, body) = match result {
        Ok(response) => response.into_parts(),
        Err(error) => return (Err(error), None),
    };
    let limit = policy.response_bytes;
    if body.len().is_none_or(|len| len > limit) {
        let outcome = Outcome::ResponseTooLarge { limit };
        return (Err(InvokeError::refused(function.into(), outcome)), None);
    }
    // It is whole, so this neither waits nor fails.
    let body = body.bytes().await.unwrap_or_default();
    (Ok(Response::from_parts(head, Body::empty())), Some(body))
}

/// The context of an attempt: the values of the request that submitted the job,
/// under the root of the runtime.
fn context(root: &Context, job: &Job) -> Context {
    let JobOrigin { trace, trace_state, request_id, values } = &job.origin;
    let mut ctx = root.clone();
    for (name, value) in values {
        ctx = match value.parse() {
            Ok(address) if name == CLIENT_ADDRESS.name() => {
                ctx.with_value(&CLIENT_ADDRESS, address)
            }
            _ => ctx.with_value(&Key::from_wire(name.clone()), value.clone()),
        };
    }
    if let Some(Ok(trace)) = trace.as_ref().map(|trace| trace.parse()) {
        ctx = ctx.with_value(&TRACE, trace);
    }
    if let Some(trace_state) = trace_state {
        ctx = ctx.with_value(&TRACE_STATE, trace_state.clone());
    }
    if let Some(request_id) = request_id {
        ctx = ctx.with_value(&REQUEST_ID, request_id.clone());
    }
    if let Some(principal) = &job.principal {
        ctx = ctx.with_value(&PRINCIPAL, principal.clone());
    }
    ctx
}

/// Records the end of a claim. A store that fails, as on a full disk, is tried
/// again: the claim keeps its slot until then. Once the queue is stopped, a claim
/// that can't be recorded is left to the next process.
async fn settle(shared: &Arc<Shared>, job: &Job, settlement: Settlement) {
    let mut failures = 0;
    let stored = loop {
        let now = Timestamp::now();
        match shared.store.settle(job.id, job.attempts, settlement.clone(), now).await {
            Ok(job) => break job,
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(job = %job.id, %error, "the end of an attempt can't be recorded");
                let pause = tokio::time::sleep(StoreError::pause(failures));
                failures += 1;
                tokio::select! {
                    () = pause => {}
                    _ = shared.stopping.done() => return,
                }
            }
        }
    };
    let Some(stored) = stored else { return };
    if stored.is_waiting() {
        shared.wake.notify_one();
    }
    if stored.state.is_end() {
        shared.waiters.wake(job.id);
        report(&stored, &settlement);
    }
}

fn report(job: &Job, settlement: &Settlement) {
    let Settlement::End { failure: Some(failure), .. } = settlement else { return };
    tracing::warn!(
        function = job.function,
        job = %job.id,
        request_id = job.origin.request_id,
        attempts = job.attempts,
        outcome = failure.outcome,
        "a job has failed permanently; `hourglass jobs show` tells why"
    );
}
