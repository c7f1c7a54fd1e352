//! An invocation in flight. Its end is counted and recorded here, in the
//! counters and in the usage ledger, whether it ends by itself or its future is
//! dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Uri};

use super::counters::FunctionCounters;
use super::ledger::Ledger;
use super::recorder::{
    Recorded, Recorder, Recording, Span, SpanBuffer, SpanDone, SpanKind, SpanRecorder,
};
use crate::context::{Cause, Context, Done};
use crate::limits::fixed;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::{TRACE, Trace};

/// What is known of an invocation when it begins.
pub(crate) struct Start<'a> {
    pub(crate) counters: &'a FunctionCounters,
    pub(crate) ctx: &'a Context,
    pub(crate) kind: SpanKind,
    pub(crate) id: Option<u64>,
    /// The invocation that called it.
    pub(crate) parent: Option<u64>,
    /// When it was admitted.
    pub(crate) started: Instant,
}

/// What is recorded of an invocation besides its outcome and its usage.
#[derive(Debug)]
pub(crate) struct Trail {
    recorded: Recorded,
    /// What it started.
    buffer: Option<Arc<SpanBuffer>>,
    /// The request that led to it, unless a function called it.
    request: Option<(Method, Uri)>,
    /// Its span of a trace.
    trace: Option<Trace>,
}

/// An invocation in flight. If its future is dropped it counts as canceled.
pub(crate) struct LiveInvocation<'a> {
    recorder: &'a Recorder,
    ledger: Option<&'a Ledger>,
    start: Start<'a>,
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
        let recorded = spans.recorded();
        let buffer = spans.into_buffer();
        // With a buffer, something else may have failed.
        let is_kept = buffer.is_some() || recorded.keeps(is_failed, wall);
        is_kept.then(|| Box::new(Self { recorded, buffer, request: request(), trace }))
    }
}

impl<'a> LiveInvocation<'a> {
    pub(super) fn new(
        recorder: &'a Recorder,
        ledger: Option<&'a Ledger>,
        start: Start<'a>,
    ) -> Self {
        Self { recorder, ledger, start }
    }

    /// Counts and records its end. `status` is that of its response; that of a
    /// failure follows from its outcome.
    pub(crate) fn end(
        self,
        outcome: &Outcome,
        status: Option<u16>,
        usage: &Usage,
        trail: Option<Box<Trail>>,
    ) {
        self.count(outcome, usage);
        if let Some(trail) = trail {
            self.record(outcome, status, usage, *trail);
        }
        std::mem::forget(self);
    }

    /// The ledger comes first: no reader of the counters sees an invocation that
    /// the ledger does not count.
    fn count(&self, outcome: &Outcome, usage: &Usage) {
        let Start { counters, ctx, started, .. } = &self.start;
        if let (Some(ledger), Some(function)) = (self.ledger, counters.usage_id.get()) {
            ledger.record(function, ctx, *started + usage.wall, outcome, usage);
        }
        counters.ended(outcome, usage);
    }

    #[cold]
    fn record(&self, outcome: &Outcome, status: Option<u16>, usage: &Usage, trail: Trail) {
        let Trail { recorded, buffer, request, trace } = trail;
        let span = self.span(outcome, status, usage, trace);
        match buffer {
            Some(buffer) if span.parent.is_some() => buffer.add_span(span),
            buffer => {
                let recording = Recording::new(span, buffer).about(self.start.ctx, request);
                if recorded.keeps(recording.is_failed(), usage.wall) {
                    self.recorder.keep(recording);
                }
            }
        }
    }

    fn span(
        &self,
        outcome: &Outcome,
        status: Option<u16>,
        usage: &Usage,
        trace: Option<Trace>,
    ) -> Span {
        let Start { counters, ctx, kind, id, parent, started } = self.start;
        let is_response = matches!(outcome, Outcome::Response);
        Span {
            id,
            parent,
            kind,
            name: counters.name.clone(),
            started: started.checked_sub(usage.queue).unwrap_or(started),
            ended: started + usage.wall,
            deadline: ctx.deadline(),
            done: SpanDone::of(ctx),
            outcome: outcome.name(),
            message: (!is_response).then(|| fixed::display(outcome, fixed::MESSAGE).into()),
            status: Some(status.unwrap_or_else(|| outcome.status().as_u16())),
            usage: *usage,
            trace: trace.or_else(|| ctx.value(&TRACE)),
        }
    }
}

impl Drop for LiveInvocation<'_> {
    fn drop(&mut self) {
        let outcome = Outcome::Done(Done::Canceled, Cause::Canceled);
        let usage = Usage { wall: self.start.started.elapsed(), ..Usage::default() };
        self.count(&outcome, &usage);
    }
}
