//! Sends the events of the crate `tracing` to the host's log.
//!
//! ```no_run
//! use hourglass_sdk::{Context, Request, serve};
//!
//! fn main() {
//!     hourglass_sdk::tracing::init();
//!     serve(shop)
//! }
//!
//! fn shop(_: &Context, req: Request) -> &'static str {
//!     let _sale = tracing::info_span!("sale", path = req.uri().path()).entered();
//!     tracing::info!(items = 3, "sold"); // with the fields `path` and `items`
//!     "thank you\n"
//! }
//! ```
//!
//! Every event is a record with its level, its target and its fields. It also has the fields of its
//! enclosing spans; if several have the same name, the innermost wins. The host adds the function's
//! name, the request id and the trace context. Spans themselves are not logged.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, LevelFilter, Metadata, Subscriber};

use crate::record::Fields;

/// Sends the events of the crate `tracing` to the host's log. Call it once, first in `main`. If a
/// subscriber is already set, that one stays.
///
/// Events that the host would not log are not sent to it. Messages and fields have the limits of
/// the [`log`](crate::log) feature: 8 KiB a message, 1 KiB a field, 64 fields.
///
/// # Outside a host
///
/// This does nothing, so that a test can set a subscriber of its own.
pub fn init() {
    #[cfg(target_arch = "wasm32")]
    {
        let host = Host::new(guest::level(), guest::send);
        let dispatch = tracing_core::Dispatch::new(host);
        // An error means that a subscriber is already set.
        let _ = tracing_core::dispatcher::set_global_default(dispatch);
    }
}

/// Inside a host.
#[cfg(target_arch = "wasm32")]
mod guest {
    use super::{Fields, LevelFilter, Metadata};
    use crate::host;

    /// The levels by the host's numbers.
    const LEVELS: [LevelFilter; 6] = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];

    pub(super) fn level() -> LevelFilter {
        let last = host::log::log(0, &[]).unwrap_or_default();
        LEVELS.get(last).copied().unwrap_or(LevelFilter::TRACE)
    }

    pub(super) fn send(metadata: &Metadata<'_>, message: &str, fields: &Fields) {
        let level = LEVELS.iter().position(|level| level == metadata.level());
        host::log::send(level.unwrap_or_default() as i32, metadata.target(), message, fields);
    }
}

/// The destination of events.
type Send = fn(&Metadata<'_>, &str, &Fields);

/// The host's log, as a subscriber.
struct Host {
    level: LevelFilter,
    send: Send,
    spans: Mutex<Spans>,
}

#[derive(Default)]
struct Spans {
    /// Indexed by the span's id less one; `None` if closed.
    open: Vec<Option<Span>>,
    /// The entered spans, the innermost last.
    entered: Vec<Id>,
}

struct Span {
    metadata: &'static Metadata<'static>,
    /// Its own fields, and those of its enclosing spans.
    fields: Fields,
    handles: usize,
}

impl Host {
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "a host needs it"))]
    fn new(level: LevelFilter, send: Send) -> Self {
        Self { level, send, spans: Mutex::default() }
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spans {
    fn get(&mut self, id: &Id) -> Option<&mut Span> {
        self.open.get_mut(place(id))?.as_mut()
    }

    /// Returns the fields that a new span or event inherits: those of `parent` or else of the
    /// innermost entered span; none for a root.
    fn around(&mut self, parent: Option<&Id>, is_root: bool) -> Fields {
        let id = parent.or(self.entered.last()).filter(|_| !is_root).cloned();
        let span = id.and_then(|id| self.get(&id));
        span.map_or_else(Fields::default, |span| span.fields.clone())
    }

    /// Stores a span, reusing the slot of a closed one if there is one.
    fn add(&mut self, span: Span) -> Id {
        let free = self.open.iter().position(Option::is_none);
        let place = free.unwrap_or(self.open.len());
        match self.open.get_mut(place) {
            Some(slot) => *slot = Some(span),
            None => self.open.push(Some(span)),
        }
        Id::from_u64(place as u64 + 1)
    }
}

fn place(id: &Id) -> usize {
    usize::try_from(id.into_u64() - 1).unwrap_or(usize::MAX)
}

impl Subscriber for Host {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let fields = self.spans().around(span.parent(), span.is_root());
        let mut recorded = Recorded { message: None, fields };
        // Not under the lock: formatting a value may log.
        span.record(&mut recorded);
        self.spans().add(Span { metadata: span.metadata(), fields: recorded.fields, handles: 1 })
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let fields = self.spans().get(id).map(|span| std::mem::take(&mut span.fields));
        let Some(fields) = fields else { return };
        let mut recorded = Recorded { message: None, fields };
        values.record(&mut recorded);
        if let Some(span) = self.spans().get(id) {
            span.fields = recorded.fields;
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let fields = self.spans().around(event.parent(), event.is_root());
        let mut recorded = Recorded { message: None, fields };
        event.record(&mut recorded);
        let metadata = event.metadata();
        let message = recorded.message.as_deref().unwrap_or_default();
        (self.send)(metadata, message, &recorded.fields);
    }

    fn enter(&self, id: &Id) {
        self.spans().entered.push(id.clone());
    }

    fn exit(&self, id: &Id) {
        let mut spans = self.spans();
        if let Some(place) = spans.entered.iter().rposition(|entered| entered == id) {
            spans.entered.remove(place);
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.spans().get(id) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = self.spans();
        let Some(span) = spans.get(&id) else { return false };
        span.handles -= 1;
        let closed = span.handles == 0;
        if closed {
            spans.open[place(&id)] = None;
        }
        closed
    }

    fn current_span(&self) -> Current {
        let mut spans = self.spans();
        let id = spans.entered.last().cloned();
        let span = id.and_then(|id| Some(Current::new(id.clone(), spans.get(&id)?.metadata)));
        span.unwrap_or_else(Current::none)
    }
}

/// The message and the fields of an event or a span.
struct Recorded {
    message: Option<String>,
    fields: Fields,
}

macro_rules! literals {
    ($($record:ident: $Type:ty),+) => {$(
        fn $record(&mut self, field: &Field, value: $Type) {
            self.fields.literal(field.name(), value);
        }
    )+};
}

impl Visit for Recorded {
    literals!(record_f64: f64, record_i64: i64, record_u64: u64, record_bool: bool);

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = Some(format!("{value:?}")),
            name => self.fields.text(name, format_args!("{value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static SENT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn send(metadata: &Metadata<'_>, message: &str, fields: &Fields) {
        let fields = fields.pairs().iter().map(|(name, value)| format!(" {name}={value}"));
        let text = format!("{} {message}{}", metadata.level(), fields.collect::<String>());
        SENT.with_borrow_mut(|sent| sent.push(text));
    }

    #[test]
    fn an_event_has_the_fields_of_its_spans() {
        let host = Host::new(LevelFilter::INFO, send);
        tracing::subscriber::with_default(host, || {
            tracing::info!(n = -1, "alone");
            let outer = tracing::info_span!("outer", path = "/a", tries = tracing::field::Empty);
            let inner = outer.in_scope(|| tracing::info_span!("inner", path = ?"b", good = true));
            outer.record("tries", 2_u64);
            inner.in_scope(|| {
                tracing::warn!(ratio = 0.5, "in {}", "both");
                tracing::debug!("not logged");
                tracing::info!(parent: None, "apart");
            });
            drop(inner);
            outer.in_scope(|| tracing::error!(error = %"full", "in one"));
            drop(outer);
            tracing::info!("out");
        });
        let expected = [
            "INFO alone n=-1",
            "WARN in both path=\"\"b\" good=true ratio=0.5",
            "INFO apart",
            "ERROR in one path=\"/a tries=2 error=\"full",
            "INFO out",
        ];
        assert_eq!(SENT.take(), expected);
    }

    #[test]
    fn a_closed_span_gives_its_place_back() {
        let host = Host::new(LevelFilter::TRACE, send);
        let dispatch = tracing_core::Dispatch::new(host);
        tracing::dispatcher::with_default(&dispatch, || {
            for _ in 0..100 {
                let span = tracing::info_span!("brief");
                let again = span.clone();
                drop(span);
                again.in_scope(|| tracing::Span::current().is_none());
            }
        });
        let host = dispatch.downcast_ref::<Host>().expect("it is the one");
        let spans = host.spans();
        assert_eq!((spans.open.len(), spans.entered.len()), (1, 0));
    }
}
