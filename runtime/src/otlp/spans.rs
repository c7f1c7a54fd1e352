//! From a request that has ended to its spans.

use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{Event, SpanKind as Kind};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::SpanData;

use super::attributes as attribute;
use super::span::NewSpan;
use crate::telemetry::exports::{Export, Exports};
use crate::telemetry::recorder::{Recording, RequestSpan, Span, SpanKind};

/// Converts what comes through the queue.
pub(super) struct Converter {
    exports: Weak<Exports>,
    scope: InstrumentationScope,
}

/// A point in time on both clocks.
#[derive(Clone, Copy)]
struct Clock {
    instant: Instant,
    time: SystemTime,
}

impl Converter {
    /// The queue closes once its senders are gone, so the converter must not hold
    /// one.
    pub(super) fn new(exports: &Arc<Exports>, scope: InstrumentationScope) -> Self {
        Self { exports: Arc::downgrade(exports), scope }
    }

    /// Adds the spans of an item to a batch.
    pub(super) fn convert(&self, export: &Export, batch: &mut Vec<SpanData>) {
        match export {
            Export::Request(recording) => self.recording(recording, batch),
            Export::Late(span) => self.steps(span, Clock::now(), Kind::Server, batch),
        }
    }

    fn recording(&self, recording: &Recording, batch: &mut Vec<SpanData>) {
        let clock = Clock { instant: recording.root.ended, time: recording.ended };
        let rest = match self.exports.upgrade() {
            Some(exports) => recording.export(&exports),
            None => recording.rest(),
        };
        let first = batch.len();
        let kind = match &recording.request {
            Some(request) => {
                batch.push(self.request(request, recording, clock));
                Kind::Internal
            }
            None => Kind::Server,
        };
        self.steps(&recording.root, clock, kind, batch);
        for span in &rest.spans {
            self.steps(span, clock, Kind::Server, batch);
        }
        if let Some(root) = batch.get_mut(first)
            && rest.left_out > 0
        {
            root.attributes.push(attribute::left_out(rest.left_out));
        }
    }

    /// The span of a client's request.
    fn request(&self, request: &RequestSpan, recording: &Recording, clock: Clock) -> SpanData {
        let root = &recording.root;
        // Anyone can send another method.
        let method = match attribute::method(recording.method.as_deref()) {
            attribute::OTHER => "HTTP",
            method => method,
        };
        let name = match &request.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let times = (clock.time_of(request.started), clock.time_of(root.ended));
        let span = NewSpan {
            attributes: attribute::request(request, recording),
            status: attribute::request_status(root),
            has_remote_parent: request.trace.parent_id().is_some(),
            ..NewSpan::new(request.trace, Kind::Server, name, times)
        };
        span.data(&self.scope)
    }

    /// A step, and the call and the wait before it. `kind` is that of an
    /// invocation.
    fn steps(&self, span: &Span, clock: Clock, kind: Kind, batch: &mut Vec<SpanData>) {
        let Some(trace) = span.trace else { return };
        let times = (clock.time_of(span.started), clock.time_of(span.ended));
        let status = attribute::status(span);
        if let Some(call) = span.call {
            let call = NewSpan {
                attributes: attribute::call(span),
                status: status.clone(),
                ..NewSpan::new(call, Kind::Client, format!("call {}", span.name), times)
            };
            batch.push(call.data(&self.scope));
        }
        if !span.usage.queue.is_zero() {
            let times = (times.0, clock.time_of(span.started + span.usage.queue));
            let wait = NewSpan::new(trace.child(), Kind::Internal, "queue".to_owned(), times);
            batch.push(wait.data(&self.scope));
        }
        let (kind, name, attributes) = described(span, kind);
        let mut step = NewSpan::new(trace, kind, name, times);
        step.attributes = attribute::step(span, span.deadline.map(|at| clock.time_of(at)));
        step.attributes.extend(attributes);
        step.events.extend(span.done.as_ref().map(|done| {
            // A context may be done before its invocation begins.
            let at = clock.time_of(done.at).clamp(times.0, times.1.max(times.0));
            Event::new(done.done.name(), at, attribute::done(done), 0)
        }));
        step.status = status;
        batch.push(step.data(&self.scope));
    }
}

/// The kind, the name and the attributes of a step.
fn described(span: &Span, kind: Kind) -> (Kind, String, Vec<KeyValue>) {
    match span.kind {
        SpanKind::Fetch => {
            let (method, host) = span.name.split_once(' ').unwrap_or((&span.name, ""));
            let method = attribute::method(Some(method));
            let name = if method == attribute::OTHER { "HTTP" } else { method };
            (Kind::Client, name.to_owned(), attribute::fetch(span, method, host))
        }
        SpanKind::HostFunction => {
            let kind = Kind::Internal;
            (kind.clone(), span.name.to_string(), attribute::invocation(span, &kind))
        }
        SpanKind::Invocation => {
            (kind.clone(), span.name.to_string(), attribute::invocation(span, &kind))
        }
    }
}

impl Clock {
    fn now() -> Self {
        Self { instant: Instant::now(), time: SystemTime::now() }
    }

    fn time_of(self, instant: Instant) -> SystemTime {
        let later = instant.saturating_duration_since(self.instant);
        let earlier = self.instant.saturating_duration_since(instant);
        let time = self.time.checked_sub(earlier).and_then(|time| time.checked_add(later));
        time.unwrap_or(self.time)
    }
}
