//! Progress reports of a build: to a terminal, to a log, or discarded.
//!
//! Only this file names the progress bar library.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Receives the progress of a build.
///
/// A step begins with [`step`](Progress::step) and lasts until the next one or
/// until [`end`](Progress::end). How often the other methods are called is not
/// specified.
pub trait Progress {
    /// A step begins that may take seconds or longer.
    fn step(&mut self, what: &str);

    /// The current activity of the step. Called often; implementations may
    /// ignore it.
    fn detail(&mut self, what: &str);

    /// One part of the step is finished: part `done` of `of`.
    fn part(&mut self, name: &str, done: usize, of: usize);

    /// Text to keep, one line or more, such as a warning.
    fn note(&mut self, text: &str);

    /// The last step is over.
    fn end(&mut self);

    /// Whether [`note`](Progress::note), and the failures that the caller
    /// shows, may contain escape sequences for colour. Default: no.
    fn colour(&self) -> bool {
        false
    }
}

/// Discards all reports; for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn step(&mut self, _: &str) {}
    fn detail(&mut self, _: &str) {}
    fn part(&mut self, _: &str, _: usize, _: usize) {}
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
}

/// Progress on standard error: a progress bar on a terminal, plain lines
/// otherwise.
#[must_use]
pub fn to_stderr() -> Box<dyn Progress> {
    if io::stderr().is_terminal() { Box::new(Terminal { bar: None }) } else { Box::new(Lines) }
}

/// Writes a line to standard error, and ignores errors.
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

/// One bar at the bottom of the terminal, removed when the step is over.
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

/// A test checks the templates, so the fallback is never used.
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
