//! The thread that sends to the collector, in an async runtime of its own: no
//! worker that runs guests ever waits for it.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use opentelemetry_otlp::{LogExporter, SpanExporter};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord};
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::runtime::Builder;

use super::ExporterError;
use super::batch::{self, Report};
use super::endpoint::Endpoint;
use super::spans::Converter;
use super::transport::{self, Exporters, TIMEOUT};
use crate::telemetry::export_queue::ExportReceiver;
use crate::telemetry::exports::{Export, Exports};

thread_local! {
    static IS_EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is the thread of an exporter. What it logs is not exported, or
/// each record would be the cause of another.
pub(super) fn is_exporting() -> bool {
    IS_EXPORTING.get()
}

/// Starts the thread. It ends when both queues are closed.
pub(super) fn start(
    endpoint: Endpoint,
    exports: &Arc<Exports>,
    requests: ExportReceiver<Export>,
    records: ExportReceiver<Box<SdkLogRecord>>,
) -> Result<(), ExporterError> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(ExporterError::Thread)?;
    let Exporters { spans, logs, cause } = {
        let _entered = runtime.enter();
        transport::exporters(&endpoint)?
    };
    let (converter, results) =
        (Converter::new(exports, transport::scope()), exports.results.clone());
    let run = move || {
        IS_EXPORTING.set(true);
        let report = |what, counts| Report::new(&endpoint.url, what, counts, cause.as_ref());
        let spans = send_spans(requests, converter, spans, report("spans", &results.spans));
        let logs = send_logs(records, logs, report("log records", &results.logs));
        runtime.block_on(async { tokio::join!(spans, logs) });
    };
    let builder = thread::Builder::new().name("hourglass-otlp".into());
    builder.spawn(run).map(drop).map_err(ExporterError::Thread)
}

async fn send_spans(
    requests: ExportReceiver<Export>,
    converter: Converter,
    spans: SpanExporter,
    report: Report<'_>,
) {
    let take = |export, batch: &mut _| converter.convert(&export, batch);
    batch::run(requests, take, async |batch| in_time(spans.export(batch)).await, report).await;
}

async fn send_logs(
    records: ExportReceiver<Box<SdkLogRecord>>,
    logs: LogExporter,
    report: Report<'_>,
) {
    let scope = transport::scope();
    let send = async |batch: Vec<Box<SdkLogRecord>>| {
        let batch: Vec<_> = batch.iter().map(|record| (&**record, &scope)).collect();
        in_time(logs.export(LogBatch::new(&batch))).await
    };
    batch::run(records, |record, batch| batch.push(record), send, report).await;
}

/// The result of an export, with all that the library tries again.
async fn in_time(export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
    let exported = tokio::time::timeout(TIMEOUT, export).await;
    exported.unwrap_or(Err(OTelSdkError::Timeout(TIMEOUT)))
}
