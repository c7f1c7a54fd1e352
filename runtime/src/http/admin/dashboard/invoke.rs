//! Runs a function once, for an operator.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};

use super::time::micros;
use crate::body::{Body, BodyError, REQUEST_ID, Response};
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::http::admin::endpoints::json;
use crate::http::problem;
use crate::runtime::Runtime;
use crate::telemetry::recorder::List;

/// The longest description of a request, and the longest body of a response
/// that is returned, in bytes.
const MAX_REQUEST: usize = 2 << 20;
const MAX_BODY: usize = 2 << 20;

/// The request that an operator describes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    #[serde(default = "get")]
    method: String,
    #[serde(default = "root")]
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    timeout_ms: Option<f64>,
}

/// How it ended.
#[derive(Default, Serialize)]
struct Answer {
    /// The id of its recording.
    request: Option<u64>,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    is_base64: bool,
    truncated: bool,
    duration_us: f64,
    outcome: &'static str,
    cause: Option<&'static str>,
    message: Option<String>,
}

fn get() -> String {
    "GET".into()
}

fn root() -> String {
    "/".into()
}

/// Runs the function of a name with the request that a body describes.
pub(in super::super) async fn run<B>(runtime: &Runtime, name: &str, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
{
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    // A page can't send this type to another origin without asking first.
    if !request.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        let detail = "the content-type has to be application/json";
        return problem::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_REQUEST).collect().await else {
        let detail = "the body broke off, or is longer than 2 MiB";
        return problem::refusal(StatusCode::PAYLOAD_TOO_LARGE, detail);
    };
    match parse(&body.to_bytes()) {
        Ok((request, timeout)) => json(&invoke(runtime, name, request, timeout).await),
        Err(detail) => problem::refusal(StatusCode::BAD_REQUEST, &detail),
    }
}

/// Parses a described request, and its timeout.
fn parse(body: &[u8]) -> Result<(Request<Body>, Option<Duration>), String> {
    let described: Described =
        serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))?;
    let Described { method, path, headers, body, timeout_ms } = described;
    let mut request = Request::new(Body::from(body));
    *request.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("no method is {method:?}"))?;
    *request.uri_mut() = match path.parse::<Uri>() {
        Ok(uri) if path.starts_with('/') => uri,
        _ => return Err(format!("{path:?} is no path; it starts with `/`")),
    };
    for (name, value) in headers {
        let bad = || format!("{name:?} is no header with a valid value");
        let known: HeaderName = name.parse().map_err(|_| bad())?;
        request.headers_mut().append(known, value.parse().map_err(|_| bad())?);
    }
    let timeout = timeout_ms.map(|timeout| {
        let timeout = Duration::try_from_secs_f64(timeout / 1e3).ok();
        timeout.ok_or("`timeout_ms` is no number of milliseconds")
    });
    Ok((request, timeout.transpose()?))
}

async fn invoke(
    runtime: &Runtime,
    name: &str,
    request: Request<Body>,
    timeout: Option<Duration>,
) -> Answer {
    let started = Instant::now();
    // The id is new with each invocation, so it finds the recording.
    let id = format!("dashboard-{}", crate::propagation::trace::Trace::root().span_id());
    let ctx = runtime.context().with_value(&REQUEST_ID, id.clone());
    let (ctx, cancel) = ctx.with_timeout(timeout.unwrap_or(Duration::MAX));
    let ended = call(runtime, &ctx, name, request).await;
    cancel.cancel_with(Cause::ParentDone);
    let duration_us = micros(started.elapsed());
    let is_own = |own: &Option<String>| own.as_ref() == Some(&id);
    let recordings = runtime.recorder().list(List::Recent, 1, |one| is_own(&one.request_id));
    let request = recordings.first().and_then(|recording| recording.root.id);
    Answer { request, duration_us, ..answer(ended) }
}

async fn call(
    runtime: &Runtime,
    ctx: &Context,
    name: &str,
    request: Request<Body>,
) -> Result<(StatusCode, HeaderMap, Bytes), InvokeError> {
    let (head, body) = runtime.invoke_recorded(ctx, name, request).await?.into_parts();
    // It is whole.
    Ok((head.status, head.headers, body.bytes().await.unwrap_or_default()))
}

fn answer(ended: Result<(StatusCode, HeaderMap, Bytes), InvokeError>) -> Answer {
    match ended {
        Ok((status, headers, mut body)) => {
            let truncated = body.len() > MAX_BODY;
            body.truncate(MAX_BODY);
            let text = str::from_utf8(&body).ok();
            let value =
                |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers = headers.iter().map(|(name, text)| (name.to_string(), value(text)));
            Answer {
                status: status.as_u16(),
                headers: headers.collect(),
                is_base64: text.is_none(),
                body: text.map_or_else(|| BASE64_STANDARD.encode(&body), str::to_owned),
                truncated,
                outcome: "response",
                ..Answer::default()
            }
        }
        Err(error) => {
            let outcome = error.outcome();
            Answer {
                status: outcome.status().as_u16(),
                outcome: outcome.name(),
                cause: outcome.cause().map(Cause::name),
                message: Some(outcome.to_string()),
                ..Answer::default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_request_has_defaults() {
        let (request, timeout) = parse(b"{}").expect("a request");
        assert_eq!((request.method(), request.uri().path(), timeout), (&Method::GET, "/", None));
        let described = br#"{"method":"PUT","path":"/a?b","headers":[["a","1"],["a","2"]],"body":"x","timeout_ms":1.5}"#;
        let (request, timeout) = parse(described).expect("a request");
        assert_eq!((request.method(), request.uri().query()), (&Method::PUT, Some("b")));
        assert_eq!(request.headers().get_all("a").iter().count(), 2);
        assert_eq!(timeout, Some(Duration::from_micros(1_500)));
    }

    #[test]
    fn what_is_wrong_with_it_is_said() {
        for (described, reason) in [
            ("", "the body"),
            (r#"{"verb":"GET"}"#, "unknown field `verb`"),
            (r#"{"method":"G T"}"#, "no method"),
            (r#"{"path":"http://a/"}"#, "starts with `/`"),
            (r#"{"path":"/ "}"#, "no path"),
            (r#"{"headers":[["a b","1"]]}"#, "no header"),
            (r#"{"headers":[["a","\n"]]}"#, "no header"),
            (r#"{"timeout_ms":-1}"#, "`timeout_ms`"),
        ] {
            let error = parse(described.as_bytes()).expect_err(described);
            assert!(error.contains(reason), "{described}: {error}");
        }
    }
}
