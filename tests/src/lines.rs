//! Output of guests, recorded from the host's log. A test waits for a line to know how far a guest
//! is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::names;

/// The recorded lines, by function.
static LINES: Mutex<BTreeMap<String, Vec<Line>>> = Mutex::new(BTreeMap::new());
static CHANGED: Notify = Notify::const_new();

/// A recorded line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub text: String,
    /// Its fields as text.
    pub fields: BTreeMap<&'static str, String>,
}

/// Starts to record the output of guests in this process.
pub fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Recorder)
            .expect("no other subscriber is installed");
    });
}

/// Waits until a function prints a line. Returns at once if it has printed it before.
///
/// # Panics
/// If that takes a minute.
pub async fn told(function: &str, text: &str) {
    told_times(function, text, 1).await;
}

/// Waits until a function has printed a line at least `times` times.
///
/// # Panics
/// If that takes a minute.
pub async fn told_times(function: &str, text: &str, times: usize) {
    let told = async {
        loop {
            let changed = CHANGED.notified();
            if count(function, text) >= times {
                return;
            }
            changed.await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), told).await;
    assert!(in_time.is_ok(), "{function} has not said {text:?}, but {:#?}", of(function));
}

/// How often a function has printed a line.
pub fn count(function: &str, text: &str) -> usize {
    with(function, |lines| lines.iter().filter(|line| line.text == text).count())
}

/// All lines of a function.
pub fn of(function: &str) -> Vec<Line> {
    with(function, <[Line]>::to_vec)
}

/// Reads the lines of one function.
fn with<T>(function: &str, read: impl FnOnce(&[Line]) -> T) -> T {
    names::read(function);
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    read(lines.get(function).map_or(&[], Vec::as_slice))
}

impl Line {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "hourglass::guest"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let (level, text) = (*event.metadata().level(), String::new());
        let mut line = Line { level, text, fields: BTreeMap::new() };
        event.record(&mut line);
        let function = line.field("function").unwrap_or_default().to_owned();
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry(function).or_default().push(line);
        drop(lines);
        CHANGED.notify_waiters();
    }

    // Lines are events, not spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.text = text,
            name => drop(self.fields.insert(name, text)),
        }
    }
}
