//! The steps of a request as spans of `tracing`, so that an embedder's subscriber
//! sees them. They have the level DEBUG and the target `hourglass::trace`, and
//! cost one load while no subscriber wants them.
//!
//! | span | fields |
//! |---|---|
//! | `request` | `method`, `path`, `request_id`, `trace_id`, `span_id` |
//! | `invocation`, `host_function` | `function`, `id`, `trace_id`, `span_id`, `remaining`, and at the end `outcome`, `cause`, `status` |
//! | `call` | `function`, `trace_id`, `span_id` |
//! | `queue` | |
//! | `fetch` | `method`, `host`, `trace_id`, `span_id` |

use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::recorder::SpanKind;
use crate::context::{Cause, Context};
use crate::limits::fixed;
use crate::outcome::Outcome;
use crate::propagation::trace::{TRACE, Trace};

/// A span of a step with a place in a trace.
macro_rules! step {
    ($name:literal, $trace:expr, $($fields:tt)*) => {
        tracing::debug_span!(
            target: "hourglass::trace",
            $name,
            trace_id = $trace.map(|trace| display(trace.trace_id())),
            span_id = $trace.map(|trace| display(trace.span_id())),
            $($fields)*
        )
    };
}

/// A client's request. Its trace is looked up only if a subscriber wants the span.
#[cfg(feature = "server")]
pub(crate) fn request<B>(
    request: &http::Request<B>,
    id: &str,
    trace: impl Fn() -> Option<Trace>,
) -> Span {
    step!(
        "request",
        trace(),
        method = request.method().as_str(),
        path = &*fixed::cut(request.uri().path(), fixed::TEXT),
        request_id = id,
    )
}

/// An invocation, or a host function.
pub(crate) fn invocation(
    kind: SpanKind,
    function: &str,
    id: Option<u64>,
    ctx: &Context,
    trace: Option<Trace>,
) -> Span {
    macro_rules! span {
        ($name:literal) => {
            step!(
                $name,
                trace.or_else(|| ctx.value(&TRACE)),
                function,
                id,
                remaining = ctx.deadline().map(|at| {
                    tracing::field::debug(at.saturating_duration_since(Instant::now()))
                }),
                outcome = Empty,
                cause = Empty,
                status = Empty,
            )
        };
    }
    match kind {
        SpanKind::HostFunction => span!("host_function"),
        _ => span!("invocation"),
    }
}

/// Adds how an invocation ended.
pub(crate) fn ended(span: &Span, outcome: &Outcome, status: Option<u16>) {
    if span.is_disabled() {
        return;
    }
    span.record("outcome", outcome.name());
    if let Some(cause) = outcome.cause() {
        span.record("cause", Cause::name(cause));
    }
    if let Some(status) = status {
        span.record("status", status);
    }
}

/// A call of a function.
pub(crate) fn call(function: &str, call: Trace) -> Span {
    step!("call", Some(call), function = &*fixed::cut(function, fixed::TEXT))
}

/// The wait of a call for its admission.
pub(crate) fn queue() -> Span {
    tracing::debug_span!(target: "hourglass::trace", "queue")
}

/// A request to another host. Its URL may be a secret.
#[cfg(feature = "server")]
pub(crate) fn fetch(method: &http::Method, host: &str, trace: Trace) -> Span {
    let host = fixed::cut(host, fixed::TEXT);
    step!("fetch", Some(trace), method = method.as_str(), host = &*host)
}
