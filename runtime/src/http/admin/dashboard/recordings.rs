//! Recorded requests, as JSON.

use std::time::Instant;

use http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::time::{Clock, micros};
use crate::body::Response;
use crate::http::admin::endpoints::json;
use crate::http::problem;
use crate::runtime::Runtime;
use crate::telemetry::recorder::{List, LogLine, Recording, Span};

/// The most requests of one list.
const MAX: usize = 200;

/// A list of requests.
#[derive(Debug, Serialize)]
struct Requests {
    requests: Vec<Summary>,
}

/// A request in a list.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    id: Option<u64>,
    function: String,
    method: Option<String>,
    path: Option<String>,
    request_id: Option<String>,
    trace_id: Option<String>,
    principal: Option<String>,
    started: f64,
    duration_us: f64,
    outcome: &'static str,
    cause: Option<&'static str>,
    status: Option<u16>,
    /// Whether it, or anything that it started, has failed.
    is_failed: bool,
    span_count: usize,
}

/// A request with everything that it started.
#[derive(Debug, Serialize)]
struct Details {
    #[serde(flatten)]
    summary: Summary,
    spans: Vec<SpanDetails>,
    logs: Vec<LogDetails>,
    left_out: u64,
}

#[derive(Debug, Serialize)]
struct SpanDetails {
    id: i64,
    parent: Option<u64>,
    kind: &'static str,
    name: String,
    start_us: f64,
    end_us: f64,
    queue_us: f64,
    checkout_us: f64,
    grace_us: f64,
    deadline_us: Option<f64>,
    done_us: Option<f64>,
    done: Option<&'static str>,
    cause: Option<&'static str>,
    outcome: &'static str,
    message: Option<Box<str>>,
    status: Option<u16>,
    cpu_us: f64,
    peak_memory: u64,
    request_bytes: u64,
    response_bytes: u64,
    trace_id: Option<String>,
    span_id: Option<String>,
    /// The version of an invocation's function.
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct LogDetails {
    at_us: f64,
    span: Option<u64>,
    level: &'static str,
    source: Box<str>,
    text: Box<str>,
}

/// What a list is filtered by.
#[derive(Debug, Default)]
struct Filter {
    list: Option<List>,
    function: Option<String>,
    outcome: Option<String>,
    trace: Option<String>,
}

/// The list that a URL asks for.
pub(in super::super) fn list(runtime: &Runtime, uri: &Uri) -> Response {
    let filter = match Filter::parse(uri.query().unwrap_or_default()) {
        Ok(filter) => filter,
        Err(detail) => return problem::refusal(StatusCode::BAD_REQUEST, &detail),
    };
    let list = filter.list.unwrap_or(List::Recent);
    let recordings = runtime.recorder().list(list, MAX, |recording| filter.fits(recording));
    json(&Requests { requests: recordings.iter().map(|one| Summary::new(one)).collect() })
}

/// One request.
pub(in super::super) fn show(runtime: &Runtime, id: &str) -> Response {
    let recording = id.parse().ok().and_then(|id| runtime.recorder().find(id));
    match recording {
        Some(recording) => json(&Details::new(&recording)),
        None => {
            let detail = "this request is not kept, or not any more";
            problem::refusal(StatusCode::NOT_FOUND, detail)
        }
    }
}

impl Filter {
    /// Parses a query string.
    fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "list" => {
                    filter.list = Some(match &*value {
                        "recent" => List::Recent,
                        "slowest" => List::Slowest,
                        "failed" => List::Failed,
                        _ => return Err("`list` is recent, slowest or failed".into()),
                    });
                }
                "function" => filter.function = Some(value),
                "outcome" => filter.outcome = Some(value),
                "trace" => filter.trace = Some(value),
                _ => return Err("the parameters are list, function, outcome and trace".into()),
            }
        }
        Ok(filter)
    }

    fn fits(&self, recording: &Recording) -> bool {
        let (root, is) = (&recording.root, |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        });
        let trace = || root.trace.map(|trace| trace.trace_id().to_string()).unwrap_or_default();
        is(&self.function, &root.name)
            && is(&self.outcome, root.outcome)
            && (self.trace.is_none() || is(&self.trace, &trace()))
    }
}

impl Summary {
    pub(super) fn new(recording: &Recording) -> Self {
        let root = &recording.root;
        Self {
            id: root.id,
            function: root.name.to_string(),
            method: recording.method.as_ref().map(ToString::to_string),
            path: recording.path.as_deref().map(str::to_owned),
            request_id: recording.request_id.clone(),
            trace_id: root.trace.map(|trace| trace.trace_id().to_string()),
            principal: recording.principal.clone(),
            started: Clock::new(root.ended, recording.ended).at(root.started),
            duration_us: micros(root.duration()),
            outcome: root.outcome,
            cause: root.done.as_ref().map(|done| done.cause.name()),
            status: root.status,
            is_failed: recording.is_failed(),
            span_count: recording.span_count(),
        }
    }
}

impl Details {
    fn new(recording: &Recording) -> Self {
        let (start, rest) = (recording.root.started, recording.rest());
        let mut spans = rest.spans;
        spans.push(recording.root.clone());
        let spans = (1..).zip(spans).map(|(number, span)| SpanDetails::new(span, number, start));
        Self {
            summary: Summary::new(recording),
            spans: spans.collect(),
            logs: rest.lines.into_iter().map(|line| LogDetails::new(line, start)).collect(),
            left_out: rest.left_out,
        }
    }
}

/// The time from the start of a request until `at`.
fn since(start: Instant, at: Instant) -> f64 {
    micros(at.saturating_duration_since(start))
}

impl SpanDetails {
    /// A span of a request that began at `start`. A span without an id gets one
    /// from its `number`.
    fn new(span: Span, number: i64, start: Instant) -> Self {
        let (done, usage) = (span.done.as_ref(), &span.usage);
        Self {
            id: span.id.and_then(|id| id.try_into().ok()).unwrap_or(-number),
            parent: span.parent,
            kind: span.kind.name(),
            start_us: since(start, span.started),
            end_us: since(start, span.ended),
            queue_us: micros(usage.queue),
            checkout_us: micros(usage.checkout),
            grace_us: micros(usage.grace),
            deadline_us: span.deadline.map(|deadline| since(start, deadline)),
            done_us: done.map(|done| since(start, done.at)),
            done: done.map(|done| done.done.name()),
            cause: done.map(|done| done.cause.name()),
            outcome: span.outcome,
            status: span.status,
            cpu_us: micros(usage.cpu),
            peak_memory: usage.peak_memory,
            request_bytes: usage.request_bytes,
            response_bytes: usage.response_bytes,
            trace_id: span.trace.map(|trace| trace.trace_id().to_string()),
            span_id: span.trace.map(|trace| trace.span_id().to_string()),
            name: span.name.to_string(),
            version: span.version.as_deref().map(str::to_owned),
            message: span.message,
        }
    }
}

impl LogDetails {
    fn new(line: LogLine, start: Instant) -> Self {
        let LogLine { at, span, level, source, text } = line;
        Self { at_us: since(start, at), span, level: level.as_str(), source, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_checked() {
        let filter = Filter::parse("list=failed&function=a%2Db&").expect("a good query");
        assert_eq!((filter.list, filter.function.as_deref()), (Some(List::Failed), Some("a-b")));
        assert!(Filter::parse("list=best").is_err_and(|error| error.contains("slowest")));
        assert!(Filter::parse("func=a").is_err_and(|error| error.contains("function")));
    }

    #[test]
    fn filters_are_exact() {
        let now = Instant::now();
        let recording = Recording::new(Span::example(1, now, now, "trap"), None);
        let fits = |query| Filter::parse(query).expect("a good query").fits(&recording);
        assert!(fits("") && fits("function=f") && fits("function=f&outcome=trap"));
        assert!(!fits("function=ff") && !fits("outcome=response") && !fits("trace=0"));
    }
}
