//! What a serving program writes besides its log.

use crate::http::{AccessLog, Server};
use crate::otlp::Exporter;

/// The access log and the exporter, if there are any.
pub(crate) struct Outputs {
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) exporter: Option<Exporter>,
}

impl Outputs {
    /// Sets those of a server.
    pub(crate) fn apply(&self, server: Server) -> Server {
        match &self.access_log {
            Some(log) => server.access_log(log.clone()),
            None => server,
        }
    }

    /// Writes and sends everything so far.
    pub(crate) async fn flush(&self) {
        if let Some(log) = &self.access_log {
            log.flush();
        }
        if let Some(exporter) = &self.exporter {
            exporter.flush().await;
        }
    }
}
