//! A span in the types of OpenTelemetry.

use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::propagation::trace::Trace;

/// What a span consists of.
pub(super) struct NewSpan {
    pub(super) trace: Trace,
    pub(super) kind: SpanKind,
    pub(super) name: String,
    /// Its start and its end.
    pub(super) times: (SystemTime, SystemTime),
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<Event>,
    pub(super) status: Status,
    /// Whether its parent is of another process.
    pub(super) has_remote_parent: bool,
}

impl NewSpan {
    /// A span whose parent is that of `trace`.
    pub(super) fn new(
        trace: Trace,
        kind: SpanKind,
        name: String,
        times: (SystemTime, SystemTime),
    ) -> Self {
        let (attributes, events) = (Vec::new(), Vec::new());
        let status = Status::Unset;
        Self { trace, kind, name, times, attributes, events, status, has_remote_parent: false }
    }

    /// As the library exports it.
    pub(super) fn data(self, scope: &InstrumentationScope) -> SpanData {
        let flags = TraceFlags::default().with_sampled(self.trace.is_sampled());
        let trace_id = TraceId::from(self.trace.trace_id().get());
        let span_id = SpanId::from(self.trace.span_id().get());
        let (start_time, end_time) = self.times;
        let parent = self.trace.parent_id();
        let mut events = SpanEvents::default();
        events.events = self.events;
        SpanData {
            span_context: SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE),
            parent_span_id: parent.map_or(SpanId::INVALID, |id| SpanId::from(id.get())),
            parent_span_is_remote: self.has_remote_parent,
            span_kind: self.kind,
            name: self.name.into(),
            start_time,
            end_time,
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: self.status,
            instrumentation_scope: scope.clone(),
        }
    }
}
