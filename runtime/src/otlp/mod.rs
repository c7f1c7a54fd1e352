//! Export of traces and logs by OTLP, the protocol of OpenTelemetry.
//!
//! An [`Exporter`] sends the traces of the runtimes that it is given to, and the
//! log records that its [layer](Exporter::layer) gets, to a collector. It does so
//! on a thread of its own: an invocation only leaves its finished record in a
//! queue.
//!
//! A request is a trace with these spans:
//!
//! | span | kind | parent |
//! |---|---|---|
//! | a request of a client | server | the span of its `traceparent`, or none |
//! | an invocation | internal below a request, else server | the request, the call, or the embedder's [`TRACE`](crate::TRACE) |
//! | a call of a function | client | the invocation that calls |
//! | the wait of a call for its admission | internal | the invocation that waits |
//! | a host function | internal | the call |
//! | a request to another host | client | the invocation that makes it |
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use hourglass::Runtime;
//! use hourglass::otlp::{Exporter, Protocol};
//! use tracing_subscriber::prelude::*;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let exporter = Exporter::builder("http://127.0.0.1:4318")
//!     .protocol(Protocol::Http)
//!     .sample(0.01)
//!     .start()?;
//! tracing_subscriber::registry().with(exporter.layer()).init();
//! let runtime = Runtime::builder().exporter(&exporter).build()?;
//! // Serve, and then:
//! runtime.shutdown(Duration::from_secs(10)).await;
//! exporter.flush().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//! - [`Exporter`] and its builder, here; `error`: why it can't start.
//! - `thread`: the thread that sends; `batch`: what it sends at once.
//! - `endpoint`: the collector; `transport`: gRPC and HTTP; `client`: the HTTP
//!   client.
//! - `spans`: from a request to spans; `span`: one of them; `attributes`:
//!   what it tells.
//! - `logs`: from events to log records.

mod attributes;
mod batch;
mod client;
mod endpoint;
mod error;
mod logs;
mod span;
mod spans;
mod thread;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use self::endpoint::Endpoint;
pub use self::error::ExporterError;
pub use self::logs::LogLayer;
use self::logs::LogQueue;
use crate::telemetry::exports::{ExportPolicy, Exports};

/// The duration from which on a request is slow, unless
/// [`ExporterBuilder::slow`] says otherwise.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// The longest time that [`Exporter::flush`] waits.
const FLUSH: Duration = Duration::from_secs(5);

/// Sends traces and logs to a collector. Cheap to clone; the clones are one
/// exporter.
///
/// # Bounds
/// At most 4,096 requests of 32 MiB and 4,096 log records of 16 MiB wait for the
/// collector. What exceeds that is dropped, and counted in
/// [`Metrics::export`](crate::Metrics::export). While the collector does not
/// answer, a batch is tried again for up to 10 seconds and is then lost.
#[derive(Clone, Debug)]
pub struct Exporter {
    exports: Arc<Exports>,
    logs: LogQueue,
}

/// The settings of an [`Exporter`].
#[derive(Clone, Debug)]
pub struct ExporterBuilder {
    endpoint: String,
    protocol: Protocol,
    policy: ExportPolicy,
}

/// The transport of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC, by convention on port 4317.
    #[default]
    Grpc,
    /// Protocol buffers over HTTP, by convention on port 4318. `/v1/traces` and
    /// `/v1/logs` are appended to the collector's URL.
    Http,
}

impl Exporter {
    /// The settings of an exporter to the collector with this URL.
    ///
    /// The URL has the scheme `http`, or `https` for TLS. Certificates are
    /// checked against this machine's trust store; `SSL_CERT_FILE` names
    /// another. The variable `OTEL_EXPORTER_OTLP_HEADERS` adds headers, such as
    /// `authorization=...`, and `OTEL_SERVICE_NAME` and
    /// `OTEL_RESOURCE_ATTRIBUTES` describe this process.
    /// Its service is called `hourglass` by default.
    pub fn builder(endpoint: impl Into<String>) -> ExporterBuilder {
        let policy = ExportPolicy { sample: 1.0, slow: SLOW };
        ExporterBuilder { endpoint: endpoint.into(), protocol: Protocol::default(), policy }
    }

    /// A layer for a `tracing` subscriber, which exports its events as log
    /// records. The fields `trace_id` and `span_id`, which all records of
    /// invocations have, join them to their trace. A text is cut to 8 KiB.
    ///
    /// The layer has no filter of its own. It ignores the events of the
    /// exporter's own thread.
    pub fn layer(&self) -> LogLayer {
        LogLayer::new(self.logs.clone(), self.exports.results.clone())
    }

    /// Waits until everything so far is sent or lost, at most 5 seconds.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn flush(&self) {
        let both = async { tokio::join!(self.exports.queue.flush(), self.logs.flush()) };
        if tokio::time::timeout(FLUSH, both).await.is_err() {
            tracing::warn!("the collector does not answer; the last traces and logs may be lost");
        }
    }

    pub(crate) fn exports(&self) -> Arc<Exports> {
        self.exports.clone()
    }
}

impl ExporterBuilder {
    /// The transport. Default: gRPC.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The share of the traces that is exported, between 0 and 1. It is decided
    /// where a trace begins: a request with a `traceparent` is sampled if that
    /// says so. Default: 1.
    ///
    /// A request that fails or is [slow](Self::slow) is exported in any case, up
    /// to 1,000 of them a second. Of its trace, other processes may then have
    /// exported nothing.
    #[must_use]
    pub fn sample(mut self, share: f64) -> Self {
        self.policy.sample = share;
        self
    }

    /// The duration from which on a request is slow. Default: 1 second.
    #[must_use]
    pub fn slow(mut self, least: Duration) -> Self {
        self.policy.slow = least;
        self
    }

    /// Starts the exporter and its thread. It does not wait for a connection.
    ///
    /// The thread ends when the exporter, its layers and its runtimes are
    /// dropped.
    ///
    /// # Errors
    /// [`ExporterError`].
    pub fn start(self) -> Result<Exporter, ExporterError> {
        let endpoint = Endpoint::new(&self.endpoint, self.protocol)?;
        let (exports, requests) = Exports::new(self.policy);
        let (logs, records) = logs::queue();
        thread::start(endpoint, &exports, requests, records)?;
        Ok(Exporter { exports, logs })
    }
}
