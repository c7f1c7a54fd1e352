//! A result as a line of JSON.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::job::Id;
use crate::body::Response;
use crate::error::InvokeError;
use crate::outcome::{Outcome, Usage};
use crate::tasks::TaskResult;

/// A line that is no usable job.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) id: Id,
    pub(crate) line: u64,
    pub(crate) outcome: Outcome,
}

/// How a job ended.
pub(crate) struct Ended {
    pub(crate) result: Result<Response, InvokeError>,
    /// Its attempts, with those of an earlier batch.
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
    pub(crate) took: Duration,
}

impl Ended {
    /// How it failed, if it did: its outcome, or a status from 400 on.
    #[cfg(feature = "cli")]
    pub(crate) fn failure(&self) -> Option<String> {
        match &self.result {
            Ok(response) => {
                let status = response.status().as_u16();
                (status >= 400).then(|| format!("status-{status}"))
            }
            Err(error) => Some(error.outcome().name().to_owned()),
        }
    }
}

/// Appends the line of a job's result.
#[cfg(feature = "cli")]
pub(crate) fn write(to: &mut Vec<u8>, line: u64, id: &Id, ended: Ended) {
    append(to, |to| id.write(line, to), line, ended);
}

/// Appends the line of a task's result. Its label is that of
/// [`Id::label`](super::job::Id::label).
pub(crate) fn write_task(to: &mut Vec<u8>, ended: TaskResult) {
    let TaskResult { label, result, attempts, earlier_attempts, waited, took, .. } = ended;
    let (line, id) = label.split_once(' ').unwrap_or(("0", "null"));
    let attempts = attempts.saturating_add(earlier_attempts);
    let (line, ended) =
        (line.parse().unwrap_or_default(), Ended { result, attempts, waited, took });
    append(to, |to| to.extend_from_slice(id.as_bytes()), line, ended);
}

/// Appends the line of a job that can't be run.
pub(crate) fn write_rejected(to: &mut Vec<u8>, rejected: &Rejected) {
    let Rejected { id, line, outcome } = rejected;
    let mut fields = Fields::begin(to, |to| id.write(*line, to));
    fields.add("line", line);
    fields.add_outcome(outcome);
    fields.add("attempts", &0);
    for time in ["waited_ms", "took_ms", "cpu_ms"] {
        fields.add(time, &0.0);
    }
    fields.end();
}

fn append(to: &mut Vec<u8>, id: impl FnOnce(&mut Vec<u8>), line: u64, ended: Ended) {
    let Ended { result, attempts, waited, took } = ended;
    let mut fields = Fields::begin(to, id);
    fields.add("line", &line);
    let usage = match &result {
        Ok(response) => {
            fields.add_outcome(&Outcome::Response);
            fields.add("status", &response.status().as_u16());
            response.extensions().get::<Usage>().copied().unwrap_or_default()
        }
        Err(error) => {
            fields.add_outcome(error.outcome());
            error.usage()
        }
    };
    fields.add("attempts", &attempts);
    fields.add("waited_ms", &millis(waited));
    fields.add("took_ms", &millis(took));
    fields.add("cpu_ms", &millis(usage.cpu));
    if let Ok(response) = result {
        let bytes = response.into_body().whole().unwrap_or_default();
        match std::str::from_utf8(&bytes) {
            Ok(text) => fields.add("body", text),
            Err(_) => {
                fields.add("body", &STANDARD.encode(&bytes));
                fields.add("body_encoding", "base64");
            }
        }
    }
    fields.end();
}

/// The fields of a line. They are written one by one, without a search for
/// characters in their names that would have to be escaped.
struct Fields<'a>(&'a mut Vec<u8>);

impl<'a> Fields<'a> {
    /// Begins a line. `id` appends the id of the job as JSON.
    fn begin(to: &'a mut Vec<u8>, id: impl FnOnce(&mut Vec<u8>)) -> Self {
        to.extend_from_slice(b"{\"id\":");
        id(to);
        Self(to)
    }

    fn add(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        // Serializing texts and numbers to memory can't fail.
        let _ = serde_json::to_writer(&mut *self.0, value);
    }

    /// Adds how a job ended, with the cause and the error if there are any.
    fn add_outcome(&mut self, outcome: &Outcome) {
        self.add("outcome", outcome.name());
        if let Some(cause) = outcome.cause() {
            self.add("cause", &cause.to_string());
        }
        if !matches!(outcome, Outcome::Response) {
            self.add("error", &outcome.to_string());
        }
    }

    fn end(self) {
        self.0.extend_from_slice(b"}\n");
    }
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}
