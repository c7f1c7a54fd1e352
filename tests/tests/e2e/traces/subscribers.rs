//! The same spans in an embedder's `tracing` subscriber.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use hourglass::Runtime;
use hourglass::otlp::Exporter;
use hourglass_tests::collector::Collector;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::process::delegated;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// The fields of a span, and its parent.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    closed: bool,
}

/// Records spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Seen>>>);

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let parent =
            ctx.span(id).and_then(|span| span.parent()).map(|parent| parent.id().into_u64());
        let mut seen = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut seen);
        self.0.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(self.0.lock().unwrap().get_mut(&id.into_u64()).unwrap());
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.0.lock().unwrap().get_mut(&id.into_u64()).unwrap().closed = true;
    }

    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {}
}

fn is_span(meta: &Metadata<'_>) -> bool {
    meta.target() == "hourglass::trace"
}

#[test]
fn a_subscriber_sees_the_spans_that_a_collector_gets() -> Result<()> {
    // The subscriber is that of the process.
    if delegated("traces::subscribers::a_subscriber_sees_the_spans_that_a_collector_gets") {
        return Ok(());
    }
    let spans = Spans::default();
    tracing_subscriber::registry().with(spans.clone().with_filter(filter_fn(is_span))).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let functions =
            [function("e-caller", "caller").calls(["e-fail"]), function("e-fail", "fail")];
        let collector = Collector::start().await?;
        let exporter = Exporter::builder(&collector.grpc).start()?;
        // Not that of other tests, which installs a subscriber.
        let builder = host::cached(Runtime::builder().max_in_flight(4).exporter(&exporter));
        let host = Host::start(host::with(builder, functions), |server| server).await?;
        assert_eq!(host.get("/e-caller/call/e-fail/7").await?.status(), 200);
        exporter.flush().await;
        let exported = collector.spans();
        let seen = spans.0.lock().unwrap().clone();
        let names: BTreeMap<_, _> = seen.values().map(|span| (span.name, span)).collect();
        let place = |name: &str, function: &str| {
            let fits = |span: &&Seen| {
                span.name == name && span.fields.get("function").is_none_or(|own| own == function)
            };
            seen.values().find(fits).unwrap_or_else(|| panic!("no {name} in {seen:#?}"))
        };
        let steps = [
            ("request", "", "GET"),
            ("invocation", "e-caller", "e-caller"),
            ("call", "e-fail", "call e-fail"),
            ("invocation", "e-fail", "e-fail"),
        ];
        let mut parent = None;
        for (name, function, exported_as) in steps {
            let span = place(name, function);
            let exported = exported.iter().find(|span| span.name == exported_as).unwrap();
            assert_eq!(span.fields["span_id"], exported.id, "{span:?}");
            assert_eq!(span.fields["trace_id"], exported.trace);
            assert!(span.closed, "{span:?}");
            if let Some(parent) = parent {
                assert_eq!(span.parent, Some(parent), "{name} {function}");
            }
            parent = seen.iter().find(|(_, other)| std::ptr::eq(*other, span)).map(|(id, _)| *id);
        }
        assert!(!names.contains_key("queue"), "the call has not waited: {seen:#?}");
        let failed = place("invocation", "e-fail");
        assert_eq!(
            (&*failed.fields["outcome"], failed.fields.contains_key("remaining")),
            ("exit", true)
        );
        assert_eq!(place("invocation", "e-caller").fields["status"], "200");
        Ok(())
    })
}
