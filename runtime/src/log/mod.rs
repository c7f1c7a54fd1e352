//! What is logged of an invocation: when it has ended, and what its guest says
//! meanwhile, which is in [`guest`]. Every line has the same fields, under the
//! same names, whoever it is from. How text of a guest's is shown is in
//! [`text`].

mod guest;
mod text;

pub(crate) use self::guest::{Line, Printed, Said, is_printed, is_said, left_out};
pub(crate) use self::text::OneLine;
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::outcome::{Outcome, Usage};
use crate::trace::{SpanId, TRACE, Trace, TraceId};

/// Which invocation a line is about.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) function: &'a str,
    pub(crate) ctx: &'a Context,
    /// Which step of a trace it is, where the context does not say so.
    pub(crate) step: Option<Trace>,
}

impl About<'_> {
    fn trace_id(&self) -> Option<TraceId> {
        self.trace().as_ref().map(Trace::trace_id)
    }

    fn span_id(&self) -> Option<SpanId> {
        self.trace().as_ref().map(Trace::span_id)
    }

    fn trace(&self) -> Option<Trace> {
        self.step.or_else(|| self.ctx.value(&TRACE))
    }
}

/// Logs a line about an invocation. The fields that all have are asked for only
/// where the line is logged.
macro_rules! line {
    (target: $target:expr, $level:ident, $about:expr, $($rest:tt)+) => {
        tracing::event!(
            target: $target,
            tracing::Level::$level,
            function = $about.function,
            request_id = $about.ctx.value(&$crate::message::REQUEST_ID),
            trace_id = $about.trace_id().map(display),
            span_id = $about.span_id().map(display),
            $($rest)+
        )
    };
    ($level:ident, $about:expr, $($rest:tt)+) => {
        line!(target: module_path!(), $level, $about, $($rest)+)
    };
}
use line;

/// Logs an invocation under `ctx` that answered. `step` is which one of a trace
/// it was, where the context does not say so.
pub(crate) fn success(
    function: &str,
    ctx: &Context,
    step: Option<Trace>,
    status: u16,
    usage: Usage,
) {
    let about = About { function, ctx, step };
    line!(
        DEBUG,
        about,
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
    let (about, outcome) = (About { function: error.function(), ctx, step }, error.outcome());
    macro_rules! log {
        ($level:ident) => {
            line!(
                $level,
                about,
                outcome = outcome.name(),
                cause = outcome.cause().map(Cause::name),
                status,
                wall = ?error.usage().wall,
                backtrace = backtrace(outcome),
                // A guest may have had a say in it.
                "{}", OneLine(outcome)
            )
        };
    }
    // What any client, or any caller that ends, can bring about must not fill
    // the log.
    match outcome {
        Outcome::Host(_) => log!(ERROR),
        Outcome::NotFound | Outcome::BodyTooLarge { .. } | Outcome::BadRequest(_) => log!(DEBUG),
        Outcome::Done(_, Cause::ParentDone | Cause::Canceled) => log!(DEBUG),
        _ => log!(WARN),
    }
}

/// The guest's functions at a trap, innermost first.
fn backtrace(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Trap(trap) if !trap.backtrace.is_empty() => Some(trap.backtrace.join(" < ")),
        _ => None,
    }
}
