//! From a request to a job.

use hourglass_abi::key;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use super::handle::Shared;
use super::id::JobId;
use super::job::{Callback, CallbackState, Job, JobOrigin, JobState};
use super::message::JobRequest;
use super::store::{NewJob, StoreError};
use super::time::Timestamp;
use super::{ATTEMPT, JOB};
use crate::body::{Body, PRINCIPAL, REQUEST_ID, Request};
use crate::context::Context;
use crate::limits::bytes::Reservation;
use crate::limits::fixed;
use crate::outcome::Outcome;
#[cfg(feature = "server")]
use crate::propagation::headers::strip_hop_by_hop;
use crate::propagation::trace::{TRACE, TRACE_STATE, Trace};

/// The header with a key that makes a submission repeatable: one with the same
/// key, function and principal leads to the same job, as long as that exists.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header with the URL that gets the result of a job.
pub const CALLBACK: HeaderName = HeaderName::from_static("hourglass-callback");

/// The longest idempotency key and the longest URL of a callback, in bytes.
const MAX_KEY: usize = 255;
const MAX_URL: usize = 2_048;

/// The most bytes of context values that a job keeps.
const MAX_VALUES: usize = 16 << 10;

/// A submission was refused, or has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// No function of that name is deployed.
    #[error("no function of that name is deployed")]
    NotFound,
    /// The request's body is longer than the function accepts.
    #[error("the request's body is longer than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The request can't be stored; the text says why.
    #[error("{0}")]
    BadRequest(String),
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used with another request; use a new key")]
    Conflict,
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubmitError {
    /// The outcome for a function that has submitted the job, and for a trace.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound => Outcome::NotFound,
            Self::BodyTooLarge { limit } => Outcome::BodyTooLarge { limit: *limit },
            Self::Store(StoreError::Closed) => Outcome::Draining,
            Self::Store(StoreError::Busy) => Outcome::Busy,
            Self::Store(error) => Outcome::Host(error.to_string()),
            Self::BadRequest(_) | Self::Conflict => Outcome::BadRequest(self.to_string()),
        }
    }
}

/// Collects a request, and makes it a job.
pub(super) async fn prepare(
    shared: &Shared,
    ctx: &Context,
    function: &str,
    request: Request,
) -> Result<NewJob, SubmitError> {
    let limit = shared.runtime.request_limit(function).ok_or(SubmitError::NotFound)?;
    let (head, body) = request.into_parts();
    let mut headers = head.headers;
    let key = text(&headers, &IDEMPOTENCY_KEY, MAX_KEY)?.map(str::to_owned);
    let url = text(&headers, &CALLBACK, MAX_URL)?.map(str::to_owned);
    if let Some(url) = &url {
        check_callback(shared, function, url)?;
    }
    let mut held = reserve(shared, fixed::held(&headers))?;
    let body = collect(body, limit, &mut held).await?;
    // The length is that of the body, which is whole now.
    let len = headers.get(CONTENT_LENGTH).cloned();
    #[cfg(feature = "server")]
    strip_hop_by_hop(&mut headers);
    for name in [IDEMPOTENCY_KEY, CALLBACK, ATTEMPT, JOB] {
        headers.remove(name);
    }
    if len.is_some() {
        headers.insert(CONTENT_LENGTH, body.len().into());
    }
    let request = JobRequest { method: head.method, uri: head.uri, headers, body: body.into() };
    let job = job(shared, ctx, function, (key, url))?;
    let fingerprint = fingerprint(&request);
    // The store has a bound of its own for what waits.
    drop(held);
    Ok(NewJob { job, request, fingerprint })
}

fn job(
    shared: &Shared,
    ctx: &Context,
    function: &str,
    (key, url): (Option<String>, Option<String>),
) -> Result<Job, SubmitError> {
    let now = Timestamp::now();
    let principal = ctx.value(&PRINCIPAL);
    let callback = |url| Callback { url, failures: 0, state: CallbackState::Waiting };
    Ok(Job {
        id: JobId::new(now).map_err(|error| StoreError::Io(std::sync::Arc::new(error)))?,
        function: function.to_owned(),
        state: JobState::Queued,
        attempts: 0,
        failures: 0,
        interruptions: 0,
        submitted: now,
        due: now,
        deadline: now.after(shared.policy(function).deadline),
        ended: None,
        expires: None,
        failure: None,
        callback: url.map(callback),
        origin: origin(ctx)?,
        key: key.map(|key| key_hash(function, principal.as_deref(), &key)),
        principal,
        request_bytes: 0,
        response_bytes: 0,
    })
}

/// The values of a context, in a form that outlasts it.
fn origin(ctx: &Context) -> Result<JobOrigin, SubmitError> {
    let own = [key::REQUEST_ID, key::PRINCIPAL, key::TRACEPARENT, key::TRACESTATE];
    let others = ctx.values().filter(|(name, _)| !own.contains(name));
    let values: Vec<_> = others.map(|(name, value)| (name.to_owned(), value)).collect();
    if values.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_VALUES {
        let text = format!("the values of its context have more than {MAX_VALUES} bytes");
        return Err(SubmitError::BadRequest(text));
    }
    Ok(JobOrigin {
        trace: Some(ctx.value(&TRACE).unwrap_or_else(Trace::root).to_string()),
        trace_state: ctx.value(&TRACE_STATE),
        request_id: ctx.value(&REQUEST_ID),
        values,
    })
}

fn reserve(shared: &Shared, bytes: u64) -> Result<Reservation, SubmitError> {
    shared.submissions.reserve(bytes).ok_or(SubmitError::Store(StoreError::Busy))
}

/// Collects a body of at most `limit` bytes.
async fn collect(
    mut body: Body,
    limit: u64,
    held: &mut Reservation,
) -> Result<Vec<u8>, SubmitError> {
    if body.len().is_some_and(|len| len > limit) {
        return Err(SubmitError::BodyTooLarge { limit });
    }
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| {
            let error = fixed::display(&error, fixed::TEXT);
            SubmitError::BadRequest(format!("the body broke off or is malformed: {error}"))
        })?;
        if (whole.len() + piece.len()) as u64 > limit {
            return Err(SubmitError::BodyTooLarge { limit });
        }
        held.grow(piece.len() as u64).map_err(|_| StoreError::Busy)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// The text of a header that may be there once.
fn text<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    most: usize,
) -> Result<Option<&'a str>, SubmitError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=most).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(SubmitError::BadRequest(format!(
            "the header `{name}` has to be there once, with 1 to {most} characters of ASCII"
        ))),
    }
}

#[cfg(feature = "server")]
fn check_callback(shared: &Shared, function: &str, url: &str) -> Result<(), SubmitError> {
    let outbound = shared.runtime.outbound(function).ok_or_else(|| {
        let text = "the function may reach no host: its `allow_hosts` is empty";
        SubmitError::BadRequest(format!("the callback can't be called: {text}"))
    })?;
    let unusable =
        |error| SubmitError::BadRequest(format!("the callback can't be called: {error}"));
    outbound.check(url).map_err(unusable)
}

#[cfg(not(feature = "server"))]
fn check_callback(_: &Shared, _: &str, _: &str) -> Result<(), SubmitError> {
    let text = "the host has no HTTP client for callbacks: build it with the feature `server`";
    Err(SubmitError::BadRequest(text.to_owned()))
}

/// The hash of an idempotency key in its scope.
fn key_hash(function: &str, principal: Option<&str>, key: &str) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    add(&mut hash, function.as_bytes());
    match principal {
        Some(principal) => add(&mut hash, principal.as_bytes()),
        None => drop(hash.update(&u64::MAX.to_le_bytes())),
    }
    add(&mut hash, key.as_bytes());
    hash.finalize().into()
}

/// The hash of what makes a request the same.
fn fingerprint(request: &JobRequest) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    add(&mut hash, request.method.as_str().as_bytes());
    add(&mut hash, request.uri.to_string().as_bytes());
    let kind = request.headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    add(&mut hash, kind);
    add(&mut hash, &request.body);
    hash.finalize().into()
}

/// Adds a part behind its length, so that parts can't be shifted.
fn add(hash: &mut blake3::Hasher, part: &[u8]) {
    hash.update(&(part.len() as u64).to_le_bytes()).update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_of_its_function_and_principal() {
        let keys = [
            key_hash("f", None, "k"),
            key_hash("g", None, "k"),
            key_hash("f", Some(""), "k"),
            key_hash("f", Some("k"), ""),
            key_hash("f", Some("p"), "k"),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(key_hash("f", Some("p"), "k"), keys[4]);
    }

    #[test]
    fn a_header_is_there_once_and_short() {
        let mut headers = HeaderMap::new();
        let read = |headers: &HeaderMap| {
            text(headers, &IDEMPOTENCY_KEY, 3).map(|text| text.map(str::to_owned)).ok()
        };
        assert_eq!(read(&headers), Some(None));
        headers.insert(IDEMPOTENCY_KEY, "abc".parse().expect("a value"));
        assert_eq!(read(&headers), Some(Some("abc".to_owned())));
        headers.append(IDEMPOTENCY_KEY, "abc".parse().expect("a value"));
        assert_eq!(read(&headers), None);
        for bad in ["", "abcd", "\u{e9}"] {
            headers.insert(IDEMPOTENCY_KEY, bad.parse().expect("a value"));
            assert_eq!(read(&headers), None, "{bad}");
        }
    }
}
