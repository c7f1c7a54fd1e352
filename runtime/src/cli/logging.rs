//! The program's log on standard error: readable lines, or one JSON object per
//! line.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use crate::escape::{self, OneLine};
use crate::otlp::LogLayer;

use super::log_json::Json;
use super::output;

/// What is logged, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Log, on standard error")]
pub(crate) struct LogOptions {
    /// What to log: off, error, warn, info, debug or trace; or directives such
    /// as `hourglass=debug,hourglass::guest=off`, the latter being what
    /// functions print
    #[arg(
        long,
        value_name = "LEVEL",
        env = "HOURGLASS_LOG",
        default_value = "info",
        value_parser = filter,
        global = true
    )]
    log: String,
    /// How to log: in lines for people, or as a JSON object a line
    #[arg(
        long,
        value_name = "FORMAT",
        env = "HOURGLASS_LOG_FORMAT",
        value_enum,
        default_value_t = Format::Text,
        global = true
    )]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

impl LogOptions {
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.log_format, Format::Json)
    }
}

/// Checks the directives of a filter. A bare level applies to this program only:
/// its dependencies stay silent unless they are named.
fn filter(text: &str) -> Result<String, String> {
    if is_level(text) {
        return Ok(format!("hourglass={text}"));
    }
    let refused = |reason: String| {
        format!(
            "{reason}: write one of the levels off, error, warn, info, debug and trace, or \
             directives such as `hourglass=debug,hourglass::guest=off`"
        )
    };
    for directive in text.split(',').map(str::trim) {
        let reason = match directive.rsplit_once('=') {
            // The library takes any other word for a target of that name, and
            // then logs nothing else.
            None if is_level(directive) || directive.starts_with('[') => continue,
            None => "is no level",
            Some((target, level)) if target.is_empty() || !is_level(level) => {
                "is not `TARGET=LEVEL`"
            }
            Some((target, _)) if is_misspelled(target) => "does not name `hourglass`",
            Some(_) => continue,
        };
        return Err(refused(format!("`{directive}` {reason}")));
    }
    EnvFilter::builder().parse(text).map_err(|error| refused(error.to_string()))?;
    Ok(text.to_owned())
}

fn is_level(text: &str) -> bool {
    !text.is_empty() && text.parse::<tracing::level_filters::LevelFilter>().is_ok()
}

/// Whether a target resembles this program's name.
fn is_misspelled(target: &str) -> bool {
    let first = target.split("::").next().unwrap_or_default();
    first != "hourglass" && strsim::damerau_levenshtein(&first.to_lowercase(), "hourglass") <= 2
}

/// Standard error. Every record is written as one line, so that no text in it
/// can forge a second record or move a terminal's cursor.
struct Records {
    is_colored: bool,
    is_json: bool,
}

impl Records {
    /// The line written for a record.
    fn line(&self, record: &[u8]) -> String {
        let text = String::from_utf8_lossy(record);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = match line {
            line if self.is_json => escape::json(line),
            line if self.is_colored => escape::colored(&line.replace('\n', "\\n")),
            line => OneLine(line).to_string(),
        };
        line.push('\n');
        line
    }
}

impl io::Write for Records {
    /// Takes a whole record, as the formatter passes it.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(self.line(record).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts logging, also to `exported`.
pub(crate) fn start(options: &LogOptions, exported: Option<LogLayer>) -> anyhow::Result<()> {
    let is_json = options.is_json();
    let is_colored = !is_json && output::is_colored();
    let log = tracing_subscriber::fmt::layer()
        .with_writer(move || Records { is_colored, is_json })
        .with_ansi(is_colored)
        // If standard error is closed, errors can't be reported.
        .log_internal_errors(false);
    let log = match options.log_format {
        Format::Text => log.boxed(),
        Format::Json => log.event_format(Json).boxed(),
    };
    // The spans of requests are for embedders. In front of every line they would
    // repeat its fields.
    let filter = EnvFilter::builder().parse(format!("hourglass::trace=off,{}", options.log))?;
    Ok(tracing_subscriber::registry().with(log).with(exported).with(filter).try_init()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_this_programs() {
        let filter = |text: &str| filter(text).ok();
        assert_eq!(filter("debug").as_deref(), Some("hourglass=debug"));
        assert_eq!(filter("off").as_deref(), Some("hourglass=off"));
        assert_eq!(filter("warn,hourglass=info").as_deref(), Some("warn,hourglass=info"));
        assert_eq!(filter("warn,hyper=debug").as_deref(), Some("warn,hyper=debug"));
    }

    #[test]
    fn what_would_log_nothing_is_refused_with_the_levels() {
        for text in [
            "verbose",
            "",
            " ",
            ",",
            "info,",
            "warnn",
            "hourglass",
            "hyper",
            "hourglass=loud",
            "hourglass=",
            "=debug",
            "info;debug",
            "hourglas=debug",
            "Hourglass=debug",
            "6",
            "-1",
        ] {
            let error = filter(text).expect_err(text);
            assert!(error.contains("error, warn, info, debug and trace"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_record_is_one_line_whatever_it_holds() {
        let line = |is_json, is_colored| {
            let record = "\u{1b}[2ma\nb\u{1b}[2J\u{9b}\n";
            Records { is_json, is_colored }.line(record.as_bytes())
        };
        assert_eq!(line(false, false), "\\u{1b}[2ma\\nb\\u{1b}[2J\\u{9b}\n");
        assert_eq!(line(false, true), "\u{1b}[2ma\\nb\\u{1b}[2J\\u{9b}\n");
        assert_eq!(line(true, false), "\\u001b[2ma\\u000ab\\u001b[2J\\u009b\n");
    }
}
