//! What the spans of a request tell.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Context, Runtime, TRACE, Trace};
use hourglass_tests::collector::Span;
use hourglass_tests::guests::function;
use hourglass_tests::{LONG, lines, poll};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{Traced, tree};

/// A number of an attribute.
fn number(span: &Span, name: &str) -> f64 {
    span.attributes[name].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_the_attributes_of_the_conventions() -> Result<()> {
    let traced = Traced::start([function("t-plain", "echo")]).await?;
    assert_eq!(traced.get("/t-plain/x?a=b", &[("x-request-id", "mine")]).await?, 200);
    let spans = traced.spans().await;
    let tree = tree(&spans);
    let request = &tree["GET"];
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("url.path", "/t-plain/x"),
        ("url.query", "a=b"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.0.0.1"),
        ("faas.trigger", "http"),
        ("hourglass.request_id", "mine"),
    ] {
        assert_eq!(request.attributes[name], value, "{name}");
    }
    assert_eq!((request.kind, &*request.parent, &request.error), (SpanKind::Server, "", &None));
    let invocation = &tree["GET > t-plain"];
    for (name, value) in [
        ("faas.name", "t-plain"),
        ("faas.trigger", "http"),
        ("hourglass.outcome", "response"),
        ("hourglass.queue", "0"),
        ("hourglass.grace", "0"),
    ] {
        assert_eq!(invocation.attributes[name], value, "{name}");
    }
    assert_eq!(invocation.attributes["faas.version"].len(), 12);
    let remaining = number(invocation, "hourglass.deadline.remaining");
    assert!((5.0..=10.0).contains(&remaining), "{remaining}");
    for name in ["hourglass.checkout", "hourglass.run", "hourglass.cpu"] {
        assert!((1e-9..10.0).contains(&number(invocation, name)), "{name}");
    }
    assert!(number(invocation, "hourglass.peak_memory") >= 65_536.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_an_event_with_its_cause_and_an_error() -> Result<()> {
    let stuck = function("t-late", "stuck").timeout(Duration::from_secs(2));
    let traced = Traced::start([stuck.grace(Duration::from_millis(30))]).await?;
    assert_eq!(traced.get("/t-late/spin", &[]).await?, 504);
    let spans = traced.spans().await;
    let tree = tree(&spans);
    let late = &tree["GET > t-late"];
    assert_eq!(late.attributes["hourglass.outcome"], "deadline-exceeded");
    assert_eq!(late.attributes["hourglass.cause"], "deadline-exceeded");
    assert_eq!(late.attributes["error.type"], "deadline-exceeded");
    assert!((1.0..=2.0).contains(&number(late, "hourglass.deadline.remaining")));
    assert!(number(late, "hourglass.grace") >= 0.03);
    let [(name, at, attributes)] = &*late.events else { panic!("{:?}", late.events) };
    assert_eq!(
        (&**name, &*attributes["hourglass.cause"]),
        ("deadline-exceeded", "deadline-exceeded")
    );
    let done = Duration::from_nanos(at - late.times.0);
    assert!((Duration::from_secs(1)..Duration::from_secs(30)).contains(&done), "{done:?}");
    assert!(late.error.as_ref().unwrap().contains("deadline"), "{late:?}");
    let request = &tree["GET"];
    assert_eq!(request.attributes["http.response.status_code"], "504");
    assert_eq!(request.attributes["error.type"], "deadline-exceeded");
    assert!(request.error.is_some());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_lies_within_its_span() -> Result<()> {
    let functions =
        [function("t-none", "caller").calls(["t-none"]), function("t-some", "stuck").grace(LONG)];
    let traced = Traced::start(functions).await?;
    for timeout in ["0u", "1u", "50u", "400u"] {
        traced.get("/t-none/call/t-none/derive/apart", &[("grpc-timeout", timeout)]).await?;
    }
    // The others may all be over before they begin.
    traced.get("/t-some/sleep", &[("grpc-timeout", "1S")]).await?;
    let spans = traced.spans().await;
    assert!(spans.iter().any(|span| !span.events.is_empty()));
    for span in spans {
        let (started, ended) = span.times;
        assert!(started <= ended, "{span:#?}");
        assert!(span.events.iter().all(|(_, at, _)| (started..=ended).contains(at)), "{span:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ran_has_a_span_with_the_reason() -> Result<()> {
    let caller = function("t-caller", "caller").calls(["t-missing"]);
    let traced = Traced::start([caller]).await?;
    assert_eq!(traced.get("/t-nothing", &[]).await?, 404);
    assert_eq!(traced.get("/t-caller/call/t-missing", &[("x-request-id", "call")]).await?, 200);
    let mut spans = traced.spans().await;
    let trace = spans.iter().find(|span| span.name == "t-nothing").unwrap().trace.clone();
    let rest =
        spans.split_off(spans.iter().position(|span| span.trace != trace).unwrap_or(spans.len()));
    let refused = tree(&spans);
    assert_eq!(refused["GET"].attributes["http.response.status_code"], "404");
    assert_eq!(refused["GET"].error, None);
    assert_eq!(refused["GET > t-nothing"].attributes["hourglass.outcome"], "not-found");
    let called = tree(&rest);
    let call = &called["GET > t-caller > call t-missing"];
    assert_eq!(call.attributes["faas.invoked_name"], "t-missing");
    assert_eq!((call.kind, call.error.is_some()), (SpanKind::Client, true));
    let missing = &called["GET > t-caller > call t-missing > t-missing"];
    assert_eq!(missing.attributes["error.type"], "not-found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_admission_has_a_span_of_the_wait() -> Result<()> {
    let functions = [
        function("t-crowd", "caller").calls(["t-slow"]).timeout(Duration::from_secs(60)),
        function("t-slow", "stuck").timeout(Duration::from_millis(200)),
    ];
    let traced = Traced::start(functions).await?;
    // More calls than the capacity, and than the spans of a request.
    let path = format!("/t-crowd/all/0{}", "/t-slow:sleep".repeat(140));
    assert_eq!(traced.get(&path, &[]).await?, 200);
    let spans = traced.spans().await;
    let wait = spans.iter().find(|span| span.name == "queue").expect("one has waited");
    let waiting = spans.iter().find(|span| span.id == wait.parent).expect("it is exported");
    assert_eq!(waiting.name, "t-slow");
    assert_eq!(wait.times.0, waiting.times.0);
    let waited = Duration::from_nanos(wait.times.1 - wait.times.0).as_secs_f64();
    assert!((number(waiting, "hourglass.queue") - waited).abs() < 1e-6);
    // A request has at most 128 spans; the others are counted.
    let root = spans.iter().find(|span| span.parent.is_empty()).expect("a root");
    assert!(number(root, "hourglass.left_out") > 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_after_its_request_is_exported_too() -> Result<()> {
    let functions = [
        function("t-leaver", "caller").calls(["t-left"]).detach(Duration::from_secs(60)),
        function("t-left", "stuck").timeout(Duration::from_secs(5)),
    ];
    let traced = Traced::start(functions).await?;
    assert_eq!(traced.get("/t-leaver/detach/t-left/answer", &[]).await?, 200);
    lines::told("t-left", "begun").await;
    let before = traced.spans().await;
    let left = poll::until(|| {
        let spans = traced.collector.spans();
        spans.iter().find(|span| span.name == "t-left").cloned().ok_or(spans)
    });
    let left = left.await;
    assert!(
        before.iter().all(|span| span.name != "t-left"),
        "it ended before its request: {before:?}"
    );
    let leaver = before.iter().find(|span| span.name == "t-leaver").expect("it has ended");
    let call = traced.collector.spans().into_iter().find(|span| span.id == left.parent);
    assert_eq!(call.expect("its call is exported with it").parent, leaver.id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedders_invocation_is_a_child_of_its_own_span() -> Result<()> {
    let traced = Traced::start([function("t-own", "echo")]).await?;
    let own = Trace::root().with_sampled(true);
    let ctx = Context::background().with_value(&TRACE, own);
    let runtime: &Runtime = &traced.host.runtime;
    runtime.invoke(&ctx, "t-own", http::Request::new(())).await?;
    runtime.invoke(&Context::background(), "t-own", http::Request::new(())).await?;
    let spans = traced.spans().await;
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert_eq!(
        (&*spans[0].trace, &*spans[0].parent),
        (&*own.trace_id().to_string(), &*own.span_id().to_string())
    );
    assert_eq!(spans[1].parent, "");
    assert!(spans.iter().all(|span| span.attributes["faas.trigger"] == "other"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_whose_future_is_dropped_is_exported_as_canceled() -> Result<()> {
    let traced = Traced::start([function("t-gone", "stuck")]).await?;
    let ctx = Context::background();
    let request = http::Request::get("/t-gone/sleep").body(())?;
    tokio::select! {
        ended = traced.host.runtime.invoke(&ctx, "t-gone", request) => panic!("{ended:?}"),
        () = lines::told("t-gone", "begun") => {}
    }
    let spans = traced.spans().await;
    let [span] = &*spans else { panic!("{spans:#?}") };
    assert_eq!((&*span.name, &*span.attributes["hourglass.outcome"]), ("t-gone", "canceled"));
    Ok(())
}
