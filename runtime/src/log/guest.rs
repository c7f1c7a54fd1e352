//! Guest output, on its way to the host's log.

use std::error::Error;
use std::fmt::Display;
use std::time::Instant;

use tracing::Level;

use super::fields::Fields;
use super::text::{Word, shown};
use super::{About, at_level, line};
use crate::escape::OneLine;
use crate::limits::fixed;
use crate::telemetry::recorder::LogLine;

/// The target of guest output, for filters.
const GUEST: &str = "hourglass::guest";

/// A line that a guest has written to a standard stream, or a record of its
/// logger.
#[derive(Clone, Copy)]
pub(crate) struct LogRecord<'a> {
    pub(crate) level: Level,
    pub(crate) message: &'a [u8],
    pub(crate) origin: Origin<'a>,
}

/// The origin of a record.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// The standard stream of this name.
    Stream(&'static str),
    /// The module of the guest that logs it, and the guest's own fields.
    Module(&'a [u8], Fields<'a>),
}

impl LogRecord<'_> {
    /// Its length in bytes, before escaping.
    pub(crate) fn len(&self) -> usize {
        let more = match &self.origin {
            Origin::Stream(_) => 0,
            Origin::Module(module, fields) => module.len().saturating_add(fields.len()),
        };
        self.message.len().saturating_add(more)
    }

    /// Its length in a log, after escaping, which is never less than
    /// [`len`](Self::len); `None` if it exceeds `most`.
    pub(crate) fn shown(&self, most: usize) -> Option<usize> {
        match self.origin {
            Origin::Stream(_) => shown(self.message(), most),
            Origin::Module(module, fields) => {
                let (message, module) = (self.message(), Word(module));
                shown(format_args!("{message}{module}{}", fields.longest()), most)
            }
        }
    }

    /// Logs it.
    pub(crate) fn log(&self, about: &About<'_>) {
        let (stream, module, fields) = match self.origin {
            Origin::Stream(stream) => (Some(stream), None, None),
            Origin::Module(module, fields) => {
                (None, Some(String::from_utf8_lossy(module)), Some(fields))
            }
        };
        let fields = fields.filter(|fields| !fields.is_empty()).map(|fields| fields.logged());
        let (module, fields) =
            (module.as_deref(), fields.as_ref().map(|fields| fields as &(dyn Error + 'static)));
        macro_rules! log {
            ($level:ident) => {
                line!(target: GUEST, $level, about, stream, module, fields, "{}", self.message())
            };
        }
        at_level!(self.level, log);
    }

    /// The line as it is kept for operators.
    pub(crate) fn recorded(&self, span: Option<u64>) -> LogLine {
        let source = match self.origin {
            Origin::Stream(stream) => stream.into(),
            Origin::Module(module, _) => fixed::lossy(module).into(),
        };
        let text = fixed::display(&self.message(), fixed::MESSAGE).into();
        LogLine { at: Instant::now(), span, level: self.level, source, text }
    }

    fn message(&self) -> impl Display {
        OneLine(String::from_utf8_lossy(self.message))
    }
}

/// Whether the standard streams of guests are logged at all.
pub(crate) fn is_stdio_logged() -> bool {
    is_record_logged(Level::INFO)
}

/// Whether records of guests at a level are logged.
pub(crate) fn is_record_logged(level: Level) -> bool {
    macro_rules! enabled {
        ($level:ident) => {
            tracing::enabled!(target: GUEST, Level::$level)
        };
    }
    at_level!(level, enabled)
}

/// Logs that guest output is left out from here on, or how many bytes of it
/// were left out.
pub(crate) fn left_out(about: &About<'_>, bytes: Option<u64>, why: &str) {
    line!(target: GUEST, WARN, about, left_out = bytes, "{why}");
}
