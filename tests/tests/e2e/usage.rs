//! The usage ledger: its sums are those of the metrics, and what a killed host did not write is
//! reported exactly.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use hourglass::{Context, PRINCIPAL, Runtime};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host;
use hourglass_tests::program::Serving;
use hourglass_tests::{LONG, poll};
use http::{Request, Response};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::command::{fails, hourglass, path, run};
use super::metrics::Scrape;

/// The functions that killed hosts run.
const FUNCTIONS: [&str; 3] = ["echo", "fail", "caller"];

/// A host with a ledger.
struct Setup {
    folder: TempDir,
}

impl Setup {
    fn new() -> Result<Self> {
        let setup = Self { folder: tempfile::tempdir()? };
        let text = format!(
            "admin = \"127.0.0.1:0\"\nprincipal_header = \"x-user\"\nusage = \"ledger\"\n\
             [function.echo]\nfile = {:?}\n[function.fail]\nfile = {:?}\n\
             [function.stuck]\nfile = {:?}\ntimeout = \"50ms\"\ngrace = \"20ms\"\n\
             [function.caller]\nfile = {:?}\ncalls = [\"echo\"]\nmax_calls = 1000000\n\
             timeout = \"10m\"\n",
            module("echo"),
            module("fail"),
            module("stuck"),
            module("caller")
        );
        fs::write(setup.config(), text)?;
        Ok(setup)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("hourglass.toml")
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Starts the host. Returns it with its address for operators.
    fn start(&self) -> Result<(Serving, SocketAddr)> {
        let host = Serving::start(&mut hourglass(&["serve", path(&self.config())]))?;
        let admin = host.admin();
        Ok((host, admin))
    }

    /// What `hourglass usage` prints as JSON.
    fn usage(&self, arguments: &[&str]) -> Result<Value> {
        let ledger = self.ledger();
        let arguments = [&["usage", path(&ledger), "--json"], arguments].concat();
        let output = run(&mut hourglass(&arguments))?;
        ensure!(output.status.success(), "{}", output.err);
        Ok(serde_json::from_str(&output.out)?)
    }
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn lost(run: &Value) -> u64 {
    run["lost"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

fn runs(usage: &Value) -> &Vec<Value> {
    usage["runs"].as_array().unwrap()
}

/// Seconds in nanoseconds.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[tokio::test]
async fn the_sums_are_those_of_the_metrics() -> Result<()> {
    let setup = Setup::new()?;
    let (host, admin) = setup.start()?;
    let mut client = Client::connect(host.address).await?;
    for round in 0..40 {
        let (target, user) = match round % 4 {
            0 => ("/echo", "ann"),
            1 => ("/caller/loop/echo/7", "bob"),
            2 => ("/fail/panic", "ann"),
            _ => ("/stuck/spin", "bob"),
        };
        let request = Request::post(target).header("x-user", user).body("x".repeat(round))?;
        client.request(&request).await?;
    }
    client.get("/echo").await?;
    let scrape = Scrape::of(admin).await?;

    // While the host runs, what it has not written yet is counted too.
    let live = poll::until(|| {
        let usage = setup.usage(&[]).map_err(|error| error.to_string())?;
        let run = runs(&usage)[0].clone();
        if run["unwritten"] == 0 { Ok(run) } else { Err(run.to_string()) }
    })
    .await;
    assert_eq!((&live["state"], number(&live, "written")), (&"live".into(), 41 + 70));
    let records = scrape.get("hourglass_usage_records_total");
    assert_eq!(records, Some(111.0));
    assert_eq!(scrape.get("hourglass_usage_lost_total{reason=\"buffer-full\"}"), Some(0.0));
    assert_eq!(scrape.get("hourglass_usage_lost_total{reason=\"write-failed\"}"), Some(0.0));
    assert!(scrape.get("hourglass_usage_file_bytes").is_some());

    host.signal(Signal::TERM);
    assert!(host.ended()?.success());
    let usage = setup.usage(&["--by", "function,outcome"])?;
    let groups = usage["groups"].as_array().context("there are groups")?;
    let mut keys = Vec::new();
    for group in groups {
        let [function, outcome] =
            ["function", "outcome"].map(|name| group["key"][name].as_str().unwrap());
        let metric = |name: &str| {
            let sample = scrape.of_outcome(name, function, outcome);
            sample.unwrap_or_else(|| panic!("no {name} of {function} and {outcome}"))
        };
        assert_eq!(number(group, "invocations") as f64, metric("hourglass_invocations_total"));
        let bytes = number(group, "request_bytes") as f64;
        assert_eq!(bytes, metric("hourglass_request_body_bytes_total"));
        let bytes = number(group, "response_bytes") as f64;
        assert_eq!(bytes, metric("hourglass_response_body_bytes_total"));
        assert_eq!(number(group, "calls") as f64, metric("hourglass_calls_total"));
        let cpu = nanos(group["cpu_seconds"].as_f64().unwrap());
        assert_eq!(cpu, nanos(metric("hourglass_invocation_cpu_seconds_total")));
        let phases = ["checkout", "run", "grace"];
        let phases = phases.map(|phase| scrape.phase(function, outcome, phase).unwrap().0);
        let (wall, phases) = (group["wall_seconds"].as_f64().unwrap(), phases.iter().sum::<f64>());
        assert!((wall - phases).abs() < 1e-6, "{wall} {phases}");
        keys.push((function, outcome));
    }
    let expected = [
        ("caller", "response"),
        ("echo", "response"),
        ("fail", "trap"),
        ("stuck", "deadline-exceeded"),
    ];
    assert_eq!(keys, expected);
    assert_eq!(number(&usage["total"], "invocations"), 111);
    assert_eq!(number(&usage["total"], "failures"), 20);
    let run = &runs(&usage)[0];
    assert_eq!((&run["state"], lost(run)), (&"complete".into(), 0));

    // A version is that of the module, whatever the function is called.
    let usage = setup.usage(&["--by", "function,version"])?;
    for group in usage["groups"].as_array().context("there are groups")? {
        let function = group["key"]["function"].as_str().context("it has a name")?;
        let hash = blake3::hash(&fs::read(module(function))?).to_hex();
        assert_eq!(group["key"]["version"], hash[..12], "{group}");
    }

    // A call has the principal of the request that led to it.
    let usage = setup.usage(&["--by", "principal,cause"])?;
    let counts: Vec<_> = usage["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let name = |key| group["key"][key].as_str();
            (name("principal"), name("cause"), number(group, "invocations"))
        })
        .collect();
    let late = Some("deadline-exceeded");
    assert_eq!(
        counts,
        [
            (None, None, 1),
            (Some("ann"), None, 20),
            (Some("bob"), None, 80),
            (Some("bob"), late, 10)
        ]
    );
    // The period is that in which invocations ended.
    for (arguments, count) in
        [(["--since", "1h"], 111), (["--until", "1h"], 0), (["--since", "2999-01-01"], 0)]
    {
        let usage = setup.usage(&arguments)?;
        assert_eq!(number(&usage["total"], "invocations"), count, "{arguments:?}");
    }
    Ok(())
}

/// Requests and responses, by function.
#[derive(Default)]
struct Traffic {
    sent: [AtomicU64; FUNCTIONS.len()],
    received: [AtomicU64; FUNCTIONS.len()],
}

impl Traffic {
    /// Sends requests until the host is gone.
    async fn send(&self, address: SocketAddr, calls: u64, mut turn: usize) -> Result<()> {
        let mut client = Client::connect(address).await?;
        loop {
            turn += 1;
            let function = turn % FUNCTIONS.len();
            let target = match FUNCTIONS[function] {
                "caller" => format!("/caller/loop/echo/{calls}"),
                "fail" => "/fail/3".to_owned(),
                name => format!("/{name}"),
            };
            self.sent[function].fetch_add(1, Ordering::SeqCst);
            let request = Request::post(target).header("x-user", format!("user{}", turn % 5));
            let response = client.request(&request.body("12345")?).await?;
            assert_ne!(response.status(), 503, "it was not invoked");
            self.received[function].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The invocations that requests lead to: at least and at most.
    fn invocations(&self, calls: u64) -> [u64; 2] {
        [&self.received, &self.sent].map(|counts| {
            let [echo, fail, caller] = counts.each_ref().map(|count| count.load(Ordering::SeqCst));
            echo + fail + caller * (1 + calls)
        })
    }
}

/// A deterministic random number (splitmix).
fn random(seed: u64) -> u64 {
    let mut number = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 31)
}

/// Starts a host again and again, and kills it after some invocations, on average `each`. Checks
/// the account of every run.
async fn kill_often(kills: u64, each: u64, calls: u64) -> Result<()> {
    let setup = Setup::new()?;
    // What each run has written and lost, as the files say before the next start.
    let mut accounts = BTreeMap::new();
    for kill in 1..=kills {
        let (host, admin) = setup.start()?;
        let (traffic, least) = (Arc::new(Traffic::default()), random(kill) % (2 * each));
        let clients: Vec<_> = (0..6)
            .map(|turn| {
                let (traffic, address) = (traffic.clone(), host.address);
                tokio::spawn(async move { traffic.send(address, calls, turn).await })
            })
            .collect();
        poll::until_within(LONG, || match traffic.invocations(calls)[0] {
            count if count >= least => Ok(()),
            count => Err(format!("{count} of {least} invocations")),
        })
        .await;
        // Half of the hosts are scraped before: the ledger counts first.
        let scraped = match kill % 2 {
            0 => Scrape::of(admin).await?.get("hourglass_usage_records_total").unwrap_or(0.0),
            _ => 0.0,
        };
        host.signal(Signal::KILL);
        host.ended()?;
        for client in clients {
            client.await?.expect_err("the host is gone");
        }
        let usage = setup.usage(&[])?;
        let run = runs(&usage).last().context("there is a run")?;
        let [at_least, at_most] = traffic.invocations(calls);
        assert_eq!((number(run, "run"), &run["state"]), (kill, &"killed".into()), "{run}");
        assert_eq!(run["exact"], true);
        let (written, lost) = (number(run, "written"), lost(run));
        assert_eq!(number(run, "invocations"), written + lost);
        assert!((at_least..=at_most).contains(&(written + lost)), "{at_least} {at_most} {run}");
        assert!(scraped as u64 <= written + lost, "{scraped} {run}");
        assert_eq!(number(run, "present"), written);
        accounts.insert(kill, (written, lost));
    }
    let (host, _) = setup.start()?;
    host.signal(Signal::TERM);
    assert!(host.ended()?.success());

    // The hosts that followed have recorded the same.
    let usage = setup.usage(&["--by", "function,principal"])?;
    for run in runs(&usage) {
        let former = accounts.get(&number(run, "run"));
        let account = former.copied().unwrap_or_default();
        assert_eq!((number(run, "written"), lost(run)), account, "{run}");
        let state = if former.is_some() { "killed" } else { "complete" };
        assert_eq!(run["state"], state);
    }
    let written: u64 = accounts.values().map(|(written, _)| written).sum();
    let lost_in_all: u64 = accounts.values().map(|(_, lost)| lost).sum();
    let earlier = usage["lost_earlier"].as_object().context("it is a map")?;
    let earlier: u64 = earlier.values().filter_map(Value::as_u64).sum();
    assert_eq!(runs(&usage).iter().map(lost).sum::<u64>() + earlier, lost_in_all);
    assert_eq!(number(&usage["total"], "invocations"), written);
    let groups = usage["groups"].as_array().context("there are groups")?;
    assert_eq!(groups.iter().map(|group| number(group, "invocations")).sum::<u64>(), written);
    assert_eq!(usage["damaged"], Value::Null);
    println!(
        "{kills} kills: {} invocations = {written} written + {lost_in_all} lost",
        written + lost_in_all
    );
    Ok(())
}

#[tokio::test]
async fn what_killed_hosts_did_not_write_is_reported_exactly() -> Result<()> {
    kill_often(8, 4_000, 40).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes"]
async fn ten_million_invocations_with_a_hundred_kills_add_up() -> Result<()> {
    kill_often(100, 110_000, 1_000).await
}

#[test]
fn wrong_input_has_a_clear_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let missing = folder.path().join("missing");
    for (arguments, part) in [
        (vec!["usage", path(folder.path())], "is no usage ledger"),
        (vec!["usage", path(&missing)], "No such file or directory"),
        (vec!["usage"], "no usage ledger is given"),
    ] {
        let error = fails(&arguments)?;
        assert!(error.contains(part), "{error}");
    }
    for (arguments, part) in [
        (["usage", "x", "--by", "tenant"], "possible values: function, version, principal"),
        (["usage", "x", "--since", "monday"], "write a time ago such as `90m`"),
    ] {
        let output = run(&mut hourglass(&arguments))?;
        assert_eq!(output.status.code(), Some(2));
        assert!(output.err.contains(part), "{}", output.err);
    }
    Ok(())
}

#[test]
fn a_second_host_is_refused() -> Result<()> {
    let setup = Setup::new()?;
    let (host, _) = setup.start()?;
    let error = fails(&["serve", path(&setup.config())])?;
    let part = format!("in use by another host, process {}", host.id());
    assert!(error.contains(&part), "{error}");
    Ok(())
}

/// The ledger of an embedder.
fn embedded(dir: &Path) -> Runtime {
    let builder = host::builder().usage_dir(dir).usage_size(1 << 20);
    host::with(
        builder,
        [function("u-echo", "echo"), function("u-caller", "caller").calls(["u-host"])],
    )
}

#[tokio::test]
async fn an_embedder_has_a_ledger_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = embedded(folder.path());
    runtime.provide("u-host", LONG, async |_, _| Ok(Response::new("here")))?;
    let ctx = Context::background().with_value(&PRINCIPAL, "tenant".to_owned());
    runtime.invoke(&ctx, "u-echo", Request::new("12345")).await?;
    let call = Request::get("/u-caller/call/u-host").body("")?;
    runtime.invoke(&ctx, "u-caller", call).await?;
    let handle = runtime.prepare(function("u-handle", "echo"))?;
    handle.invoke(&ctx, Request::new("")).await?;
    assert!(runtime.invoke(&ctx, "u-missing", Request::new("")).await.is_err());
    let metrics = runtime.metrics().usage.context("there is a ledger")?;
    assert_eq!((metrics.records, metrics.lost[0]), (4, ("buffer-full", 0)));
    // A removed function and one with its place have different names.
    assert!(runtime.remove("u-echo"));
    runtime.deploy(function("u-other", "echo"))?;
    runtime.invoke(&ctx, "u-other", Request::new("")).await?;
    runtime.shutdown(LONG).await;

    let arguments = ["usage", path(folder.path()), "--json", "--by", "function,principal"];
    let usage: Value = serde_json::from_str(&run(&mut hourglass(&arguments))?.out)?;
    let groups = usage["groups"].as_array().context("there are groups")?.iter();
    let counts: Vec<_> = groups
        .map(|group| (group["key"]["function"].as_str().unwrap(), number(group, "invocations")))
        .collect();
    let names = ["", "u-caller", "u-echo", "u-host", "u-other"];
    assert_eq!(counts, names.map(|name| (name, 1)));
    assert!(
        usage["groups"]
            .as_array()
            .unwrap()
            .iter()
            .all(|group| group["key"]["principal"] == "tenant")
    );
    assert_eq!(runs(&usage)[0]["state"], "complete");
    Ok(())
}
