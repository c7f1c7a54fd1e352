//! What guests print, as the host logs it: how a guest tells a test where it is.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, Once, PoisonError};

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());
static CHANGED: Notify = Notify::const_new();

/// One line, and the function that printed it.
#[derive(Default)]
struct Line {
    function: String,
    text: String,
}

/// Starts to record what guests print, in the whole process.
pub fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Recorder).expect("nobody else records");
    });
}

/// Waits until a function has printed a line, now or earlier.
pub async fn told(function: &str, text: &str) {
    told_times(function, text, 1).await;
}

/// Waits until a function has printed a line so many times.
pub async fn told_times(function: &str, text: &str, times: usize) {
    loop {
        let changed = CHANGED.notified();
        if count(function, text) >= times {
            return;
        }
        changed.await;
    }
}

/// How often a function has printed a line until now.
pub fn count(function: &str, text: &str) -> usize {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| line.function == function && line.text == text).count()
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
        let mut line = Line::default();
        event.record(&mut line);
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        CHANGED.notify_waiters();
    }

    // Lines are events; there are no spans among them.
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
        if field.name() == "function" {
            value.clone_into(&mut self.function);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // Writing to a string never fails.
            let _ = write!(self.text, "{value:?}");
        }
    }
}
