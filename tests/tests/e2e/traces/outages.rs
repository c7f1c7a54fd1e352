//! Collectors that fail.

use std::fs;
use std::time::Instant;

use anyhow::Result;
use hourglass::Runtime;
use hourglass::otlp::{Exporter, Protocol};
use hourglass_tests::client::Client;
use hourglass_tests::collector::Collector;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::Host;
use hourglass_tests::poll;
use hourglass_tests::process::delegated;
use hourglass_tests::program::Serving;

use super::super::command::{hourglass, run};
use super::{Traced, serve};

/// The exported spans by result.
fn counts(host: &Host) -> [u64; 3] {
    host.runtime.metrics().export.expect("there is an exporter").spans.map(|(_, count)| count)
}

/// A host with one function, which exports by a protocol.
async fn by(protocol: Protocol, name: &str) -> Result<Traced> {
    let collector = Collector::start().await?;
    let url = if protocol == Protocol::Grpc { &collector.grpc } else { &collector.http };
    let exporter = Exporter::builder(url).protocol(protocol).start()?;
    let host = serve(&exporter, [function(name, "echo")]).await?;
    Ok(Traced { host, exporter, collector })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_is_counted_and_later_spans_arrive() -> Result<()> {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let Traced { host, exporter, collector } = by(protocol, "o-echo").await?;
        collector.refuse(true);
        host.get("/o-echo").await?;
        exporter.flush().await;
        assert_eq!(counts(&host), [0, 2, 0]);
        assert!(collector.refused() > 0);
        collector.refuse(false);
        host.get("/o-echo").await?;
        exporter.flush().await;
        assert_eq!((counts(&host), collector.spans().len()), ([2, 2, 0], 2));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_tried_again_until_a_collector_is_back() -> Result<()> {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let Traced { host, exporter, collector } = by(protocol, "o-again").await?;
        collector.be_busy(true);
        host.get("/o-again").await?;
        poll::until(|| match collector.refused() {
            6.. => Ok(()),
            fewer => Err(fewer),
        })
        .await;
        collector.be_busy(false);
        exporter.flush().await;
        assert_eq!((counts(&host), collector.spans().len()), ([2, 0, 0], 2));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_does_not_make_a_batch_too_large() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::builder(&collector.grpc).start()?;
    let host = serve(&exporter, [function("o-long", "echo")]).await?;
    let mut client = host.client().await?;
    let (method, query) = ("X".repeat(20_000), "q".repeat(20_000));
    for _ in 0..300 {
        client.send(format!("{method} /o-long?{query} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
        client.answer(&http::Method::GET).await?;
    }
    exporter.flush().await;
    assert_eq!(counts(&host), [600, 0, 0]);
    let spans = collector.spans();
    assert!(spans.iter().all(|span| ["HTTP", "o-long"].contains(&&*span.name)));
    let request = spans.iter().find(|span| span.name == "HTTP").unwrap();
    assert_eq!(request.attributes["http.request.method"], "_OTHER");
    let longest = request.attributes.values().map(String::len).max();
    assert!(longest.is_some_and(|longest| longest <= 256), "{longest:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_collector_that_hangs_is_bounded() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::builder(&collector.grpc).start()?;
    let host = serve(&exporter, [function("o-many", "echo")]).await?;
    collector.hang();
    let mut client = host.client().await?;
    client.get("/o-many").await?;
    poll::until(|| collector.heads().first().map(drop).ok_or("no batch was sent")).await;
    // Of these the queue takes a part.
    for _ in 0..6_000 {
        client.get("/o-many").await?;
    }
    let [sent, failed, dropped] = counts(&host);
    assert_eq!(sent, 0);
    // A batch that the collector leaves unanswered for long fails, and makes room for others.
    let lost = failed + dropped;
    assert!((1_000..2_000).contains(&lost), "{failed} {dropped}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_does_not_keep_the_program_running() -> Result<()> {
    let (collector, folder) = (Collector::start().await?, tempfile::tempdir()?);
    let file = folder.path().join("hourglass.toml");
    fs::write(
        &file,
        format!("listen = \"127.0.0.1:0\"\n[function.echo]\nfile = {:?}\n", module("echo")),
    )?;
    let arguments = ["serve", file.to_str().unwrap(), "--otlp", &*collector.grpc];
    let host = Serving::start(&mut hourglass(&arguments))?;
    collector.hang();
    Client::connect(host.address).await?.get("/echo").await?;
    let started = Instant::now();
    host.signal(rustix::process::Signal::TERM);
    host.told("the collector does not answer");
    assert!(host.ended()?.success());
    println!("it ended after {:?}", started.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_starts_and_serves_without_its_collector() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hourglass.toml");
    fs::write(
        &file,
        format!("listen = \"127.0.0.1:0\"\n[function.echo]\nfile = {:?}\n", module("echo")),
    )?;
    // No server has this port, and no test gets it.
    let url = "http://127.0.0.1:1";
    for protocol in ["grpc", "http"] {
        let arguments =
            ["serve", file.to_str().unwrap(), "--otlp", url, "--otlp-protocol", protocol];
        let host = Serving::start(&mut hourglass(&arguments))?;
        assert_eq!(Client::connect(host.address).await?.get("/echo").await?.status(), 200);
        let line = host.told("the collector does not take spans");
        assert!(line.contains(url) && line.contains("refused"), "{line}");
    }
    Ok(())
}

#[test]
fn a_bad_url_is_refused_with_a_good_one() -> Result<()> {
    for bad in ["localhost:4317", "http://", "http://user:secret@host:4317", "http://host?x"] {
        let output = run(&mut hourglass(&["serve", "x.wasm", "--otlp", bad]))?;
        assert!(!output.status.success());
        assert!(
            output.err.contains("http://") && !output.err.contains("secret@"),
            "{}",
            output.err
        );
    }
    Ok(())
}

/// The threads of exporters in this process.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("there are threads").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "hourglass-otlp").count()
}

#[test]
fn the_thread_ends_with_the_exporter_and_its_runtimes() -> Result<()> {
    // Other tests of this process have exporters too.
    if delegated("traces::outages::the_thread_ends_with_the_exporter_and_its_runtimes") {
        return Ok(());
    }
    let exporter = Exporter::builder("http://127.0.0.1:1").start()?;
    // A thread gets its name once it runs.
    poll::until_blocking(|| if threads() == 1 { Ok(()) } else { Err("it does not run yet") });
    let runtime = Runtime::builder().max_in_flight(4).exporter(&exporter).build()?;
    let layer = exporter.layer();
    drop(exporter);
    drop(layer);
    assert_eq!(threads(), 1);
    drop(runtime);
    poll::until_blocking(|| if threads() == 0 { Ok(()) } else { Err("it still runs") });
    Ok(())
}
