//! Log lines as JSON objects: `timestamp`, `level`, the line's fields and
//! `target`.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::log::Logged;

/// Writes lines in JSON. Unlike the format of `tracing-subscriber`, it shows the
/// fields of a guest as an object, with their types.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (metadata, mut line) = (event.metadata(), String::from("{\"timestamp\":\""));
        SystemTime.format_time(&mut Writer::new(&mut line))?;
        write!(line, "\",\"level\":\"{}\"", metadata.level())?;
        let mut members = Members(line);
        event.record(&mut members);
        members.add("target", metadata.target());
        writeln!(writer, "{}}}", members.0)
    }
}

/// The members of an object, without the closing brace.
struct Members(String);

impl Members {
    fn add(&mut self, name: &str, value: impl Serialize) {
        let encoded = serde_json::to_string(&value);
        self.add_encoded(name, encoded.as_deref().unwrap_or("null"));
    }

    fn add_encoded(&mut self, name: &str, value: &str) {
        let name = serde_json::to_string(name.strip_prefix("r#").unwrap_or(name));
        self.0.extend([",", name.as_deref().unwrap_or("\"\""), ":", value]);
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        match value.downcast_ref::<Logged>() {
            Some(fields) => self.add_encoded(field.name(), fields.json()),
            None => self.add(field.name(), value.to_string()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), format!("{value:?}"));
    }
}
