//! Progress reports of a build.
//!
//! Only this file names the progress bar library.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A report.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step begins that may take seconds or longer. It lasts until the next
    /// one or the end.
    Step(&'a str),
    /// The current activity of the step. Reported often.
    Detail(&'a str),
    /// One part of the step is finished.
    Part {
        /// Its name.
        name: &'a str,
        /// The number of finished parts.
        done: usize,
        /// The number of all parts.
        of: usize,
    },
    /// Text to keep, one line or more, such as a warning.
    Note(&'a str),
    /// The last step is over.
    End,
}

/// Receives the progress of a build.
pub struct Progress<'a> {
    report: Box<dyn FnMut(Event<'_>) + 'a>,
    /// Whether notes, and the failures that the caller shows, may contain escape
    /// sequences for color.
    pub(crate) is_colored: bool,
}

impl<'a> Progress<'a> {
    /// Passes each report to `report`, without colors.
    pub fn new(report: impl FnMut(Event<'_>) + 'a) -> Self {
        Self { report: Box::new(report), is_colored: false }
    }

    /// Writes to standard error: a progress bar on a terminal, lines without the
    /// details otherwise.
    #[must_use]
    pub fn to_stderr() -> Self {
        if !io::stderr().is_terminal() {
            return Self::new(write_line);
        }
        let mut bar = None;
        let is_colored = std::env::var_os("NO_COLOR").is_none();
        Self { report: Box::new(move |event| update(&mut bar, event)), is_colored }
    }

    pub(crate) fn report(&mut self, event: Event<'_>) {
        (self.report)(event);
    }
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

fn write_line(event: Event<'_>) {
    // A closed standard error is ignored.
    let _ = match event {
        Event::Step(text) | Event::Note(text) => writeln!(io::stderr(), "{text}"),
        Event::Part { name, done, of } => writeln!(io::stderr(), "  {name} ({done} of {of})"),
        Event::Detail(_) | Event::End => Ok(()),
    };
}

const RUNNING: &str = "{spinner} {prefix} {wide_msg:.dim}";
const COUNTING: &str = "{spinner} {prefix} {bar:20} {pos} of {len} {wide_msg:.dim}";

/// Updates the bar at the bottom of the terminal. Dropping it clears it.
fn update(bar: &mut Option<ProgressBar>, event: Event<'_>) {
    match (event, bar.as_ref()) {
        (Event::Step(text), _) => {
            *bar = None;
            let new = ProgressBar::new_spinner().with_style(style(RUNNING));
            let new = new.with_prefix(text.to_owned()).with_finish(ProgressFinish::AndClear);
            new.enable_steady_tick(Duration::from_millis(100));
            *bar = Some(new);
        }
        (Event::Detail(text), Some(bar)) => bar.set_message(text.to_owned()),
        (Event::Part { name, done, of }, Some(bar)) => {
            bar.set_style(style(COUNTING));
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message(name.to_owned());
        }
        (Event::Note(_), Some(bar)) => bar.suspend(|| write_line(event)),
        (Event::Note(_), None) => write_line(event),
        (Event::End, _) => *bar = None,
        (Event::Detail(_) | Event::Part { .. }, None) => {}
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
