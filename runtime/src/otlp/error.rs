//! Why an exporter can't start.

use std::io;

/// Why an [`Exporter`](super::Exporter) can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExporterError {
    /// The URL of the collector is not valid.
    #[error(
        "`{endpoint}` is no URL of a collector: {reason}; write it as `http://host:4317`, or \
         `https://host:4317` for TLS"
    )]
    Endpoint {
        /// The URL.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable of the environment, or a certificate, is not valid.
    #[error("the exporter can't be set up: {0}; check the variables `OTEL_EXPORTER_OTLP_*`")]
    Setup(String),
    /// The system refuses a thread or its event queue.
    #[error("the exporter's thread can't be started; raise the limit of threads and open files")]
    Thread(#[source] io::Error),
}
