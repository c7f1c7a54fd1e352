//! How building tells how far it is: to a terminal, to a log, or to nobody.
//!
//! The only file that knows what a progress bar is.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where building tells how far it is.
///
/// A step begins with [`step`](Progress::step) and lasts until the next one or
/// until [`end`](Progress::end). Nothing is promised about how often the
/// others are called.
pub trait Progress {
    /// Something begins that may take seconds or more.
    fn step(&mut self, what: &str);

    /// What the step is busy with right now. Comes often and may be dropped.
    fn detail(&mut self, what: &str);

    /// One part of the step is finished: the `done`th out of `of`.
    fn part(&mut self, name: &str, done: usize, of: usize);

    /// Text for the reader to keep, one line or more: a warning, say.
    fn note(&mut self, text: &str);

    /// The last step is over.
    fn end(&mut self);

    /// Whether [`note`](Progress::note), and the failures that the caller will
    /// show, may hold the escape sequences that colour text. No, unless an
    /// implementation says otherwise.
    fn colour(&self) -> bool {
        false
    }
}

/// Tells nobody; for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn step(&mut self, _: &str) {}
    fn detail(&mut self, _: &str) {}
    fn part(&mut self, _: &str, _: usize, _: usize) {}
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
}

/// Progress on standard error: a moving bar where that is a terminal, plain
/// lines where it is not.
#[must_use]
pub fn to_stderr() -> Box<dyn Progress> {
    if io::stderr().is_terminal() { Box::new(Terminal { bar: None }) } else { Box::new(Lines) }
}

/// Writes a line to standard error. Nobody has to be there to read it.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Plain lines: steps and finished parts, without the details.
struct Lines;

impl Progress for Lines {
    fn step(&mut self, what: &str) {
        say(format_args!("{what}"));
    }

    fn detail(&mut self, _: &str) {}

    fn part(&mut self, name: &str, done: usize, of: usize) {
        say(format_args!("  {name} ({done} of {of})"));
    }

    fn note(&mut self, text: &str) {
        say(format_args!("{text}"));
    }

    fn end(&mut self) {}
}

const RUNNING: &str = "{spinner} {prefix} {wide_msg:.dim}";
const COUNTING: &str = "{spinner} {prefix} {bar:20} {pos} of {len} {wide_msg:.dim}";

/// One bar at the bottom of the terminal, gone when the step is over.
struct Terminal {
    bar: Option<ProgressBar>,
}

impl Progress for Terminal {
    fn step(&mut self, what: &str) {
        self.end();
        let bar = ProgressBar::new_spinner().with_style(style(RUNNING));
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bar = Some(bar);
    }

    fn detail(&mut self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    fn part(&mut self, name: &str, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_style(style(COUNTING));
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message(name.to_owned());
        }
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(format_args!("{text}"))),
            None => say(format_args!("{text}")),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn colour(&self) -> bool {
        std::env::var_os("NO_COLOR").is_none()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
    }
}

/// A test sees to it that the templates are good, so nothing falls back.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_good() {
        for template in [RUNNING, COUNTING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
