//! From the events of `tracing` to log records.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{Key, SpanId, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::thread::is_exporting;
use crate::limits::fixed;
use crate::log::Logged;
use crate::telemetry::export_queue::{ExportQueue, ExportReceiver};
use crate::telemetry::exports::ExportResults;

/// The most log records that wait for the exporter, and the most bytes of them.
const WAITING: usize = 4_096;
const BYTES: usize = 16 << 20;

/// The bytes that a record or an attribute takes besides its texts.
const ENTRY: usize = 64;

/// The longest text of a record.
const TEXT: usize = 8 << 10;

/// The way of log records to the exporter.
pub(super) type LogQueue = ExportQueue<Box<SdkLogRecord>>;

/// A queue of log records.
pub(super) fn queue() -> (LogQueue, ExportReceiver<Box<SdkLogRecord>>) {
    ExportQueue::new(WAITING, BYTES)
}

/// A layer of a `tracing` subscriber that exports events as log records. See
/// [`Exporter::layer`](super::Exporter::layer).
#[derive(Debug)]
pub struct LogLayer {
    logger: SdkLogger,
    queue: LogQueue,
    results: Arc<ExportResults>,
}

impl LogLayer {
    pub(super) fn new(queue: LogQueue, results: Arc<ExportResults>) -> Self {
        // It only makes records.
        let logger = SdkLoggerProvider::builder().build().logger("hourglass");
        Self { logger, queue, results }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if is_exporting() {
            return;
        }
        let (mut record, now) = (self.logger.create_log_record(), SystemTime::now());
        let meta = event.metadata();
        record.set_target(meta.target());
        record.set_timestamp(now);
        record.set_observed_timestamp(now);
        let (severity, text) = severity(*meta.level());
        record.set_severity_number(severity);
        record.set_severity_text(text);
        let mut fields = Fields { record, trace: None, span: None, bytes: ENTRY };
        event.record(&mut fields);
        let Fields { mut record, trace, span, bytes } = fields;
        if let (Some(trace), Some(span)) = (trace, span) {
            record.set_trace_context(trace, span, None);
        }
        if !self.queue.put(Box::new(record), bytes) {
            self.results.logs.dropped(1);
        }
    }
}

/// A record, while the fields of its event are added.
struct Fields {
    record: SdkLogRecord,
    trace: Option<TraceId>,
    span: Option<SpanId>,
    /// About the bytes that it takes.
    bytes: usize,
}

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        self.bytes += ENTRY + text.len().min(TEXT);
        match field.name() {
            "message" => self.record.set_body(fixed::cut(text, TEXT).into_owned().into()),
            "trace_id" => self.trace = TraceId::from_hex(text).ok(),
            "span_id" => self.span = SpanId::from_hex(text).ok(),
            name => self.record.add_attribute(name, fixed::cut(text, TEXT).into_owned()),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record.add_attribute(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record.add_attribute(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record.add_attribute(field.name(), value),
            Err(_) => self.record.add_attribute(field.name(), value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record.add_attribute(field.name(), value);
    }

    /// A guest's own fields are one field, which is an error for `tracing`.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        match value.downcast_ref::<Logged>() {
            Some(fields) => {
                self.bytes += ENTRY + 2 * fields.json().len();
                self.record.add_attribute(field.name(), map(fields));
            }
            None => self.text(field, &value.to_string()),
        }
    }
}

/// The fields of a guest.
fn map(fields: &Logged) -> AnyValue {
    use serde_json::Value;
    let pairs: serde_json::Map<String, Value> =
        serde_json::from_str(fields.json()).unwrap_or_default();
    let pairs = pairs.into_iter().map(|(name, value)| {
        let value = match value {
            Value::Bool(value) => AnyValue::Boolean(value),
            Value::Number(number) => number.as_i64().map_or_else(
                || AnyValue::Double(number.as_f64().unwrap_or_default()),
                AnyValue::Int,
            ),
            Value::String(text) => AnyValue::from(text),
            other => AnyValue::from(other.to_string()),
        };
        (Key::from(name), value)
    });
    AnyValue::Map(Box::new(pairs.collect::<HashMap<_, _>>()))
}

fn severity(level: Level) -> (Severity, &'static str) {
    match level {
        Level::ERROR => (Severity::Error, "ERROR"),
        Level::WARN => (Severity::Warn, "WARN"),
        Level::INFO => (Severity::Info, "INFO"),
        Level::DEBUG => (Severity::Debug, "DEBUG"),
        Level::TRACE => (Severity::Trace, "TRACE"),
    }
}
