//! Which requests are exported.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use hourglass::otlp::Exporter;
use hourglass_tests::collector::Collector;
use hourglass_tests::guests::function;
use http::Request;

use super::{SAMPLED, Traced, UNSAMPLED, serve};

#[tokio::test(flavor = "multi_thread")]
async fn the_parent_decides_and_else_chance() -> Result<()> {
    let never = Traced::sampled(0.0, [function("s-never", "echo")]).await?;
    assert_eq!(never.get("/s-never", &[]).await?, 200);
    assert_eq!(never.get("/s-never", &[("traceparent", UNSAMPLED)]).await?, 200);
    assert_eq!(never.get("/s-never", &[("traceparent", SAMPLED)]).await?, 200);
    let traces: Vec<_> = never.spans().await.into_iter().map(|span| span.trace).collect();
    assert_eq!(traces, [&SAMPLED[3..35]; 2]);

    let always = Traced::start([function("s-always", "echo")]).await?;
    assert_eq!(always.get("/s-always", &[("traceparent", UNSAMPLED)]).await?, 200);
    assert_eq!(always.get("/s-always", &[]).await?, 200);
    let spans = always.spans().await;
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert_ne!(spans[0].trace, &SAMPLED[3..35]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_traces_is_exported_whole() -> Result<()> {
    let functions = [function("s-caller", "caller").calls(["s-echo"]), function("s-echo", "echo")];
    let some = Traced::sampled(0.25, functions).await?;
    let mut client = some.host.client().await?;
    for _ in 0..400 {
        assert_eq!(client.get("/s-caller/call/s-echo").await?.status(), 200);
    }
    let spans = some.spans().await;
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    // Ten standard deviations.
    assert!((14..187).contains(&traces.len()), "{}", traces.len());
    assert_eq!(spans.len(), traces.len() * 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_is_slow_is_exported_although_it_is_not_sampled() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::builder(&collector.grpc).sample(0.0);
    // The fast ones end long before.
    let slow = Duration::from_secs(2);
    let exporter = exporter.slow(slow).start()?;
    let functions = [
        function("s-fail", "fail"),
        function("s-parent", "caller").calls(["s-fail"]),
        function("s-slow", "stuck").timeout(slow).grace(Duration::from_secs(60)),
        function("s-fast", "echo"),
    ];
    let host = serve(&exporter, functions).await?;
    for (path, status) in [
        ("/s-fast", 200),
        ("/s-nothing", 404),
        ("/s-fail/7", 500),
        // It responds although what it called has failed.
        ("/s-parent/call/s-fail/7", 200),
        // It responds after its deadline, within its grace period.
        ("/s-slow/answer", 200),
    ] {
        let request = Request::get(path).header("traceparent", UNSAMPLED).body("")?;
        assert_eq!(host.client().await?.request(&request).await?.status(), status, "{path}");
    }
    exporter.flush().await;
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    let expected = ["GET", "s-fail", "GET", "s-parent", "call s-fail", "s-fail", "GET", "s-slow"];
    assert_eq!(names, expected);
    let metrics = host.runtime.metrics().export.expect("there is an exporter");
    assert_eq!(metrics.spans, [("sent", 8), ("failed", 0), ("dropped", 0)]);
    Ok(())
}
