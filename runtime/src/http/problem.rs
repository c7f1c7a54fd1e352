//! The document that a client gets where there is no response: RFC 9457, with
//! the outcome's name, the function and the request's id.
//!
//! It says what happened in general terms. The guest's backtrace, its output
//! and the host's internals go to the log alone.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use crate::context::{Cause, Done};
use crate::error::InvokeError;
use crate::message::Response;
use crate::outcome::Outcome;

/// After how many seconds a client may try again where the host was full.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The status that stands for an outcome.
pub(super) fn status(outcome: &Outcome) -> StatusCode {
    match outcome {
        Outcome::Response => StatusCode::OK,
        Outcome::NotFound => StatusCode::NOT_FOUND,
        Outcome::Busy | Outcome::Draining => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Done(Done::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        // Nobody is left to read it, but logs and metrics do.
        Outcome::Done(_, Cause::ClientDisconnected) => client_closed_request(),
        Outcome::Done(..) => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Trap(_) | Outcome::Exit(_) | Outcome::OutOfMemory { .. } | Outcome::Host(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Outcome::BadResponse(_) => StatusCode::BAD_GATEWAY,
        Outcome::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        // How a function's calls may end; no client's request does.
        Outcome::Forbidden => StatusCode::FORBIDDEN,
        Outcome::DepthExceeded { .. } | Outcome::CallsExceeded { .. } => StatusCode::LOOP_DETECTED,
        Outcome::ResponseTooLarge { .. } => StatusCode::BAD_GATEWAY,
        Outcome::BadRequest(_) => StatusCode::BAD_REQUEST,
    }
}

/// The status by which other hosts log a client that went away.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// What a client may know about an outcome.
fn detail(outcome: &Outcome) -> String {
    match outcome {
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
    let status = status(outcome);
    let mut body = format!(
        r#"{{"type":"about:blank","title":{},"status":{},"detail":{},"outcome":"{}","function":{},"request_id":{}"#,
        quoted(status.canonical_reason().unwrap_or("Client Closed Request")),
        status.as_u16(),
        quoted(&detail(outcome)),
        outcome.name(),
        quoted(error.function()),
        quoted(request_id),
    );
    if let Some(cause) = outcome.cause() {
        body.push_str(&format!(r#","cause":"{}""#, cause.name()));
    }
    body.push_str("}\n");
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Usage;

    #[test]
    fn a_document_is_json_whatever_the_name_holds() {
        let name = "a\"b\\c\u{1}\u{7f}ü";
        let error = InvokeError::new(name.into(), Outcome::NotFound, Usage::default());
        let response = response(&error, "id-1");
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn quoting_escapes() {
        assert_eq!(quoted("a\"\\\n"), r#""a\"\\\u000a""#);
    }
}
