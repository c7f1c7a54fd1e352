//! Traces and logs, as a collector gets them.
//!
//! # Layout
//! - `chain`: one trace through several functions and processes.
//! - `steps`: what the spans of a request tell.
//! - `sampling`: which requests are exported.
//! - `records`: log records.
//! - `exemplars`: metrics that lead to traces.
//! - `outages`: collectors that fail.
//! - `receiver`: a receiver of others.
//! - `subscribers`: the same spans in an embedder's `tracing` subscriber.

use std::collections::BTreeMap;

use anyhow::Result;
use hourglass::Function;
use hourglass::otlp::Exporter;
use hourglass_tests::LONG;
use hourglass_tests::collector::{Collector, Span};
use hourglass_tests::host::{self, Host};
use http::Request;

mod chain;
mod exemplars;
mod outages;
mod receiver;
mod records;
mod sampling;
mod steps;
mod subscribers;

/// A `traceparent` of a client, sampled and not.
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A host whose traces a collector gets.
struct Traced {
    host: Host,
    exporter: Exporter,
    collector: Collector,
}

impl Traced {
    /// Exports every trace.
    async fn start(functions: impl IntoIterator<Item = Function>) -> Result<Self> {
        Self::sampled(1.0, functions).await
    }

    async fn sampled(share: f64, functions: impl IntoIterator<Item = Function>) -> Result<Self> {
        let collector = Collector::start().await?;
        // What is slow is exported too, and a machine may be.
        let exporter = Exporter::builder(&collector.grpc).sample(share).slow(LONG).start()?;
        let host = serve(&exporter, functions).await?;
        Ok(Self { host, exporter, collector })
    }

    /// Sends a request, and returns the status of its response.
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<u16> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.host.client().await?.request(&request.body("")?).await?;
        Ok(response.status().as_u16())
    }

    /// All spans of requests that have ended.
    async fn spans(&self) -> Vec<Span> {
        self.exporter.flush().await;
        self.collector.spans()
    }
}

/// Serves functions with an exporter.
async fn serve(exporter: &Exporter, functions: impl IntoIterator<Item = Function>) -> Result<Host> {
    let runtime = host::with(host::builder().exporter(exporter), functions);
    Ok(Host::start(runtime, |server| server).await?)
}

/// The spans by the names from their root to them.
fn tree(spans: &[Span]) -> BTreeMap<String, Span> {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (&*span.id, span)).collect();
    let way = |span: &Span| {
        let (mut names, mut at) = (vec![&*span.name], span);
        while let Some(parent) = by_id.get(&*at.parent) {
            names.push(&parent.name);
            at = parent;
        }
        names.reverse();
        names.join(" > ")
    };
    let tree: BTreeMap<_, _> = spans.iter().map(|span| (way(span), span.clone())).collect();
    assert_eq!(tree.len(), spans.len(), "the names of a test's spans differ: {spans:#?}");
    tree
}
