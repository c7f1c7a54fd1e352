//! A fetch in the recording of its request.

use std::time::Instant;

use super::error::FetchError;
use super::request::FetchRequest;
use crate::context::Context;
use crate::limits::fixed;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::TRACE;
use crate::telemetry::recorder::{Span, SpanDone, SpanKind, SpanParent};

/// A fetch under way, if its request is recorded.
pub(super) struct FetchRecord(Option<Box<Begun>>);

struct Begun {
    parent: SpanParent,
    name: String,
    started: Instant,
    status: Option<u16>,
    received: u64,
}

impl FetchRecord {
    pub(super) fn begin(request: &mut FetchRequest) -> Self {
        Self(request.recorded_in.take().map(|parent| {
            // Not the URL, which may be a secret.
            let host = fixed::cut(request.url.authority(), fixed::TEXT);
            let name = format!("{} {host}", fixed::cut(request.method.as_str(), fixed::TEXT));
            Box::new(Begun { parent, name, started: Instant::now(), status: None, received: 0 })
        }))
    }

    /// The head of the response has arrived.
    pub(super) fn responded(&mut self, status: u16) {
        if let Some(begun) = &mut self.0 {
            begun.status = Some(status);
        }
    }

    /// A piece of the response has arrived.
    pub(super) fn received(&mut self, bytes: usize) {
        if let Some(begun) = &mut self.0 {
            begun.received += bytes as u64;
        }
    }

    pub(super) fn end(self, ctx: &Context, failure: Option<&FetchError>) {
        let Some(begun) = self.0 else { return };
        let Begun { parent, name, started, status, received } = *begun;
        let ended = Instant::now();
        parent.buffer.add_span(Span {
            id: None,
            parent: parent.id,
            kind: SpanKind::Fetch,
            name: name.into(),
            version: None,
            started,
            ended,
            deadline: ctx.deadline(),
            done: SpanDone::of(ctx),
            outcome: failure.map_or(Outcome::Response.name(), |error| error.name),
            message: failure.map(|error| fixed::display(error, fixed::MESSAGE).into()),
            status,
            usage: Usage { wall: ended - started, response_bytes: received, ..Usage::default() },
            trace: ctx.value(&TRACE),
            call: None,
        });
    }
}
