//! What is logged of an invocation when it has ended: the same fields, under
//! the same names, whoever asked for it.

use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::message::REQUEST_ID;
use crate::outcome::{Outcome, Usage};
use crate::trace::{TRACE, Trace};

/// Logs an invocation under `ctx` that answered. `step` is which one of a trace
/// it was, where the context does not say so.
pub(crate) fn success(
    function: &str,
    ctx: &Context,
    step: Option<Trace>,
    status: u16,
    usage: Usage,
) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let trace = step.or_else(|| ctx.value(&TRACE));
    tracing::debug!(
        function,
        request_id = ctx.value(&REQUEST_ID),
        trace_id = trace.as_ref().map(Trace::trace_id).map(display),
        span_id = trace.as_ref().map(Trace::span_id).map(display),
        outcome = Outcome::Response.name(),
        status,
        wall = ?usage.wall,
        cpu = ?usage.cpu,
        peak_memory = usage.peak_memory,
        "{}", Outcome::Response
    );
}

/// Logs an invocation under `ctx` that failed; `status` is the one that the
/// client sees, where there is a client.
pub(crate) fn failure(
    error: &InvokeError,
    ctx: &Context,
    step: Option<Trace>,
    status: Option<u16>,
) {
    let outcome = error.outcome();
    let trace = step.or_else(|| ctx.value(&TRACE));
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                function = error.function(),
                request_id = ctx.value(&REQUEST_ID),
                trace_id = trace.as_ref().map(Trace::trace_id).map(display),
                span_id = trace.as_ref().map(Trace::span_id).map(display),
                outcome = outcome.name(),
                cause = outcome.cause().map(Cause::name),
                status,
                wall = ?error.usage().wall,
                backtrace = backtrace(outcome),
                "{outcome}"
            )
        };
    }
    // What any client, or any caller that ends, can bring about must not fill
    // the log.
    match outcome {
        Outcome::Host(_) => log!(error),
        Outcome::NotFound | Outcome::BodyTooLarge { .. } | Outcome::BadRequest(_) => log!(debug),
        Outcome::Done(_, Cause::ParentDone | Cause::Canceled) => log!(debug),
        _ => log!(warn),
    }
}

/// The guest's functions at a trap, innermost first.
fn backtrace(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Trap(trap) if !trap.backtrace.is_empty() => Some(trap.backtrace.join(" < ")),
        _ => None,
    }
}
