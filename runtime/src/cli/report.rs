//! Reports how an invocation ended, to people or to a program.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;

use super::output;
use crate::body::Response;
use crate::context::Cause;
use crate::error::InvokeError;
use crate::escape::OneLine;
use crate::log;
use crate::outcome::{Outcome, Trap, Usage};

/// How an invocation ended, and what it used.
pub(crate) struct Report {
    function: String,
    usage: Usage,
    result: Result<http::Response<Bytes>, Outcome>,
}

/// The object that `--json` prints. Every key is always present; a missing
/// value is null.
#[derive(Serialize)]
struct Object<'a> {
    function: &'a str,
    outcome: &'a str,
    cause: Option<String>,
    /// The outcome in words, if there is no response.
    error: Option<String>,
    backtrace: Option<&'a [String]>,
    stderr: Option<&'a str>,
    status: Option<u16>,
    /// Every name with all its values.
    headers: Option<BTreeMap<&'a str, Vec<String>>>,
    body: Option<String>,
    /// `text` if the body is UTF-8, else `base64`.
    body_encoding: Option<&'a str>,
    wall_ms: f64,
    cpu_ms: f64,
    peak_memory_bytes: u64,
}

impl Report {
    pub(crate) async fn of_response(function: &str, response: Response) -> anyhow::Result<Self> {
        let (head, body) = response.into_parts();
        let usage = head.extensions.get::<Usage>().copied().unwrap_or_default();
        let body = body
            .bytes()
            .await
            .map_err(|error| anyhow!("the response broke off: {}", OneLine(error)))?;
        let response = http::Response::from_parts(head, body);
        Ok(Self { function: function.to_owned(), usage, result: Ok(response) })
    }

    pub(crate) fn of_failure(error: &InvokeError) -> Self {
        Self {
            function: error.function().to_owned(),
            usage: error.usage(),
            result: Err(error.outcome().clone()),
        }
    }

    /// Prints the body, escaped if standard output is a terminal, and
    /// everything else to standard error.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        match &self.result {
            Ok(response) => {
                output::body(response.body())?;
                if !response.status().is_success() {
                    output::message(&format!("status: {}", response.status()));
                }
                Ok(())
            }
            Err(outcome) => bail!(self.failure(outcome)),
        }
    }

    /// Prints one JSON object, also if there is no response; then it fails
    /// afterwards.
    pub(crate) fn print_json(&self) -> anyhow::Result<()> {
        output::json(&serde_json::to_string(&self.object())?)?;
        match &self.result {
            Ok(_) => Ok(()),
            Err(outcome) => bail!("function `{}`: {outcome}", self.function),
        }
    }

    fn failure(&self, outcome: &Outcome) -> String {
        let mut text = format!("function `{}`: {outcome}", self.function);
        if let Outcome::Trap(trap) = outcome {
            describe(&mut text, trap);
        }
        let Usage { wall, cpu, peak_memory, .. } = self.usage;
        let _ = write!(
            text,
            "\noutcome {}, after {wall:.1?} with {cpu:.1?} of processor time and {} KiB of memory",
            outcome.name(),
            peak_memory.div_ceil(1 << 10)
        );
        text
    }

    fn object(&self) -> Object<'_> {
        let (response, outcome) = (self.result.as_ref().ok(), self.result.as_ref().err());
        let trap = match outcome {
            Some(Outcome::Trap(trap)) => Some(trap),
            _ => None,
        };
        let body = response.map(|response| encoded(response.body()));
        Object {
            function: &self.function,
            outcome: outcome.unwrap_or(&Outcome::Response).name(),
            cause: outcome.and_then(Outcome::cause).map(Cause::to_string),
            error: outcome.map(Outcome::to_string),
            backtrace: trap.map(|trap| &*trap.backtrace),
            stderr: trap.map(|trap| &*trap.stderr),
            status: response.map(|response| response.status().as_u16()),
            headers: response.map(|response| by_name(response.headers())),
            body_encoding: body.as_ref().map(|(_, encoding)| *encoding),
            body: body.map(|(body, _)| body),
            wall_ms: self.usage.wall.as_secs_f64() * 1e3,
            cpu_ms: self.usage.cpu.as_secs_f64() * 1e3,
            peak_memory_bytes: self.usage.peak_memory,
        }
    }
}

/// Describes where the guest trapped, and its last output.
fn describe(text: &mut String, trap: &Trap) {
    if !trap.backtrace.is_empty() {
        text.push_str("\nthe guest's functions, innermost first:");
    }
    for name in &trap.backtrace {
        let _ = write!(text, "\n  {}", OneLine(name));
    }
    // The log already contains the guest's output, unless the log filters it.
    if !log::is_stdio_logged() && !trap.stderr.is_empty() {
        text.push_str("\nits standard error:");
        for line in trap.stderr.lines() {
            let _ = write!(text, "\n  {}", OneLine(line));
        }
    }
}

fn by_name(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        names.entry(name.as_str()).or_default().push(value);
    }
    names
}

/// A body as a JSON string, and the encoding used.
fn encoded(body: &[u8]) -> (String, &'static str) {
    match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), "text"),
        Err(_) => (STANDARD.encode(body), "base64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_told_apart() {
        assert_eq!(encoded("grün".as_bytes()), ("grün".to_owned(), "text"));
        assert_eq!(encoded(b"\xff\xfe"), ("//4=".to_owned(), "base64"));
    }
}
