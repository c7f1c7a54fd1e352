//! An invocation in flight. Its end is counted and recorded here, in the
//! counters and in the usage ledger, whether it ends by itself or its future is
//! dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Uri};

use super::Telemetry;
use super::counters::FunctionCounters;
use super::ledger::NameId;
use super::recorder::{
    Kept, Recorded, Recording, RequestSpan, Span, SpanBuffer, SpanDone, SpanKind, SpanRecorder,
};
use crate::context::{Cause, Context, Done};
use crate::limits::fixed;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::{TRACE, Trace};

/// What is known of an invocation when it begins.
pub(crate) struct Start<'a> {
    pub(crate) name: &'a Arc<str>,
    /// The version of its module. A host function has none.
    pub(crate) version: Option<&'a Arc<str>>,
    /// The function's id in the usage ledger, if there is one.
    pub(crate) usage_id: Option<&'a NameId>,
    pub(crate) ctx: &'a Context,
    pub(crate) kind: SpanKind,
    pub(crate) id: Option<u64>,
    /// The invocation that called it.
    pub(crate) parent: Option<u64>,
    /// The span of that call.
    pub(crate) call: Option<Trace>,
    /// The span of the client's request that led to it, if it is exported.
    pub(crate) request: Option<Box<RequestSpan>>,
    /// When it was admitted.
    pub(crate) started: Instant,
}

/// What is recorded of an invocation besides its outcome and its usage.
#[derive(Debug)]
pub(crate) struct Trail {
    kept: Kept,
    /// What it started.
    buffer: Option<Arc<SpanBuffer>>,
    /// The request that led to it, unless a function called it.
    request: Option<(Method, Uri)>,
    /// Its span of a trace.
    trace: Option<Trace>,
}

/// An invocation in flight. If its future is dropped it counts as canceled.
pub(crate) struct LiveInvocation<'a> {
    telemetry: &'a Telemetry,
    counters: &'a FunctionCounters,
    start: Start<'a>,
    is_ended: bool,
}

impl Trail {
    /// The trail of an invocation that has ended, if any of it may be kept. The
    /// request is computed only then.
    pub(crate) fn new(
        spans: SpanRecorder,
        trace: Option<Trace>,
        (is_failed, wall): (bool, Duration),
        request: impl FnOnce() -> Option<(Method, Uri)>,
    ) -> Option<Box<Self>> {
        let kept = spans.kept();
        let buffer = spans.into_buffer();
        // With a buffer, something else may have failed.
        let is_kept = buffer.is_some() || kept.keeps(is_failed, wall);
        is_kept.then(|| Box::new(Self { kept, buffer, request: request(), trace }))
    }
}

impl<'a> LiveInvocation<'a> {
    pub(super) fn new(
        telemetry: &'a Telemetry,
        counters: &'a FunctionCounters,
        start: Start<'a>,
    ) -> Self {
        Self { telemetry, counters, start, is_ended: false }
    }

    /// Counts and records its end. `status` is that of its response; that of a
    /// failure follows from its outcome.
    pub(crate) fn end(
        mut self,
        outcome: &Outcome,
        status: Option<u16>,
        usage: &Usage,
        trail: Option<Box<Trail>>,
    ) {
        self.count(outcome, usage);
        if let Some(trail) = trail {
            self.record(outcome, status, usage, *trail);
        }
        self.is_ended = true;
    }

    /// The ledger comes first: no reader of the counters sees an invocation that
    /// the ledger does not count.
    fn count(&self, outcome: &Outcome, usage: &Usage) {
        let Start { ctx, started, usage_id, .. } = &self.start;
        if let (Some(ledger), Some(function)) = (&self.telemetry.ledger, usage_id) {
            ledger.record(function, ctx, *started + usage.wall, outcome, usage);
        }
        self.counters.ended(outcome, usage);
    }

    #[cold]
    fn record(&mut self, outcome: &Outcome, status: Option<u16>, usage: &Usage, trail: Trail) {
        let Trail { kept, buffer, request, trace } = trail;
        let span = self.start.span(outcome, status, usage, trace);
        let trace = span.trace;
        let is_exported = match buffer {
            Some(buffer) if span.parent.is_some() => {
                buffer.add_span(span);
                // With its request.
                self.telemetry.exports.is_some() && trace.is_some_and(|trace| trace.is_sampled())
            }
            buffer => {
                let recording = Recording::new(span, buffer).about(self.start.ctx, request);
                self.telemetry.keep(recording.of_request(self.start.request.take()), kept)
            }
        };
        if let Some(trace) = trace
            && is_exported
        {
            self.counters.exported(outcome, usage, trace.trace_id());
        }
    }
}

impl<'a> Start<'a> {
    /// An invocation of no known function.
    pub(crate) fn unknown(
        name: &'a Arc<str>,
        ctx: &'a Context,
        (parent, call): (Option<u64>, Option<Trace>),
        request: Option<Box<RequestSpan>>,
    ) -> Self {
        Self {
            name,
            version: None,
            usage_id: None,
            ctx,
            kind: SpanKind::Invocation,
            id: None,
            parent,
            call,
            request,
            started: Instant::now(),
        }
    }

    /// Its span, once it has ended.
    pub(super) fn span(
        &self,
        outcome: &Outcome,
        status: Option<u16>,
        usage: &Usage,
        trace: Option<Trace>,
    ) -> Span {
        let Self { name, version, ctx, kind, id, parent, call, started, .. } = *self;
        let is_response = matches!(outcome, Outcome::Response);
        Span {
            id,
            parent,
            kind,
            name: name.clone(),
            version: version.cloned(),
            started: started.checked_sub(usage.queue).unwrap_or(started),
            ended: started + usage.wall,
            deadline: ctx.deadline(),
            done: SpanDone::of(ctx),
            outcome: outcome.name(),
            message: (!is_response).then(|| fixed::display(outcome, fixed::MESSAGE).into()),
            status: Some(status.unwrap_or_else(|| outcome.status().as_u16())),
            usage: *usage,
            trace: trace.or_else(|| ctx.value(&TRACE)),
            call,
        }
    }
}

impl Drop for LiveInvocation<'_> {
    fn drop(&mut self) {
        if self.is_ended {
            return;
        }
        let outcome = Outcome::Done(Done::Canceled, Cause::Canceled);
        let usage = Usage { wall: self.start.started.elapsed(), ..Usage::default() };
        self.count(&outcome, &usage);
        if self.start.parent.is_none() {
            let kept = Kept {
                recorded: Recorded::Nothing,
                exported: self.telemetry.exported(self.start.ctx),
            };
            let trail = Trail { kept, buffer: None, request: None, trace: None };
            self.record(&outcome, None, &usage, trail);
        }
    }
}
