//! The attributes of spans: those of the semantic conventions for HTTP and FaaS
//! where there is one, and else names that begin with `hourglass.`.
//!
//! Durations are in seconds, sizes in bytes. Source:
//! <https://opentelemetry.io/docs/specs/semconv/>, version 1.37.

use std::time::{Duration, SystemTime};

use http::Version;
use opentelemetry::trace::{SpanKind as Kind, Status};
use opentelemetry::{KeyValue, Value};

use crate::limits::fixed;
use crate::outcome::{Outcome, Usage};
use crate::telemetry::recorder::{Recording, RequestSpan, Span, SpanDone, SpanKind};

/// A method that is not a common one.
pub(super) const OTHER: &str = "_OTHER";

fn pair(name: &'static str, value: impl Into<Value>) -> KeyValue {
    KeyValue::new(name, value)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Of a client's request.
pub(super) fn request(request: &RequestSpan, recording: &Recording) -> Vec<KeyValue> {
    let Recording { root, request_id, principal, .. } = recording;
    let original = recording.method.as_deref();
    let method = method(original);
    let path = recording.path.as_deref().unwrap_or_default();
    let (path, query) =
        path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut all = vec![
        pair("http.request.method", method),
        pair("url.scheme", if request.is_encrypted { "https" } else { "http" }),
        pair("url.path", path.to_owned()),
        pair("network.protocol.version", version(request.version)),
        pair("faas.trigger", "http"),
    ];
    let mut text = |name, value: Option<String>| all.extend(value.map(|value| pair(name, value)));
    text("http.request.method_original", original.filter(|_| method == OTHER).map(str::to_owned));
    text("url.query", query.map(str::to_owned));
    text("http.route", request.route.as_ref().map(|route| route.to_string()));
    text("client.address", request.client.map(|client| client.to_string()));
    text("hourglass.request_id", request_id.clone());
    text("user.id", principal.clone());
    all.extend(root.status.map(|status| pair("http.response.status_code", i64::from(status))));
    all.extend(error_type(root));
    all
}

/// Of a call.
pub(super) fn call(span: &Span) -> Vec<KeyValue> {
    let mut all = vec![
        pair("faas.invoked_name", span.name.to_string()),
        pair("faas.invoked_provider", "hourglass"),
        pair("hourglass.outcome", span.outcome),
    ];
    all.extend(error_type(span));
    all
}

/// Of an invocation or a host function.
pub(super) fn invocation(span: &Span, kind: &Kind) -> Vec<KeyValue> {
    let Usage { queue, checkout, grace, cpu, peak_memory, .. } = span.usage;
    let mut all = vec![pair("faas.name", span.name.to_string())];
    all.extend(span.version.as_deref().map(|version| pair("faas.version", version.to_owned())));
    all.extend(span.id.map(|id| pair("faas.invocation_id", id.to_string())));
    if span.kind == SpanKind::Invocation {
        let trigger = if *kind == Kind::Internal { "http" } else { "other" };
        all.extend([
            pair("faas.trigger", trigger),
            pair("hourglass.queue", seconds(queue)),
            pair("hourglass.checkout", seconds(checkout)),
            pair("hourglass.run", seconds(span.usage.run())),
            pair("hourglass.grace", seconds(grace)),
            pair("hourglass.cpu", seconds(cpu)),
            pair("hourglass.peak_memory", int(peak_memory)),
            pair("hourglass.request_bytes", int(span.usage.request_bytes)),
            pair("hourglass.response_bytes", int(span.usage.response_bytes)),
        ]);
    }
    all
}

/// Of a request to another host.
pub(super) fn fetch(span: &Span, method: &'static str, host: &str) -> Vec<KeyValue> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, port.parse::<i64>().ok())
        }
        _ => (host, None),
    };
    let mut all = vec![
        pair("http.request.method", method),
        pair("server.address", name.to_owned()),
        pair("hourglass.response_bytes", int(span.usage.response_bytes)),
    ];
    all.extend(port.map(|port| pair("server.port", port)));
    all
}

/// Of every step: how it ended, and the time that it had.
pub(super) fn step(span: &Span, deadline: Option<SystemTime>) -> Vec<KeyValue> {
    let mut all = vec![pair("hourglass.outcome", span.outcome)];
    all.extend(span.status.map(|status| pair("http.response.status_code", i64::from(status))));
    all.extend(span.done.as_ref().map(|done| pair("hourglass.cause", done.cause.name())));
    if let (Some(at), Some(deadline)) = (span.deadline, deadline) {
        let remaining = at.saturating_duration_since(span.started);
        all.push(pair(
            "hourglass.deadline",
            humantime::format_rfc3339_micros(deadline).to_string(),
        ));
        all.push(pair("hourglass.deadline.remaining", seconds(remaining)));
    }
    all.extend(error_type(span));
    all
}

/// Of the moment at which a context was done.
pub(super) fn done(done: &SpanDone) -> Vec<KeyValue> {
    let text = fixed::display(&done.cause, fixed::TEXT);
    vec![pair("hourglass.cause", done.cause.name()), pair("hourglass.cause.text", text)]
}

/// The spans and log lines of a request that exceeded its bounds.
pub(super) fn left_out(count: u64) -> KeyValue {
    pair("hourglass.left_out", int(count))
}

/// Whether a request failed, and why. An error of the client is not one of the
/// server.
pub(super) fn request_status(root: &Span) -> Status {
    match root.status {
        Some(400..500) if root.outcome != Outcome::Response.name() => Status::Unset,
        _ => status(root),
    }
}

/// Whether a step failed, and why.
pub(super) fn status(span: &Span) -> Status {
    if !span.is_failed() {
        return Status::Unset;
    }
    let text = span.message.as_deref().map(str::to_owned);
    Status::error(text.unwrap_or_else(|| format!("status {}", span.status.unwrap_or_default())))
}

/// The class of a failure: the outcome, or the status of a response.
fn error_type(span: &Span) -> Option<KeyValue> {
    let is_response = span.outcome == Outcome::Response.name();
    span.is_failed().then(|| match span.status {
        Some(status) if is_response => pair("error.type", status.to_string()),
        _ => pair("error.type", span.outcome),
    })
}

/// The method if it is a common one, else [`OTHER`].
pub(super) fn method(method: Option<&str>) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| Some(*known) == method).unwrap_or(OTHER)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
