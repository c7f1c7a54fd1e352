//! The options of the access log.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use anyhow::Context as _;
use tracing::Level;

use super::logging::LogOptions;
use super::output;
use super::settings::{AccessLogFormat, AccessLogSettings};
use crate::http::{AccessFormat, AccessLog};
use crate::schema::Partial;

/// Where requests are logged, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct AccessLogOptions {
    #[command(flatten)]
    settings: Partial<AccessLogSettings>,
}

impl AccessLogOptions {
    /// Starts the log, unless it is off, or filtered out by `--log`.
    /// `is_compact` prefers short lines on a terminal.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(crate) fn start(
        &self,
        log: &LogOptions,
        is_compact: bool,
    ) -> anyhow::Result<Option<AccessLog>> {
        let AccessLogSettings { access_log, access_log_format, access_log_sample } =
            self.settings.values();
        let is_enabled = tracing::enabled!(target: "hourglass::access", Level::INFO);
        if access_log == Path::new("off") || !is_enabled {
            return Ok(None);
        }
        let is_stderr = access_log == Path::new("stderr");
        let is_terminal = is_stderr && io::stderr().is_terminal();
        let format = match access_log_format {
            Some(AccessLogFormat::Text) => AccessFormat::Text,
            Some(AccessLogFormat::Json) => AccessFormat::Json,
            None if log.is_json() => AccessFormat::Json,
            None if !(is_compact && is_terminal) => AccessFormat::Text,
            Some(AccessLogFormat::Compact) | None => {
                AccessFormat::Compact { color: is_stderr && output::is_colored() }
            }
        };
        let writer: Box<dyn Write + Send> = if is_stderr {
            Box::new(io::stderr())
        } else {
            let file = OpenOptions::new().create(true).append(true).open(access_log);
            Box::new(file.with_context(|| {
                let path = access_log.display();
                format!(
                    "{path} can't be opened for the access log; write `off`, `stderr` or a file"
                )
            })?)
        };
        super::require_threads(1)?;
        let log = AccessLog::new(writer, format).context("the access log can't be started")?;
        Ok(Some(log.sample(*access_log_sample)))
    }
}
