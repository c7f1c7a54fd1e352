//! The problem document that a client gets instead of a response: RFC 9457,
//! with the outcome's name, the function and the request's id.
//!
//! It describes the failure in general terms. The guest's backtrace, its output
//! and the host's internals appear only in the log.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use crate::body::Response;
use crate::context::{Cause, Done};
use crate::error::InvokeError;
use crate::outcome::Outcome;

/// Seconds after which a client may retry if the host was full.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The description of an outcome that a client may see.
fn detail(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotFound => "no route or function at this path".into(),
        Outcome::Trap(_) => "the function crashed".into(),
        Outcome::Exit(_) => "the function gave up".into(),
        Outcome::OutOfMemory { .. } => "the function ran out of memory".into(),
        Outcome::BadResponse(_) => "the function gave no usable response".into(),
        Outcome::BadRequest(_) => "the request's body broke off or was malformed".into(),
        Outcome::Host(_) => "the host failed".into(),
        Outcome::Done(Done::DeadlineExceeded, _) => {
            "the function did not answer before its deadline".into()
        }
        Outcome::Done(..) => "the invocation was canceled".into(),
        others => others.to_string(),
    }
}

/// The document for a failed invocation.
pub(super) fn response(error: &InvokeError, request_id: &str) -> Response {
    let outcome = error.outcome();
    let about = Invocation {
        outcome: outcome.name(),
        function: error.function(),
        request_id,
        cause: outcome.cause().map(Cause::name),
    };
    document(outcome.status(), &detail(outcome), Some(about))
}

/// The document for a request without an invocation.
pub(super) fn refusal(status: StatusCode, detail: &str) -> Response {
    document(status, detail, None)
}

/// The members of the document.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    about: Option<Invocation<'a>>,
}

/// The members added for a failed invocation.
#[derive(Serialize)]
struct Invocation<'a> {
    outcome: &'a str,
    function: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

fn document(status: StatusCode, detail: &str, about: Option<Invocation<'_>>) -> Response {
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Client Closed Request"),
        status: status.as_u16(),
        detail,
        about,
    };
    // Serializing these members to JSON can't fail.
    let mut body = serde_json::to_vec(&problem).unwrap_or_default();
    body.push(b'\n');
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::outcome::Usage;

    async fn read(response: Response) -> Value {
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().bytes().await.expect("a whole body");
        serde_json::from_slice(&body).expect("JSON")
    }

    #[tokio::test]
    async fn a_document_is_json_whatever_the_name_holds() {
        let name = "a\"b\\c\u{1}\u{7f}ü";
        let error = InvokeError::new(name.into(), Outcome::NotFound, Usage::default());
        let expected = json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "no route or function at this path",
            "outcome": "not-found",
            "function": name,
            "request_id": "id-1",
        });
        assert_eq!(read(response(&error, "id-1")).await, expected);
    }

    #[tokio::test]
    async fn a_cause_is_told_where_there_is_one() {
        let outcome = Outcome::Done(Done::Canceled, Cause::Operator);
        let error = InvokeError::new("f".into(), outcome, Usage::default());
        assert_eq!(read(response(&error, "")).await["cause"], "operator");
    }

    #[tokio::test]
    async fn what_is_about_no_invocation_names_none() {
        let problem = read(refusal(StatusCode::FORBIDDEN, "not you")).await;
        let expected = json!({
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "detail": "not you",
        });
        assert_eq!(problem, expected);
    }
}
