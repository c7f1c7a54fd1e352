//! The access log: one record for each request, with what it cost.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hourglass::http::{AccessFormat, AccessLog, Routes, Server};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::program::Serving;
use hourglass_tests::{LONG, lines};
use http::{Method, Request};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::command::{fails, hourglass, path};

/// Sends what is written to the test.
struct Sending(UnboundedSender<Vec<u8>>);

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The records of a log in JSON.
struct Records {
    written: UnboundedReceiver<Vec<u8>>,
    log: AccessLog,
    read: Vec<Value>,
}

impl Records {
    fn new() -> Result<Self> {
        let (sender, written) = unbounded_channel();
        let log = AccessLog::new(Sending(sender), AccessFormat::Json)?;
        Ok(Self { written, log, read: Vec::new() })
    }

    /// Waits for the first `count` records.
    async fn first(&mut self, count: usize) -> Result<&[Value]> {
        while self.read.len() < count {
            let lines = tokio::time::timeout(Duration::from_secs(60), self.written.recv()).await;
            let lines = lines.with_context(|| format!("{:?}", self.read))?;
            let lines = lines.context("the log is there")?;
            for line in str::from_utf8(&lines)?.lines() {
                self.read.push(serde_json::from_str(line)?);
            }
        }
        assert_eq!(self.read.len(), count, "{:?}", self.read);
        Ok(&self.read)
    }
}

#[tokio::test]
async fn a_record_has_what_the_request_did() -> Result<()> {
    let mut records = Records::new()?;
    let stuck = function("a-stuck", "stuck").timeout(Duration::from_millis(50));
    let runtime = host::runtime([
        function("a-echo", "echo"),
        function("a-fail", "fail"),
        stuck.grace(Duration::from_millis(20)),
    ]);
    let mut routes = Routes::new();
    routes.add("/echoes/{id}", "a-echo")?;
    let log = records.log.clone();
    let named = |headers: &http::HeaderMap| Some(headers.get("x-user")?.to_str().ok()?.to_owned());
    let settings = |server: Server| server.access_log(log).routes(routes).principal(named);
    let host = Host::start(runtime, settings).await?;
    let mut client = host.client().await?;
    let request = Request::post("/echoes/7?q=%20")
        .header("x-request-id", "mine")
        .header("x-user", "gr\u{fc}n")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let echoed = client.request(&request.body("four")?).await?;
    assert_eq!(echoed.body(), b"four");
    for (target, status) in
        [("/a-fail/panic", 500), ("/a-stuck/spin", 504), ("/nothing", 404), ("/", 200)]
    {
        assert_eq!(client.get(target).await?.status(), status, "{target}");
    }
    client.send("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").await?;
    assert_eq!(client.answer(&Method::GET).await?.status(), 400);

    let records = records.first(6).await?;
    let of = |target: &str| records.iter().find(|record| record["path"] == target).context("one");
    let echoed = of("/echoes/7?q=%20")?;
    for (name, value) in [
        ("level", json!("INFO")),
        ("method", json!("POST")),
        ("protocol", json!("HTTP/1.1")),
        ("status", json!(200)),
        ("function", json!("a-echo")),
        ("route", json!("/echoes/{id}")),
        ("outcome", json!("response")),
        ("cause", json!(null)),
        ("request_bytes", json!(4)),
        ("response_bytes", json!(4)),
        ("request_id", json!("mine")),
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("client", json!("127.0.0.1")),
        ("target", json!("hourglass::access")),
    ] {
        assert_eq!(echoed[name], value, "{name}: {echoed}");
    }
    let hash = blake3::hash(&fs::read(module("echo"))?).to_hex();
    assert_eq!(echoed["version"], hash[..12], "{echoed}");
    let micros = |record: &Value, name: &str| record[name].as_f64().context(name.to_owned());
    let parts = micros(echoed, "checkout_us")? + micros(echoed, "run_us")?;
    assert!(parts > 0.0 && parts <= micros(echoed, "wall_us")?, "{echoed}");
    assert_eq!((micros(echoed, "queue_us")?, micros(echoed, "grace_us")?), (0.0, 0.0));

    let failed = of("/a-fail/panic")?;
    assert_eq!((&failed["status"], &failed["outcome"]), (&json!(500), &json!("trap")));
    let stuck = of("/a-stuck/spin")?;
    assert_eq!((&stuck["status"], &stuck["cause"]), (&json!(504), &json!("deadline-exceeded")));
    assert!(micros(stuck, "grace_us")? >= 20_000.0, "{stuck}");
    let missing = of("/nothing")?;
    assert_eq!((&missing["outcome"], &missing["function"]), (&json!("not-found"), &json!(null)));
    // A document of the host: the list of functions, and the refusal.
    let documents: BTreeMap<_, _> = records
        .iter()
        .filter(|record| record["path"] == "/")
        .map(|record| (record["status"].as_u64(), record))
        .collect();
    assert_eq!(documents.keys().collect::<Vec<_>>(), [&Some(200), &Some(400)]);
    for document in documents.values() {
        assert_eq!((&document["outcome"], &document["run_us"]), (&json!(null), &json!(null)));
        assert!(document["response_bytes"].as_u64() > Some(10), "{document}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_and_a_stream_have_a_record_at_their_end() -> Result<()> {
    let mut records = Records::new()?;
    let stuck = function("a-leaves", "stuck").timeout(LONG).grace(Duration::ZERO);
    let runtime = host::runtime([stuck, function("a-stream", "stream")]);
    let log = records.log.clone();
    let host = Host::start(runtime, |server| server.access_log(log)).await?;
    let mut client = host.client().await?;
    client.send("GET /a-leaves/check HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("a-leaves", "begun").await;
    drop(client);
    let left = &records.first(1).await?[0];
    assert_eq!((&left["status"], &left["cause"]), (&json!(499), &json!("client-disconnected")));

    let streamed = host.get("/a-stream/pieces/3").await?;
    let record = &records.first(2).await?[1];
    assert_eq!((&record["status"], &record["outcome"]), (&json!(200), &json!("response")));
    assert_eq!(record["response_bytes"], streamed.body().len(), "{record}");
    Ok(())
}

#[tokio::test]
async fn a_sample_has_all_failures() -> Result<()> {
    let mut records = Records::new()?;
    let runtime = host::runtime([function("a-echo", "echo"), function("a-fail", "fail")]);
    let log = records.log.clone().sample(0.0);
    let host = Host::start(runtime, |server| server.access_log(log)).await?;
    let mut client = host.client().await?;
    for _ in 0..20 {
        assert_eq!(client.get("/a-echo").await?.status(), 200);
    }
    assert_eq!(client.get("/a-fail/panic").await?.status(), 500);
    assert_eq!(records.first(1).await?[0]["function"], "a-fail");
    Ok(())
}

#[tokio::test]
async fn the_program_logs_to_standard_error_or_a_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("access.log");
    let echo = module("echo");
    let serve = ["serve", path(echo)];
    let get = async |serving: &Serving, target: &str| {
        Ok::<_, anyhow::Error>(Client::connect(serving.address).await?.get(target).await?.status())
    };

    let serving = Serving::start(&mut hourglass(&serve))?;
    assert_eq!(get(&serving, "/echo/shown").await?, 200);
    let line = serving.told("hourglass::access: GET /echo/shown HTTP/1.1 200 function=echo");
    assert!(line.contains("INFO"), "{line}");

    let mut command = hourglass(&serve);
    command.args(["--access-log", path(&file), "--log-format", "json"]);
    let serving = Serving::start(&mut command)?;
    assert_eq!(get(&serving, "/echo/filed").await?, 200);
    // All records are written before it exits.
    serving.signal(Signal::TERM);
    assert!(serving.ended()?.success());
    let text = fs::read_to_string(&file)?;
    let record: Value = serde_json::from_str(text.trim_end())?;
    assert_eq!((&record["path"], &record["status"]), (&json!("/echo/filed"), &json!(200)));

    for flags in [["--access-log", "off"], ["--log", "hourglass=info,hourglass::access=off"]] {
        let serving = Serving::start(hourglass(&serve).args(flags))?;
        assert_eq!(get(&serving, "/echo/silent").await?, 200);
        serving.signal(Signal::TERM);
        let log = serving.told("everything has ended");
        assert!(!log.contains("silent"), "{flags:?}: {log}");
    }

    let bad = folder.path().join("missing/access.log");
    let failed = fails(&["serve", path(echo), "--access-log", path(&bad)])?;
    assert!(failed.contains("can't be opened for the access log"), "{failed}");
    Ok(())
}
