//! One step of a request, and a line that a guest has logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Level;

use crate::context::{Cause, Context, Done};
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::Trace;

/// A step of a request that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The id of an invocation. A fetch has none.
    pub(crate) id: Option<u64>,
    /// The invocation that started it.
    pub(crate) parent: Option<u64>,
    pub(crate) kind: SpanKind,
    /// The function, or the method and the host of a fetch.
    pub(crate) name: Arc<str>,
    /// The version of an invocation's function.
    pub(crate) version: Option<Arc<str>>,
    /// When it was started, before it waited for its admission.
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) done: Option<SpanDone>,
    /// The outcome's name.
    pub(crate) outcome: &'static str,
    /// What went wrong.
    pub(crate) message: Option<Box<str>>,
    pub(crate) status: Option<u16>,
    pub(crate) usage: Usage,
    pub(crate) trace: Option<Trace>,
    /// The call that led to it.
    pub(crate) call: Option<Trace>,
}

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Invocation,
    HostFunction,
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only a server fetches"))]
    Fetch,
}

/// When, how and why the context of a span was done before its end.
#[derive(Clone, Debug)]
pub(crate) struct SpanDone {
    pub(crate) at: Instant,
    pub(crate) done: Done,
    pub(crate) cause: Cause,
}

/// A line that a guest has logged.
#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    pub(crate) at: Instant,
    /// The invocation that logged it.
    pub(crate) span: Option<u64>,
    pub(crate) level: Level,
    /// `stdout`, `stderr`, or the guest's module.
    pub(crate) source: Box<str>,
    pub(crate) text: Box<str>,
}

impl SpanDone {
    /// How a context ended, if it has.
    pub(crate) fn of(ctx: &Context) -> Option<Self> {
        Some(Self { at: ctx.done_since()?, done: ctx.err()?, cause: ctx.cause()? })
    }
}

impl SpanKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Invocation => "invocation",
            Self::HostFunction => "host_function",
            Self::Fetch => "fetch",
        }
    }
}

impl Span {
    pub(crate) fn duration(&self) -> Duration {
        self.ended.saturating_duration_since(self.started)
    }

    /// Whether it ended without a response, or with a server error.
    pub(crate) fn is_failed(&self) -> bool {
        self.outcome != Outcome::Response.name() || self.status.is_some_and(|status| status >= 500)
    }

    /// About the bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.len()
    }

    /// The bytes of its texts.
    pub(super) fn len(&self) -> usize {
        self.name.len() + self.message.as_ref().map_or(0, |message| message.len())
    }
}

#[cfg(test)]
impl Span {
    /// An invocation of the function `f`.
    pub(crate) fn example(
        id: u64,
        started: Instant,
        ended: Instant,
        outcome: &'static str,
    ) -> Self {
        Self {
            id: Some(id),
            parent: None,
            kind: SpanKind::Invocation,
            name: "f".into(),
            version: None,
            started,
            ended,
            deadline: None,
            done: None,
            outcome,
            message: None,
            status: Some(200),
            usage: Usage::default(),
            trace: None,
            call: None,
        }
    }
}
