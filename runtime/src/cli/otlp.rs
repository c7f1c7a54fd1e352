//! The options of the export of traces and logs.

use super::settings::OtlpSettings;
use crate::otlp::{Exporter, LogLayer};
use crate::schema::Partial;

/// Where traces and logs are sent.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OtlpOptions {
    #[command(flatten)]
    settings: Partial<OtlpSettings>,
}

impl OtlpOptions {
    /// Starts the exporter, if there is a collector.
    ///
    /// # Errors
    /// The URL is not valid, or the system refuses a thread.
    pub(crate) fn start(&self) -> anyhow::Result<Option<Exporter>> {
        let OtlpSettings { otlp, otlp_protocol, otlp_sample, otlp_slow, .. } =
            self.settings.values();
        let Some(collector) = otlp else { return Ok(None) };
        super::require_threads(1)?;
        let builder = Exporter::builder(collector).protocol(*otlp_protocol);
        Ok(Some(builder.sample(*otlp_sample).slow(*otlp_slow).start()?))
    }

    /// The layer for the log, unless only traces are exported.
    pub(crate) fn layer(&self, exporter: &Exporter) -> Option<LogLayer> {
        self.settings.values().otlp_logs.then(|| exporter.layer())
    }
}
