//! The program's log, on standard error: for people, or a JSON object a line.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// What is logged, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Log, on standard error")]
pub(crate) struct LogOptions {
    /// What to log: off, error, warn, info, debug or trace; or directives such
    /// as `hourglass=debug,hourglass::guest=off`, the latter being what
    /// functions say
    #[arg(
        long,
        value_name = "LEVEL",
        env = "HOURGLASS_LOG",
        default_value = "info",
        global = true
    )]
    log: Filter,
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

/// The directives of a filter, known to be good.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter(String);

impl FromStr for Filter {
    type Err = ParseError;

    /// A level alone is meant for this program: what it is built upon stays
    /// silent unless it is named.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_level = text.parse::<tracing::level_filters::LevelFilter>().is_ok();
        let text = if is_level { format!("hourglass={text}") } else { text.to_owned() };
        EnvFilter::builder().parse(&text)?;
        Ok(Self(text))
    }
}

/// Starts to log.
pub(crate) fn start(options: &LogOptions) -> anyhow::Result<()> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(&options.log.0)?)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        // Where standard error is closed there is nobody to tell.
        .log_internal_errors(false);
    let started = match options.log_format {
        Format::Text => log.try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(anyhow::Error::from_boxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_this_programs() {
        let filter = |text: &str| text.parse::<Filter>().ok().map(|filter| filter.0);
        assert_eq!(filter("debug").as_deref(), Some("hourglass=debug"));
        assert_eq!(filter("off").as_deref(), Some("hourglass=off"));
        assert_eq!(filter("warn,hourglass=info").as_deref(), Some("warn,hourglass=info"));
        assert_eq!(filter("hourglass=loud"), None);
    }
}
