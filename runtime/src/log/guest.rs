//! What guests say, on its way to the host's log.

use std::error::Error;
use std::fmt::Display;

use tracing::Level;

use super::fields::Fields;
use super::text::{Word, shown};
use super::{About, line};
use crate::escape::OneLine;

/// The target of what guests say, by which a filter knows it.
const GUEST: &str = "hourglass::guest";

/// A line of a guest's.
pub(crate) trait Line {
    /// How many bytes the guest said.
    fn len(&self) -> usize;

    /// How many bytes a log shows of it, which is never less; `None` where that
    /// is more than `most`.
    fn shown(&self, most: usize) -> Option<usize>;

    /// Logs it.
    fn log(&self, about: &About<'_>);
}

/// A line that a guest has written to one of its standard streams.
pub(crate) struct Printed<'a> {
    pub(crate) stream: &'static str,
    pub(crate) text: &'a [u8],
}

/// What a guest says through a logger of its own.
pub(crate) struct Said<'a> {
    pub(crate) level: Level,
    pub(crate) message: &'a [u8],
    /// Which part of the guest says it.
    pub(crate) module: &'a [u8],
    /// Names and values of its own.
    pub(crate) fields: Fields<'a>,
}

impl Printed<'_> {
    fn text(&self) -> impl Display {
        OneLine(String::from_utf8_lossy(self.text))
    }
}

impl Line for Printed<'_> {
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

impl Said<'_> {
    fn message(&self) -> impl Display {
        OneLine(String::from_utf8_lossy(self.message))
    }
}

impl Line for Said<'_> {
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

/// Whether anything that guests write to their standard streams is logged.
pub(crate) fn is_printed() -> bool {
    is_said(Level::INFO)
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
