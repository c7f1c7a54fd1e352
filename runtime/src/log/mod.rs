//! What is logged of an invocation: when it has ended, and what its guest says
//! meanwhile. Every line has the same fields, under the same names, whoever it
//! is from. How text of a guest's is shown is in [`text`].

mod text;

use tracing::Level;

use self::text::Fields;
pub(crate) use self::text::OneLine;
use crate::context::{Cause, Context};
use crate::error::InvokeError;
use crate::message::REQUEST_ID;
use crate::outcome::{Outcome, Usage};
use crate::trace::{SpanId, TRACE, Trace, TraceId};

/// The target of what guests say, by which a filter knows it.
pub(crate) const GUEST: &str = "hourglass::guest";

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
            Level::$level,
            function = $about.function,
            request_id = $about.ctx.value(&REQUEST_ID),
            trace_id = $about.trace_id().map(display),
            span_id = $about.span_id().map(display),
            $($rest)+
        )
    };
    ($level:ident, $about:expr, $($rest:tt)+) => {
        line!(target: module_path!(), $level, $about, $($rest)+)
    };
}

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

/// Logs a line that a guest has written to one of its standard streams.
pub(crate) fn printed(about: &About<'_>, stream: &'static str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    line!(target: GUEST, INFO, about, stream, "{}", OneLine(text));
}

/// Whether anything that guests write to their standard streams is logged.
pub(crate) fn is_printed() -> bool {
    is_said(Level::INFO)
}

/// What a guest says through a logger of its own.
pub(crate) struct Said<'a> {
    pub(crate) message: &'a [u8],
    /// Which part of the guest says it.
    pub(crate) module: &'a [u8],
    /// Names and values of its own.
    pub(crate) fields: &'a [(&'a [u8], &'a [u8])],
}

/// Logs what a guest says.
pub(crate) fn said(level: Level, about: &About<'_>, said: &Said<'_>) {
    let message = OneLine(String::from_utf8_lossy(said.message));
    let module = String::from_utf8_lossy(said.module);
    let fields = (!said.fields.is_empty()).then_some(Fields(said.fields));
    macro_rules! log {
        ($level:ident) => {
            line!(
                target: GUEST,
                $level,
                about,
                module = &*module,
                fields = fields.as_ref().map(display),
                "{message}"
            )
        };
    }
    match level {
        Level::ERROR => log!(ERROR),
        Level::WARN => log!(WARN),
        Level::INFO => log!(INFO),
        Level::DEBUG => log!(DEBUG),
        Level::TRACE => log!(TRACE),
    }
}

/// Whether what guests say at a level is logged.
pub(crate) fn is_said(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: GUEST, Level::ERROR),
        Level::WARN => tracing::enabled!(target: GUEST, Level::WARN),
        Level::INFO => tracing::enabled!(target: GUEST, Level::INFO),
        Level::DEBUG => tracing::enabled!(target: GUEST, Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: GUEST, Level::TRACE),
    }
}

/// Logs that from here on something of what a guest says is left out, or how
/// many bytes of it have been.
pub(crate) fn left_out(about: &About<'_>, bytes: Option<u64>, why: &str) {
    line!(target: GUEST, WARN, about, left_out = bytes, "{why}");
}
