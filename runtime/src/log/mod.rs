//! Log records of invocations: one at the end of each, and the output of its
//! guest ([`guest`]). The log of clients' requests is [`access`]. Every record has
//! the same fields under the same names.
//! For guest text see [`text`], for a guest's own fields [`fields`], and for
//! the limits per function and second [`rate`].

#[cfg(feature = "server")]
pub(crate) mod access;
mod fields;
mod guest;
mod text;

use std::fmt::Display;

use tracing::Level;

pub(crate) use self::fields::Fields;
#[cfg(feature = "otlp")]
pub(crate) use self::fields::Logged;
pub(crate) use self::guest::{LogRecord, Origin, is_record_logged, is_stdio_logged, left_out};
use self::text::shown;
#[cfg(feature = "server")]
use crate::body::Response;
use crate::context::{Cause, Context};
use crate::error::InvokeError;
pub(crate) use crate::escape::OneLine;
use crate::limits::fixed;
pub(crate) use crate::limits::log_rate::{Rate, RateDecision};
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::{TRACE, Trace};

/// The longest text of a failure's record, and the longest backtrace, in bytes.
const TEXT: usize = 4 << 10;
const BACKTRACE: usize = 2 << 10;

/// The bytes that the other fields of a record count for.
const FIELDS: usize = 256;

/// The invocation that a record is about.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) function: &'a str,
    pub(crate) ctx: &'a Context,
    /// Its span of a trace, if it is not that of the context.
    pub(crate) step: Option<Trace>,
}

impl About<'_> {
    fn trace(&self) -> Option<Trace> {
        self.step.or_else(|| self.ctx.value(&TRACE))
    }
}

/// Logs a record about an invocation. The common fields are only computed if
/// the record is logged.
macro_rules! line {
    (target: $target:expr, $level:ident, $about:expr, $($rest:tt)+) => {
        tracing::event!(
            target: $target,
            tracing::Level::$level,
            function = $about.function,
            request_id = $about.ctx.value(&$crate::body::REQUEST_ID),
            trace_id = $about.trace().map(|trace| display(trace.trace_id())),
            span_id = $about.trace().map(|trace| display(trace.span_id())),
            $($rest)+
        )
    };
    ($level:ident, $about:expr, $($rest:tt)+) => {
        line!(target: module_path!(), $level, $about, $($rest)+)
    };
}
use line;

/// Expands a macro with the name of a level. A level of `tracing` is constant.
macro_rules! at_level {
    ($level:expr, $then:ident) => {
        match $level {
            tracing::Level::ERROR => $then!(ERROR),
            tracing::Level::WARN => $then!(WARN),
            tracing::Level::INFO => $then!(INFO),
            tracing::Level::DEBUG => $then!(DEBUG),
            tracing::Level::TRACE => $then!(TRACE),
        }
    };
}
use at_level;

/// Logs the result of an invocation for a client, with the status that the
/// client gets.
#[cfg(feature = "server")]
pub(crate) fn answered(
    result: &Result<(Response, Usage), InvokeError>,
    function: &str,
    ctx: &Context,
    rate: &Rate,
) {
    match result {
        Ok((response, usage)) => {
            success(function, ctx, None, response.status().as_u16(), *usage, Some(rate));
        }
        Err(error) => {
            failure(error, ctx, None, Some(error.outcome().status().as_u16()), Some(rate));
        }
    }
}

/// Logs an invocation under `ctx` that returned a response. If the status says
/// that the function failed, the record is a warning, subject to `rate`. `step`
/// is the span of the invocation, if it is not that of the context.
pub(crate) fn success(
    function: &str,
    ctx: &Context,
    step: Option<Trace>,
    status: u16,
    usage: Usage,
    rate: Option<&Rate>,
) {
    let about = About { function, ctx, step };
    macro_rules! log {
        ($level:ident, $text:expr) => {
            line!(
                $level,
                about,
                outcome = Outcome::Response.name(),
                status,
                wall = ?usage.wall,
                cpu = ?usage.cpu,
                peak_memory = usage.peak_memory,
                "{}", $text
            )
        };
    }
    if status >= 500 {
        if tracing::enabled!(Level::WARN) && fits(rate, &about, 0) {
            log!(WARN, "the function answered with a server error");
        }
    } else {
        log!(DEBUG, Outcome::Response);
    }
}

/// Logs an invocation under `ctx` that failed. If `rate`, the function's rate
/// of failure records, is used up, the record is only counted. `status` is the
/// status that the client gets, if there is a client.
pub(crate) fn failure(
    error: &InvokeError,
    ctx: &Context,
    step: Option<Trace>,
    status: Option<u16>,
    rate: Option<&Rate>,
) {
    let (about, outcome) = (About { function: error.function(), ctx, step }, error.outcome());
    if !is_logged(outcome) {
        return;
    }
    // Both may contain text of the guest.
    let text = fixed::display(&OneLine(outcome), TEXT);
    let backtrace = backtrace(outcome);
    let len = backtrace.as_deref().map_or(0, |names| length(OneLine(names))) + length(&text);
    if !fits(rate, &about, len) {
        return;
    }
    macro_rules! log {
        ($level:ident) => {
            line!(
                $level,
                about,
                outcome = outcome.name(),
                cause = outcome.cause().map(Cause::name),
                status,
                wall = ?error.usage().wall,
                backtrace,
                "{text}"
            )
        };
    }
    at_level!(level(outcome), log);
}

/// Whether the record of a failure fits into the rate. `len` bytes of the
/// record come from the function. If records are left out, that is logged.
fn fits(rate: Option<&Rate>, about: &About<'_>, len: usize) -> bool {
    // A record that is left out counts as one.
    let suppressed = match rate.map_or(RateDecision::Logged, |rate| rate.take(1, len + FIELDS)) {
        RateDecision::Logged => return true,
        RateDecision::After(records) => records,
        RateDecision::Full => {
            line!(WARN, about, "(the function's failures in the rest of this second are left out)");
            return false;
        }
        RateDecision::LeftOut => return false,
    };
    line!(WARN, about, suppressed, "(the function failed more often than is logged in a second)");
    true
}

/// The level of a failure. A failure that any client, or any caller that ends,
/// can cause must not fill the log.
fn level(outcome: &Outcome) -> Level {
    match outcome {
        Outcome::Host(_) => Level::ERROR,
        Outcome::NotFound | Outcome::BodyTooLarge { .. } | Outcome::BadRequest(_) => Level::DEBUG,
        Outcome::Done(_, Cause::ParentDone | Cause::Canceled) => Level::DEBUG,
        _ => Level::WARN,
    }
}

/// Whether such a failure is logged.
fn is_logged(outcome: &Outcome) -> bool {
    macro_rules! enabled {
        ($level:ident) => {
            tracing::enabled!(Level::$level)
        };
    }
    at_level!(level(outcome), enabled)
}

/// The length of a bounded text in a log.
fn length(text: impl Display) -> usize {
    shown(text, usize::MAX).unwrap_or_default()
}

/// The guest's functions at a trap, innermost first.
fn backtrace(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Trap(trap) if !trap.backtrace.is_empty() => {
            Some(fixed::cut(&trap.backtrace.join(" < "), BACKTRACE).into_owned())
        }
        _ => None,
    }
}
