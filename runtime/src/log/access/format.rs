//! A record as a line.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::AccessFormat;
use super::record::AccessRecord;
use crate::escape::{self, OneLine};
use crate::limits::fixed;
use crate::outcome::Usage;

/// The target of the records, for filters.
pub(super) const TARGET: &str = "hourglass::access";

/// The longest path of a line, in bytes. A longer one is cut.
const PATH: usize = 2 << 10;

/// Appends the line of a record.
pub(super) fn write(
    line: &mut Vec<u8>,
    format: AccessFormat,
    record: &AccessRecord,
    status: u16,
    usage: Option<&Usage>,
) {
    let now = SystemTime::now();
    match format {
        AccessFormat::Json => json(line, now, record, status, usage),
        AccessFormat::Text => text(line, now, record, status, usage),
        AccessFormat::Compact { color } => compact(line, now, color, record, status),
    }
    line.push(b'\n');
}

/// Appends a line that says how many records are missing.
pub(super) fn left_out(line: &mut Vec<u8>, format: AccessFormat, records: u64) {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    let text = "(records are left out: the access log is written too slowly)";
    // Writing to a vector does not fail, here and below.
    let _ = match format {
        AccessFormat::Json => writeln!(
            line,
            "{{\"timestamp\":\"{now}\",\"level\":\"WARN\",\"message\":\"{text}\",\
             \"records\":{records},\"target\":\"{TARGET}\"}}"
        ),
        _ => writeln!(line, "{now}  WARN {TARGET}: {text} records={records}"),
    };
}

/// The durations of a request by their names.
fn durations(
    record: &AccessRecord,
    usage: Option<&Usage>,
) -> [(&'static str, Option<Duration>); 6] {
    let of = |each: fn(&Usage) -> Duration| usage.map(each);
    [
        ("wall", Some(record.wall())),
        ("queue", of(|usage| usage.queue)),
        ("checkout", of(|usage| usage.checkout)),
        ("run", of(Usage::run)),
        ("grace", of(|usage| usage.grace)),
        ("cpu", of(|usage| usage.cpu)),
    ]
}

/// The bytes of the request's body and of the response's.
fn bytes(record: &AccessRecord, usage: Option<&Usage>) -> (u64, u64) {
    match usage {
        Some(usage) => (usage.request_bytes, usage.response_bytes),
        None => (0, record.document.unwrap_or(0)),
    }
}

fn text(
    line: &mut Vec<u8>,
    now: SystemTime,
    record: &AccessRecord,
    status: u16,
    usage: Option<&Usage>,
) {
    let path = fixed::cut(record.path(), PATH);
    let _ = write!(
        line,
        "{}  INFO {TARGET}: {} {} {:?} {status}",
        humantime::format_rfc3339_micros(now),
        OneLine(&record.method),
        OneLine(&path),
        record.protocol,
    );
    let mut field = |name, value: Option<&dyn Display>| {
        if let Some(value) = value {
            let _ = write!(line, " {name}={}", OneLine(value));
        }
    };
    let dynamic = |value: &Option<_>| value.as_ref().map(|value: &&'static str| *value);
    field("function", record.function.as_ref().map(|name| name as _));
    field("version", record.version.as_ref().map(|version| version as _));
    field("route", record.route.as_ref().map(|route| route as _));
    field("outcome", dynamic(&record.outcome).as_ref().map(|name| name as _));
    field("cause", dynamic(&record.cause).as_ref().map(|name| name as _));
    for (name, duration) in durations(record, usage) {
        let shown = duration.map(|duration| format_args!("{duration:?}").to_string());
        field(name, shown.as_ref().map(|shown| shown as _));
    }
    let (request, response) = bytes(record, usage);
    field("request_bytes", Some(&request));
    field("response_bytes", Some(&response));
    field("request_id", record.request_id.to_str().ok().as_ref().map(|id| id as _));
    let (trace, span) = (record.trace.map(|t| t.trace_id()), record.trace.map(|t| t.span_id()));
    field("trace_id", trace.as_ref().map(|id| id as _));
    field("span_id", span.as_ref().map(|id| id as _));
    field("principal", record.principal.as_ref().map(|name| name as _));
    field("client", record.client.as_ref().map(|client| client as _));
}

fn json(
    line: &mut Vec<u8>,
    now: SystemTime,
    record: &AccessRecord,
    status: u16,
    usage: Option<&Usage>,
) {
    let start = line.len();
    let _ = write!(line, "{{\"timestamp\":\"{}\"", humantime::format_rfc3339_micros(now));
    let (request, response) = bytes(record, usage);
    member(line, "level", "INFO");
    member(line, "method", record.method.as_str());
    member(line, "path", fixed::cut(record.path(), PATH));
    let _ = write!(line, ",\"protocol\":\"{:?}\",\"status\":{status}", record.protocol);
    member(line, "function", record.function.as_deref());
    member(line, "version", record.version.as_deref());
    member(line, "route", record.route.as_deref());
    member(line, "outcome", record.outcome);
    member(line, "cause", record.cause);
    for (name, duration) in durations(record, usage) {
        let micros = duration.map(|duration| duration.as_nanos() as f64 / 1e3);
        let _ = match micros {
            Some(micros) => write!(line, ",\"{name}_us\":{micros}"),
            None => write!(line, ",\"{name}_us\":null"),
        };
    }
    let _ = write!(line, ",\"request_bytes\":{request},\"response_bytes\":{response}");
    member(line, "request_id", record.request_id.to_str().ok());
    member(line, "trace_id", record.trace.map(|trace| trace.trace_id().to_string()));
    member(line, "span_id", record.trace.map(|trace| trace.span_id().to_string()));
    member(line, "principal", record.principal.as_deref());
    member(line, "client", record.client);
    member(line, "target", TARGET);
    line.push(b'}');
    if !line[start..].is_ascii() {
        let escaped = escape::json(&String::from_utf8_lossy(&line[start..]));
        line.truncate(start);
        line.extend_from_slice(escaped.as_bytes());
    }
}

/// Appends a member of an object that has one already.
fn member(line: &mut Vec<u8>, name: &str, value: impl Serialize) {
    let _ = write!(line, ",\"{name}\":");
    // Serializing texts and addresses to a vector can't fail.
    let _ = serde_json::to_writer(line, &value);
}

fn compact(line: &mut Vec<u8>, now: SystemTime, color: bool, record: &AccessRecord, status: u16) {
    let (gray, reset) = if color { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
    let shade = match status {
        _ if !color => "",
        ..400 => "\u{1b}[32m",
        400..500 => "\u{1b}[33m",
        _ => "\u{1b}[31m",
    };
    let time = humantime::format_rfc3339_seconds(now).to_string();
    let _ = write!(
        line,
        "{gray}{}{reset} {shade}{status}{reset} {} {} {gray}{}",
        time.get(11..19).unwrap_or_default(),
        OneLine(&record.method),
        OneLine(fixed::cut(record.path(), fixed::TEXT)),
        duration(record.wall()),
    );
    if let Some(function) = &record.function {
        let _ = write!(line, " {function}");
    }
    line.extend_from_slice(reset.as_bytes());
    // The status says the rest.
    if let (true, Some(outcome)) = (record.is_failed(status), record.outcome) {
        let _ = write!(line, " {shade}{outcome}{reset}");
        if let Some(cause) = record.cause.filter(|cause| *cause != outcome) {
            let _ = write!(line, " ({cause})");
        }
    }
}

/// A duration in three digits.
fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..10_000 => format!("{:.2}ms", micros as f64 / 1e3),
        10_000..100_000 => format!("{:.1}ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{}ms", micros / 1_000),
        _ => format!("{:.2}s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};
    use serde_json::Value;

    use super::*;
    use crate::body::PRINCIPAL;
    use crate::context::{Cause, Context, Done};
    use crate::outcome::Outcome;

    fn record(path: &str, outcome: Outcome) -> AccessRecord {
        let request = Request::get(path).body(()).expect("a request");
        let id = HeaderValue::from_static("the-id");
        let mut record = AccessRecord::new(&request, &Context::background(), &id);
        record.set_function(&"hello".into(), &"0123456789ab".into());
        record.set_outcome(&outcome);
        record
    }

    fn written(format: AccessFormat, record: &AccessRecord, status: u16) -> String {
        let usage = Usage {
            wall: Duration::from_micros(100),
            checkout: Duration::from_micros(60),
            response_bytes: 5,
            ..Usage::default()
        };
        let mut line = Vec::new();
        write(&mut line, format, record, status, Some(&usage));
        String::from_utf8(line).expect("a text")
    }

    #[test]
    fn json_has_every_member() {
        let canceled = Outcome::Done(Done::Canceled, Cause::ClientDisconnected);
        let line = written(AccessFormat::Json, &record("/a?b=%22'", canceled), 499);
        let value: Value = serde_json::from_str(&line).expect("an object");
        assert_eq!((&value["path"], &value["status"]), (&"/a?b=%22'".into(), &499.into()));
        assert_eq!(
            (&value["outcome"], &value["cause"]),
            (&"canceled".into(), &"client-disconnected".into())
        );
        assert_eq!((&value["checkout_us"], &value["run_us"]), (&60.into(), &40.into()));
        assert_eq!(
            (&value["function"], &value["version"]),
            (&"hello".into(), &"0123456789ab".into())
        );
        assert_eq!((&value["response_bytes"], &value["trace_id"]), (&5.into(), &Value::Null));
        assert_eq!(
            (&value["request_id"], &value["protocol"]),
            (&"the-id".into(), &"HTTP/1.1".into())
        );
    }

    #[test]
    fn text_has_what_is_known() {
        let line = written(AccessFormat::Text, &record("/a", Outcome::Response), 200);
        let (time, rest) = line.split_once("  INFO ").expect("a level");
        assert!(time.ends_with('Z') && time.len() == 27, "{time}");
        assert!(
            rest.starts_with(
                "hourglass::access: GET /a HTTP/1.1 200 function=hello \
                 version=0123456789ab outcome=response wall="
            ),
            "{rest}"
        );
        assert!(
            rest.contains(" checkout=60µs run=40µs ") && rest.contains(" request_id=the-id"),
            "{rest}"
        );
        assert!(!rest.contains("cause=") && !rest.contains("trace_id="), "{rest}");
    }

    #[test]
    fn a_compact_line_is_for_a_terminal() {
        let done = Outcome::Done(Done::DeadlineExceeded, Cause::DeadlineExceeded);
        let line =
            written(AccessFormat::Compact { color: false }, &record("/a", done.clone()), 504);
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[1..4], ["504", "GET", "/a"], "{line}");
        assert_eq!(words[5..], ["hello", "deadline-exceeded"], "{line}");
        let line = written(AccessFormat::Compact { color: true }, &record("/a", done), 504);
        assert!(line.contains("\u{1b}[31m504\u{1b}[0m"), "{line:?}");
    }

    #[test]
    fn what_a_client_sends_is_cut() {
        let long = "x".repeat(10_000);
        let path = format!("/{long}");
        let ctx = Context::background().with_value(&PRINCIPAL, long);
        for format in
            [AccessFormat::Json, AccessFormat::Text, AccessFormat::Compact { color: false }]
        {
            let mut record = record(&path, Outcome::Response);
            record.set_context(&ctx, None);
            let line = written(format, &record, 200);
            assert!(line.len() < PATH + 1_000, "{}", line.len());
        }
    }

    #[test]
    fn a_duration_has_three_digits() {
        for (micros, shown) in [
            (7, "7us"),
            (999, "999us"),
            (1_234, "1.23ms"),
            (12_345, "12.3ms"),
            (123_456, "123ms"),
            (12_345_678, "12.35s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), shown);
        }
    }
}
