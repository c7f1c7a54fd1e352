//! Chains of hosts: deadline, trace and cancellation reach all of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::guests::module;
use hourglass_tests::program::{self, Serving};
use hourglass_tests::upstream::Upstream;
use http::Request;
use serde_json::Value;

/// Starts the program with this configuration.
fn serve(folder: &Path, name: &str, config: &str) -> Result<Serving> {
    let file = folder.join(format!("{name}.toml"));
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{config}"))?;
    let arguments = ["serve", file.to_str().unwrap(), "--log-format", "json"];
    let program = env!("CARGO_BIN_EXE_hourglass-under-test");
    Ok(Serving::start(&mut program::command(program, &arguments))?)
}

/// The configuration of a function with additional settings.
fn function(name: &str, guest: &str, more: &str) -> String {
    let limits = "timeout = \"50s\"\ngrace = \"50s\"";
    format!("[function.{name}]\nfile = {:?}\n{limits}\n{more}\n", module(guest))
}

/// The configuration of a function on another host, which the call's path selects there.
fn remote(name: &str, host: &Serving) -> String {
    let address = host.address;
    format!(
        "[function.{name}]\nurl = \"http://{address}\"\ntimeout = \"50s\"\nbaggage = [\"tenant\"]\n"
    )
}

/// Three services in a chain, and a guest behind the last one.
fn in_a_row(last: &str, guest: &str) -> Result<(tempfile::TempDir, [Serving; 3])> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let calls = |name: &str| format!("calls = [\"{name}\"]");
    let caller = |name: &str, callee: &str| {
        let routes =
            format!("routes = [{{ path = \"/{name}/{{*rest}}\", baggage = [\"tenant\"] }}]");
        function(name, "caller", &format!("{}\n{routes}", calls(callee)))
    };
    let third = serve(path, "third", &(caller("third", last) + &function(last, guest, "")))?;
    let second = serve(path, "second", &(caller("second", "third") + &remote("third", &third)))?;
    let first = serve(path, "first", &(caller("first", "second") + &remote("second", &second)))?;
    Ok((folder, [first, second, third]))
}

/// The text that the guest printed after these words.
fn printed(log: &str, words: &str) -> String {
    let (_, rest) = log.rsplit_once(words).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn budgets_shrink_along_a_chain_and_a_cancel_reaches_its_end() -> Result<()> {
    let (_folder, [first, second, third]) = in_a_row("last", "stuck")?;
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let mut client = Client::connect(first.address).await?;
        let path = "/first/budget/second/budget/third/budget/last/print";
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\ngrpc-timeout: 30S\r\n\r\n")).await?;
        let left = [&first, &second, &third].map(|service| {
            let log = service.told("left: ");
            printed(&log, "left: ").parse::<u64>().unwrap()
        });
        third.told("begun");
        assert!(left[0] <= 30_000_000 && left[0] > left[1] && left[1] > left[2], "{left:?}");
        let gone = Instant::now();
        drop(client);
        third.told("cause: client-disconnected");
        println!("left {left:?} us, told after {:?}", gone.elapsed());
        slowest = slowest.max(gone.elapsed());
    }
    println!("the last guest was canceled at the latest after {slowest:?}");
    // Before the deadline, which would end it, too.
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
    Ok(())
}

#[tokio::test]
async fn a_chain_shares_trace_request_id_and_baggage() -> Result<()> {
    let (_folder, [first, _second, _third]) = in_a_row("last", "metadata")?;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::get("/first/status/second/status/third/status/last")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .header("tracestate", "vendor=1")
        .header("baggage", "tenant=a%20b,secret=hush")
        .header("x-request-id", "mine")
        .body("")?;
    let answer = Client::connect(first.address).await?.request(&request).await?;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    assert_eq!(answer.headers()["x-request-id"], "mine");
    let shown: Value = serde_json::from_slice(answer.body())?;
    let values = shown["context"]["values"].as_array().unwrap();
    let value = |name: &str| {
        let found = values.iter().find(|value| value["name"] == name)?;
        Some(found["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(value("request-id").as_deref(), Some("mine"));
    assert_eq!(value("tenant").as_deref(), Some("a b"));
    assert_eq!(value("secret"), None);
    assert_eq!(value("tracestate").as_deref(), Some("vendor=1"));
    let step = value("traceparent").unwrap();
    assert!(step.contains(trace) && !step.contains("b7ad6b7169203331"), "{step}");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_host_is_reported() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gone = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = function("first", "caller", "calls = [\"gone\"]")
        + &format!("[function.gone]\nurl = \"http://{gone}/gone\"\n");
    let first = serve(folder.path(), "first", &config)?;
    let answer = Client::connect(first.address).await?.get("/first/call/gone").await?;
    let text = String::from_utf8_lossy(answer.body());
    assert!(text.starts_with("bad-response ") && text.contains(&gone.to_string()), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_oversized_head_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start(|head| {
        let len = if head.contains("/long") { 100 << 10 } else { 10 << 10 };
        format!("HTTP/1.1 200 OK\r\nx-more: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(len))
    });
    let upstream = upstream.await?;
    let config = function("first", "caller", "calls = [\"far\"]")
        + &format!("[function.far]\nurl = \"{}\"\n", upstream.url(""));
    let first = serve(folder.path(), "first", &config)?;
    let mut client = Client::connect(first.address).await?;
    let answer = client.get("/first/call/far/short").await?;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    let answer = client.get("/first/call/far/long").await?;
    let text = String::from_utf8_lossy(answer.body());
    assert!(text.starts_with("bad-response "), "{text}");
    Ok(())
}

#[tokio::test]
async fn calls_stay_below_the_functions_address() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into());
    let upstream = upstream.await?;
    let config = function("first", "caller", "calls = [\"far\"]")
        + &format!("[function.far]\nurl = \"{}\"\n", upstream.url("/base/"));
    let first = serve(folder.path(), "first", &config)?;
    let mut client = Client::connect(first.address).await?;
    for path in [
        "..",
        "../secret",
        "a/../../secret",
        "%2e%2e/secret",
        "%252e%252e/secret",
        "..%2fsecret",
        "..%5csecret",
        ".",
        "..;a/secret",
        ".%2E",
    ] {
        let answer = client.get(&format!("/first/call/far/{path}")).await?;
        let text = String::from_utf8_lossy(answer.body());
        assert!(text.starts_with("bad-request "), "{path}: {text}");
    }
    // The guest sends `/far/REST` with its own method.
    let tunnel = Request::builder().method("CONNECT").uri("x:1").body("")?;
    assert_eq!(Client::connect(first.address).await?.request(&tunnel).await?.status(), 405);
    let answer = client.get("/first/call/far/a/b?c=../d").await?;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    let asked = upstream.asked().await;
    assert!(asked.starts_with("GET /base/far/a/b?c=../d HTTP/1.1\r\n"), "{asked}");
    Ok(())
}
