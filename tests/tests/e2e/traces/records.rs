//! Log records.

use std::fs;

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::collector::Collector;
use hourglass_tests::guests::module;
use hourglass_tests::program::Serving;
use http::Request;

use super::super::command::hourglass;
use super::SAMPLED;

/// Starts the program with the guests that log and that fail.
fn serve(collector: &Collector, flags: &[&str]) -> Result<(tempfile::TempDir, Serving)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hourglass.toml");
    let functions =
        ["chatty", "fail"].map(|name| format!("[function.{name}]\nfile = {:?}\n", module(name)));
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{}", functions.concat()))?;
    let arguments = ["serve", file.to_str().unwrap(), "--otlp", &*collector.grpc];
    let host = Serving::start(&mut hourglass(&[&arguments, flags].concat()))?;
    Ok((folder, host))
}

async fn get(host: &Serving, path: &str) -> Result<()> {
    let request = Request::get(path).header("traceparent", SAMPLED).body("")?;
    Client::connect(host.address).await?.request(&request).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_belongs_to_the_span_of_its_invocation() -> Result<()> {
    let collector = Collector::start().await?;
    let (_folder, host) = serve(&collector, &[])?;
    get(&host, "/chatty/plain").await?;
    get(&host, "/chatty/traced").await?;
    get(&host, "/fail/7").await?;
    let spans = collector.until(6, |span| span.trace == SAMPLED[3..35]).await;
    let printed = collector.logged("the second").await;
    let [chatty, _] = &*spans.iter().filter(|span| span.name == "chatty").collect::<Vec<_>>()
    else {
        panic!("{spans:#?}")
    };
    assert_eq!((&*printed.trace, &*printed.span), (&SAMPLED[3..35], &*chatty.id));
    assert_eq!(printed.attributes["function"], "chatty");
    assert_eq!((&*printed.severity, &*printed.attributes["stream"]), ("INFO", "stdout"));
    // The failure of a function, from the host.
    let failure = collector.logged("exit").await;
    let failed = spans.iter().find(|span| span.name == "fail").unwrap();
    assert_eq!((&*failure.span, &*failure.severity), (&*failed.id, "WARN"));
    assert_eq!(failure.attributes["outcome"], "exit");
    // A guest's own fields are members of one attribute.
    let fields = collector.logged("in\\ntwo").await.attributes;
    let field = |name: &str| fields.get(&format!("fields.{name}")).map(String::as_str);
    assert_eq!(
        [field("user"), field("count"), field("price")],
        [Some("bob"), Some("3"), Some("1.5")]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_traces_are_exported_if_that_is_set() -> Result<()> {
    let collector = Collector::start().await?;
    let (_folder, host) = serve(&collector, &["--otlp-logs", "false"])?;
    get(&host, "/chatty/plain").await?;
    host.told("the second");
    collector.until(2, |_| true).await;
    host.signal(rustix::process::Signal::TERM);
    assert!(host.ended()?.success());
    assert_eq!(collector.records().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_records_cause_no_others() -> Result<()> {
    let collector = Collector::start().await?;
    // Also those of the libraries that export.
    let (_folder, host) = serve(&collector, &["--log", "trace,hyper=trace"])?;
    get(&host, "/chatty/plain").await?;
    collector.logged("the second").await;
    let count = collector.records().len();
    // Two more batches: of one second each.
    let sent = collector.heads().len();
    get(&host, "/chatty/plain").await?;
    hourglass_tests::poll::until(|| {
        let now = collector.heads().len();
        if now >= sent + 2 { Ok(()) } else { Err(now) }
    })
    .await;
    let more = collector.records().len() - count;
    assert!(more < count * 3 + 100, "{more} after {count}");
    Ok(())
}
