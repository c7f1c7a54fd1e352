//! The transports to a collector, and what identifies this process there.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::Protocol::HttpBinary as Binary;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, RetryPolicy, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::client::{CollectorClient, FailureCause};
use super::endpoint::Endpoint;
use super::{ExporterError, Protocol};
use crate::propagation::trace::Trace;

/// The longest time for a batch, with all attempts.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The exporters of the library.
pub(super) struct Exporters {
    pub(super) spans: SpanExporter,
    pub(super) logs: LogExporter,
    /// Why the last request failed, if the library does not report it.
    pub(super) cause: Option<FailureCause>,
}

/// The library that spans and log records come from.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("hourglass").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// The exporters, on the current async runtime.
pub(super) fn exporters(endpoint: &Endpoint) -> Result<Exporters, ExporterError> {
    let built = match endpoint.protocol {
        Protocol::Grpc => grpc(&endpoint.url),
        Protocol::Http => http(&endpoint.url),
    };
    let mut built = built.map_err(|error| {
        let reason = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        ExporterError::Setup(reason)
    })?;
    let resource = resource();
    built.spans.set_resource(&resource);
    built.logs.set_resource(&resource);
    Ok(built)
}

fn grpc(url: &str) -> Result<Exporters, ExporterBuildError> {
    let mut spans = SpanExporter::builder().with_tonic().with_endpoint(url).with_timeout(TIMEOUT);
    let mut logs = LogExporter::builder().with_tonic().with_endpoint(url).with_timeout(TIMEOUT);
    (spans, logs) = (spans.with_retry_policy(retry()), logs.with_retry_policy(retry()));
    if url.starts_with("https:") {
        let tls = ClientTlsConfig::new().with_enabled_roots();
        spans = spans.with_tls_config(tls.clone());
        logs = logs.with_tls_config(tls);
    }
    Ok(Exporters { spans: spans.build()?, logs: logs.build()?, cause: None })
}

fn http(url: &str) -> Result<Exporters, ExporterBuildError> {
    let cause = FailureCause::default();
    let client: Arc<dyn HttpClient> = Arc::new(CollectorClient::new(cause.clone()));
    let spans = SpanExporter::builder().with_http().with_protocol(Binary).with_timeout(TIMEOUT);
    let logs = LogExporter::builder().with_http().with_protocol(Binary).with_timeout(TIMEOUT);
    let spans = spans.with_retry_policy(retry()).with_shared_http_client(client.clone());
    let logs = logs.with_retry_policy(retry()).with_shared_http_client(client);
    Ok(Exporters {
        spans: spans.with_endpoint(format!("{url}/v1/traces")).build()?,
        logs: logs.with_endpoint(format!("{url}/v1/logs")).build()?,
        cause: Some(cause),
    })
}

/// A collector that is restarted is tried again until the time is up.
fn retry() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(100).with_max_delay(PAUSE)
}

/// This process. What the environment says precedes the defaults.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let is_given = |key: &Key| {
        given.get_ref(key).is_some_and(|value| !value.as_str().starts_with("unknown_service"))
    };
    let defaults = [
        KeyValue::new("service.name", "hourglass"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        // A random id, which that of a trace serves as well.
        KeyValue::new("service.instance.id", Trace::root().trace_id().to_string()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    let missing = defaults.into_iter().filter(|pair| !is_given(&pair.key));
    Resource::builder().with_attributes(missing).build()
}
