//! A result as a line of JSON.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::job::Id;
use crate::outcome::{Outcome, Usage};
use crate::tasks::TaskResult;

/// The object behind the `id`. A key without a value is left out.
#[derive(Serialize)]
struct Record<'a> {
    line: u64,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    attempts: u32,
    waited_ms: f64,
    took_ms: f64,
    cpu_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// Only `base64`, if the body is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_encoding: Option<&'a str>,
}

/// A line that is no usable job.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) id: Id,
    pub(crate) line: u64,
    pub(crate) outcome: Outcome,
}

/// Appends the line of a task's result. Its label is that of
/// [`Id::label`](super::job::Id::label).
pub(crate) fn write(to: &mut Vec<u8>, ended: TaskResult) {
    let (line, id) = ended.label.split_once(' ').unwrap_or(("0", "null"));
    let (mut encoded, bytes);
    let (mut body, mut body_encoding, mut status) = (None, None, None);
    let (outcome, usage) = match ended.result {
        Ok(response) => {
            status = Some(response.status().as_u16());
            let usage = response.extensions().get::<Usage>().copied().unwrap_or_default();
            bytes = response.into_body().whole().unwrap_or_default();
            body = std::str::from_utf8(&bytes).ok();
            if body.is_none() {
                encoded = String::new();
                STANDARD.encode_string(&bytes, &mut encoded);
                (body, body_encoding) = (Some(&*encoded), Some("base64"));
            }
            (Outcome::Response, usage)
        }
        Err(error) => (error.outcome().clone(), error.usage()),
    };
    let record = Record {
        line: line.parse().unwrap_or_default(),
        outcome: outcome.name(),
        cause: outcome.cause().map(ToString::to_string),
        error: failure(&outcome),
        status,
        attempts: ended.attempts.saturating_add(ended.earlier_attempts),
        waited_ms: millis(ended.waited),
        took_ms: millis(ended.took),
        cpu_ms: millis(usage.cpu),
        body,
        body_encoding,
    };
    append(to, id, &record);
}

/// Appends the line of a job that can't be run.
pub(crate) fn write_rejected(to: &mut Vec<u8>, rejected: &Rejected) {
    let Rejected { id, line, outcome } = rejected;
    let label = id.label(*line);
    let record = Record {
        line: *line,
        outcome: outcome.name(),
        cause: None,
        error: failure(outcome),
        status: None,
        attempts: 0,
        waited_ms: 0.0,
        took_ms: 0.0,
        cpu_ms: 0.0,
        body: None,
        body_encoding: None,
    };
    append(to, label.split_once(' ').map_or("null", |(_, id)| id), &record);
}

/// Appends a record behind its id, which is JSON already.
fn append(to: &mut Vec<u8>, id: &str, record: &Record<'_>) {
    to.extend_from_slice(b"{\"id\":");
    to.extend_from_slice(id.as_bytes());
    let brace = to.len();
    // Serializing texts and numbers to memory can't fail.
    let _ = serde_json::to_writer(&mut *to, record);
    if let Some(brace) = to.get_mut(brace) {
        *brace = b',';
    }
    to.push(b'\n');
}

fn failure(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Response => None,
        failure => Some(failure.to_string()),
    }
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}
