//! Guest output, on its way to the host's log.

use std::error::Error;
use std::fmt::Display;

use tracing::Level;

use super::fields::Fields;
use super::text::{Word, shown};
use super::{About, line};
use crate::escape::OneLine;

/// The target of guest output, for filters.
const GUEST: &str = "hourglass::guest";

/// A line of guest output.
pub(crate) trait Line {
    /// Its length in bytes, before escaping.
    fn len(&self) -> usize;

    /// Its length in a log, after escaping, which is never less than
    /// [`len`](Self::len); `None` if it exceeds `most`.
    fn shown(&self, most: usize) -> Option<usize>;

    /// Logs it.
    fn log(&self, about: &About<'_>);
}

/// A line that a guest has written to a standard stream.
pub(crate) struct StdioLine<'a> {
    pub(crate) stream: &'static str,
    pub(crate) text: &'a [u8],
}

/// A record of a guest's own logger.
pub(crate) struct LogRecord<'a> {
    pub(crate) level: Level,
    pub(crate) message: &'a [u8],
    /// The module of the guest that logs it.
    pub(crate) module: &'a [u8],
    /// The guest's own fields.
    pub(crate) fields: Fields<'a>,
}

impl StdioLine<'_> {
    fn text(&self) -> impl Display {
        OneLine(String::from_utf8_lossy(self.text))
    }
}

impl Line for StdioLine<'_> {
    fn len(&self) -> usize {
        self.text.len()
    }

    fn shown(&self, most: usize) -> Option<usize> {
        shown(self.text(), most)
    }

    fn log(&self, about: &About<'_>) {
        line!(target: GUEST, INFO, about, stream = self.stream, "{}", self.text());
    }
}

impl LogRecord<'_> {
    fn message(&self) -> impl Display {
        OneLine(String::from_utf8_lossy(self.message))
    }
}

impl Line for LogRecord<'_> {
    fn len(&self) -> usize {
        let len = self.message.len().saturating_add(self.module.len());
        len.saturating_add(self.fields.len())
    }

    fn shown(&self, most: usize) -> Option<usize> {
        let text = format_args!("{}{}{}", self.message(), Word(self.module), self.fields.longest());
        shown(text, most)
    }

    fn log(&self, about: &About<'_>) {
        let module = String::from_utf8_lossy(self.module);
        let fields = (!self.fields.is_empty()).then(|| self.fields.logged());
        let fields = fields.as_ref().map(|fields| fields as &(dyn Error + 'static));
        macro_rules! log {
            ($level:ident) => {
                line!(
                    target: GUEST,
                    $level,
                    about,
                    module = &*module,
                    fields,
                    "{}", self.message()
                )
            };
        }
        match self.level {
            Level::ERROR => log!(ERROR),
            Level::WARN => log!(WARN),
            Level::INFO => log!(INFO),
            Level::DEBUG => log!(DEBUG),
            Level::TRACE => log!(TRACE),
        }
    }
}

/// Whether the standard streams of guests are logged at all.
pub(crate) fn is_stdio_logged() -> bool {
    is_record_logged(Level::INFO)
}

/// Whether records of guests at a level are logged.
pub(crate) fn is_record_logged(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: GUEST, Level::ERROR),
        Level::WARN => tracing::enabled!(target: GUEST, Level::WARN),
        Level::INFO => tracing::enabled!(target: GUEST, Level::INFO),
        Level::DEBUG => tracing::enabled!(target: GUEST, Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: GUEST, Level::TRACE),
    }
}

/// Logs that guest output is left out from here on, or how many bytes of it
/// were left out.
pub(crate) fn left_out(about: &About<'_>, bytes: Option<u64>, why: &str) {
    line!(target: GUEST, WARN, about, left_out = bytes, "{why}");
}
