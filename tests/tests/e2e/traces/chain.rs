//! One trace through several functions and processes.

use std::fs;
use std::path::Path;

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::collector::Collector;
use hourglass_tests::guests::module;
use hourglass_tests::program::Serving;
use hourglass_tests::tls::Pair;
use hourglass_tests::upstream::{Upstream, ok};
use http::Request;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::super::command::hourglass;
use super::{SAMPLED, tree};

/// Starts the program with this configuration and these flags.
fn serve(folder: &Path, name: &str, config: &str, flags: &[&str]) -> Result<Serving> {
    let file = folder.join(format!("{name}.toml"));
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{config}"))?;
    Ok(Serving::start(&mut hourglass(&[&["serve", file.to_str().unwrap()], flags].concat()))?)
}

fn function(name: &str, guest: &str, more: &str) -> String {
    format!("[function.{name}]\nfile = {:?}\n{more}\n", module(guest))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_through_three_functions_and_two_processes_is_one_trace() -> Result<()> {
    let (collector, folder) = (Collector::start().await?, tempfile::tempdir()?);
    let upstream = Upstream::start(|_| ok("")).await?;
    let last = function("far", "fetcher", &format!("allow_hosts = [\"{}\"]", upstream.address));
    let flags = ["--otlp", &*collector.http, "--otlp-protocol", "http"];
    let second = serve(folder.path(), "second", &last, &flags)?;
    let near = function("front", "caller", "calls = [\"middle\"]")
        + &function("middle", "caller", "calls = [\"far\"]")
        + &format!("[function.far]\nurl = \"http://{}\"\n", second.address);
    let first = serve(folder.path(), "first", &near, &["--otlp", &collector.grpc])?;

    let request = Request::get("/front/call/middle/call/far/pass")
        .header("traceparent", SAMPLED)
        .header("x-url", upstream.url("/"));
    let response = Client::connect(first.address).await?.request(&request.body("")?).await?;
    assert_eq!((response.status().as_u16(), &**response.body()), (200, &b"200 200 "[..]));
    let spans = collector.until(9, |span| span.trace == SAMPLED[3..35]).await;
    let tree = tree(&spans);
    let root = "GET";
    let expected = [
        (root.to_owned(), SpanKind::Server),
        (format!("{root} > front"), SpanKind::Internal),
        (format!("{root} > front > call middle"), SpanKind::Client),
        (format!("{root} > front > call middle > middle"), SpanKind::Server),
        (format!("{root} > front > call middle > middle > call far"), SpanKind::Client),
        (format!("{root} > front > call middle > middle > call far > far"), SpanKind::Internal),
        (format!("{root} > front > call middle > middle > call far > far > GET"), SpanKind::Server),
        (
            format!("{root} > front > call middle > middle > call far > far > GET > far"),
            SpanKind::Internal,
        ),
        (
            format!("{root} > front > call middle > middle > call far > far > GET > far > GET"),
            SpanKind::Client,
        ),
    ];
    let found: Vec<_> = tree.iter().map(|(way, span)| (way.clone(), span.kind)).collect();
    assert_eq!(found, expected);
    // The parent of the first one is the client's span, and the other host gets the last one.
    assert_eq!(tree[root].parent, &SAMPLED[36..52]);
    let (way, fetch) = tree.last_key_value().unwrap();
    assert!(
        upstream
            .asked()
            .await
            .contains(&format!("traceparent: 00-{}-{}-01", fetch.trace, fetch.id))
    );
    // A span lies within its parent, also on the other host.
    for (at, _) in way.match_indices(" > ") {
        let (outer, inner) = (&tree[&way[..at]], &way[at + 3..]);
        let next = inner.find(" > ").map_or(way.len(), |next| at + 3 + next);
        let inner = &tree[&way[..next]];
        assert!(
            outer.times.0 <= inner.times.0 && inner.times.1 <= outer.times.1,
            "{outer:?} {inner:?}"
        );
    }
    let pid = |span: &str| tree[span].resource["process.pid"].clone();
    assert_eq!(pid(root), first.id().to_string());
    assert_eq!(pid(way), second.id().to_string());
    assert_eq!(tree[root].resource["service.name"], "hourglass");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_describes_the_service_and_adds_headers() -> Result<()> {
    let (collector, folder) = (Collector::start().await?, tempfile::tempdir()?);
    let file = folder.path().join("hourglass.toml");
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{}", function("echo", "echo", "")))?;
    for (url, protocol) in [(&collector.grpc, "grpc"), (&collector.http, "http")] {
        let arguments =
            ["serve", file.to_str().unwrap(), "--otlp", url, "--otlp-protocol", protocol];
        let mut command = hourglass(&arguments);
        command
            .env("OTEL_SERVICE_NAME", protocol)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret");
        let attributes = "deployment.environment.name=test,service.instance.id=mine";
        command.env("OTEL_RESOURCE_ATTRIBUTES", attributes);
        // The flag precedes it.
        command.env(
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            if protocol == "http" { "grpc" } else { "http/protobuf" },
        );
        let host = Serving::start(&mut command)?;
        Client::connect(host.address).await?.get("/echo").await?;
        let spans = collector.until(2, |span| span.resource["service.name"] == protocol).await;
        assert_eq!(spans[0].resource["deployment.environment.name"], "test");
        assert_eq!(spans[0].resource["service.instance.id"], "mine");
        assert!(
            collector.heads().iter().all(|head| head.contains("x-key") && head.contains("secret"))
        );
        // The end of the program sends what waits.
        Client::connect(host.address).await?.get("/echo").await?;
        host.signal(rustix::process::Signal::TERM);
        assert!(host.ended()?.success());
        let all = collector.spans().into_iter();
        assert_eq!(all.filter(|span| span.resource["service.name"] == protocol).count(), 4);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_reached_by_tls_if_its_certificate_is_trusted() -> Result<()> {
    let ((pair, _), folder) = (Pair::new()?, tempfile::tempdir()?);
    let collector = Collector::start_encrypted(&pair).await?;
    let file = folder.path().join("hourglass.toml");
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{}", function("echo", "echo", "")))?;
    let mut command = hourglass(&["serve", file.to_str().unwrap(), "--otlp", &collector.grpc]);
    let stranger = Serving::start(&mut command)?;
    Client::connect(stranger.address).await?.get("/echo").await?;
    stranger.told("the collector does not take spans");
    let friend = Serving::start(command.env("SSL_CERT_FILE", &pair.certificate))?;
    Client::connect(friend.address).await?.get("/echo").await?;
    let spans = collector.until(2, |_| true).await;
    assert_eq!(spans[0].resource["process.pid"], friend.id().to_string());
    Ok(())
}
