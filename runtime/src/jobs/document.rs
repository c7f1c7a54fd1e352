//! A job as JSON, for clients, callbacks and operators.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::job::{Job, StoredJob};
use super::message::JobResponse;
use crate::propagation::trace::Trace;

/// Who reads a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A client, or the receiver of a callback. It does not see the messages of
    /// failures, which may contain output of the function.
    Client,
    /// An operator.
    Operator,
}

/// A job. Every member is always present; a missing value is null.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    id: String,
    function: &'a str,
    state: &'static str,
    attempts: u32,
    failures: u32,
    interruptions: u32,
    submitted: String,
    /// When the next attempt is due.
    due: Option<String>,
    deadline: String,
    ended: Option<String>,
    expires: Option<String>,
    /// Why the last attempt that ended has failed.
    outcome: Option<&'a str>,
    cause: Option<&'a str>,
    message: Option<&'a str>,
    callback: Option<CallbackDocument<'a>>,
    principal: Option<&'a str>,
    request_id: Option<&'a str>,
    trace_id: Option<String>,
    request_bytes: u64,
    response_bytes: u64,
    response: Option<ResponseDocument>,
}

#[derive(Serialize)]
struct CallbackDocument<'a> {
    url: &'a str,
    state: &'static str,
    failures: u32,
}

#[derive(Serialize)]
struct ResponseDocument {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    is_base64: bool,
    is_body_dropped: bool,
}

impl<'a> Document<'a> {
    /// A job without its response.
    pub(crate) fn of_job(job: &'a Job, audience: Audience) -> Self {
        let failure = job.failure.as_ref();
        let trace = job.origin.trace.as_deref().and_then(|trace| trace.parse::<Trace>().ok());
        Self {
            id: job.id.to_string(),
            function: &job.function,
            state: job.state.name(),
            attempts: job.attempts,
            failures: job.failures,
            interruptions: job.interruptions,
            submitted: job.submitted.to_string(),
            due: (!job.state.is_end()).then(|| job.due.to_string()),
            deadline: job.deadline.to_string(),
            ended: job.ended.map(|time| time.to_string()),
            expires: job.expires.map(|time| time.to_string()),
            outcome: failure.map(|failure| &*failure.outcome),
            cause: failure.and_then(|failure| failure.cause.as_deref()),
            message: failure
                .filter(|_| audience == Audience::Operator)
                .map(|failure| &*failure.message),
            callback: job.callback.as_ref().map(|callback| CallbackDocument {
                url: &callback.url,
                state: callback.state.name(),
                failures: callback.failures,
            }),
            principal: job.principal.as_deref(),
            request_id: job.origin.request_id.as_deref(),
            trace_id: trace.map(|trace| trace.trace_id().to_string()),
            request_bytes: job.request_bytes,
            response_bytes: job.response_bytes,
            response: None,
        }
    }

    /// A job with its response.
    pub(crate) fn of(stored: &'a StoredJob, audience: Audience) -> Self {
        let response = stored.response.as_ref().map(ResponseDocument::new);
        Self { response, ..Self::of_job(&stored.job, audience) }
    }

    /// The document as one line of text.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Serializing texts, lists and numbers to JSON can't fail.
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

impl ResponseDocument {
    fn new(response: &JobResponse) -> Self {
        let text = str::from_utf8(&response.body).ok();
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            status: response.status.as_u16(),
            headers: response.headers.iter().map(field).collect(),
            is_base64: text.is_none(),
            body: text.map_or_else(|| BASE64_STANDARD.encode(&response.body), str::to_owned),
            is_body_dropped: response.is_body_dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::job::{JobFailure, JobState};
    use crate::jobs::tests::job;
    use serde_json::Value;

    fn read(stored: &StoredJob, audience: Audience) -> Value {
        serde_json::from_slice(&Document::of(stored, audience).to_json()).expect("JSON")
    }

    #[test]
    fn only_an_operator_sees_what_a_failure_says() {
        let mut job = job(2);
        job.state = JobState::Failed;
        job.failure = Some(JobFailure {
            outcome: "trap".to_owned(),
            cause: None,
            message: "a secret".to_owned(),
        });
        let stored = StoredJob { job, response: None };
        let [client, operator] =
            [Audience::Client, Audience::Operator].map(|who| read(&stored, who));
        assert_eq!((&client["state"], &client["outcome"]), (&"failed".into(), &"trap".into()));
        assert_eq!((&client["message"], &client["response"]), (&Value::Null, &Value::Null));
        assert_eq!(operator["message"], "a secret");
    }

    #[test]
    fn a_body_is_text_if_it_can_be() {
        for (body, expected, is_base64) in
            [(&b"gr\xc3\xbcn"[..], "grün", false), (b"\xff", "/w==", true)]
        {
            let response = JobResponse { body: body.into(), ..JobResponse::default() };
            let read = read(&StoredJob { job: job(1), response: Some(response) }, Audience::Client);
            assert_eq!(read["response"]["body"], expected);
            assert_eq!(read["response"]["is_base64"], is_base64);
        }
    }
}
