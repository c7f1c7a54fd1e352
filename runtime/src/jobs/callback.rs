//! Sends the result of a job to a URL.
//!
//! A callback is as durable as an attempt: it waits in the same queue, and is
//! repeated until the receiver accepts it with a status of 2xx, or all tries are
//! used up. So a receiver may get it twice, and recognizes it by the job's id.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use tokio::runtime::Handle;

use super::JOB;
use super::document::{Audience, Document};
use super::handle::Shared;
use super::job::StoredJob;
use super::store::Settlement;
use super::time::Timestamp;
use crate::limits::fixed;
use crate::outbound::{Fetch, FetchError, FetchRequest};
use crate::propagation::trace::Trace;
use crate::tasks::Retry;

/// How often, and after which delays, a callback is repeated: for about half an
/// hour.
const RETRY: Retry = Retry::times(9).backoff(Duration::from_secs(2), Duration::from_secs(600));

/// The longest time of one try.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls the callback of a job once.
pub(super) async fn call(shared: &Arc<Shared>, stored: &StoredJob) -> Settlement {
    let Some(callback) = &stored.job.callback else {
        return Settlement::Notified { is_delivered: false };
    };
    match send(shared, stored, &callback.url).await {
        Ok(()) => Settlement::Notified { is_delivered: true },
        Err(reason) => {
            let is_last = callback.failures >= RETRY.retries();
            let (job, function) = (stored.job.id, &stored.job.function);
            if is_last {
                tracing::warn!(%job, function, reason, "the callback of a job is given up");
                return Settlement::Notified { is_delivered: false };
            }
            tracing::debug!(%job, function, reason, "the callback of a job has failed");
            let due = Timestamp::now().after(RETRY.delay(callback.failures));
            Settlement::NotifyLater { due }
        }
    }
}

/// Sends a job, and waits until the receiver has accepted it.
async fn send(shared: &Shared, stored: &StoredJob, url: &str) -> Result<(), String> {
    let text = |error: FetchError| error.to_string();
    let outbound = shared.runtime.outbound(&stored.job.function);
    let outbound = outbound.ok_or("the function may reach no host")?;
    let body = Bytes::from(Document::of(stored, Audience::Client).to_json());
    let mut request = Request::post("/").body(()).map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::try_from(stored.job.id.to_string()) {
        headers.insert(JOB, id);
    }
    let held = fixed::held(headers) + body.len() as u64;
    let held = outbound.uploads.reserve(held).ok_or("the memory of fetches is used up")?;
    let request = FetchRequest::new(request, url, held, Some(body), 0).map_err(text)?;
    let trace = stored.job.origin.trace.as_ref().and_then(|trace| trace.parse().ok());
    let step = trace.map_or_else(Trace::root, |trace: Trace| trace.child());
    let (ctx, _cancel) = shared.runtime.context().with_timeout(TIMEOUT);
    let mut fetch = Fetch::begin(&outbound, &ctx, step, request, None, &Handle::current());
    poll_fn(|cx| fetch.poll_head(cx)).await;
    match fetch.head() {
        Some(Ok(head)) if head.status.is_success() => Ok(()),
        Some(Ok(head)) => Err(format!("the receiver answered with the status {}", head.status)),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("there is no response".to_owned()),
    }
}
