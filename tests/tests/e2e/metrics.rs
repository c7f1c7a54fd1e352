//! Metrics and health: every value is checked against what a test did.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hourglass::http::Admin;
use hourglass::{Context, Histogram, Runtime};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, repository};
use hourglass_tests::host::{self, Host};
use hourglass_tests::lines;
use http::{Method, Request, Response};

const LONG: Duration = Duration::from_secs(600);

/// Starts an admin listener for a runtime in the background.
async fn admin(runtime: &Runtime) -> Result<SocketAddr> {
    let admin = Admin::bind("127.0.0.1:0", runtime.clone()).await?;
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    Ok(address)
}

async fn get(address: SocketAddr, path: &str, accept: &str) -> Result<Response<Vec<u8>>> {
    let request = Request::get(path).header("host", address.to_string()).header("accept", accept);
    Ok(Client::connect(address).await?.request(&request.body("")?).await?)
}

/// The samples of a scrape, by name and labels as they are written.
#[derive(Debug, PartialEq)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub(crate) async fn of(address: SocketAddr) -> Result<Self> {
        Self::parse(get(address, "/metrics", "text/plain").await?.body())
    }

    fn parse(body: &[u8]) -> Result<Self> {
        let lines = str::from_utf8(body)?.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a sample has a value")?;
            Ok((name.to_owned(), value.parse()?))
        });
        Ok(Self(samples.collect::<Result<_>>()?))
    }

    pub(crate) fn get(&self, sample: &str) -> Option<f64> {
        self.0.get(sample).copied()
    }

    /// A sample of a function and an outcome.
    pub(crate) fn of_outcome(&self, name: &str, function: &str, outcome: &str) -> Option<f64> {
        self.get(&format!("{name}{{function=\"{function}\",outcome=\"{outcome}\"}}"))
    }

    /// Sum and count of the histogram of a phase.
    pub(crate) fn phase(&self, function: &str, outcome: &str, phase: &str) -> Option<(f64, f64)> {
        let part = |part| {
            self.get(&format!(
                "hourglass_invocation_duration_seconds_{part}{{function=\"{function}\",\
                 outcome=\"{outcome}\",phase=\"{phase}\"}}"
            ))
        };
        Some((part("sum")?, part("count")?))
    }
}

#[tokio::test]
async fn every_value_is_what_was_done() -> Result<()> {
    let stuck = function("m-stuck", "stuck");
    let host = Host::serve([
        function("m-echo", "echo"),
        function("m-fail", "fail"),
        stuck.timeout(Duration::from_millis(50)).grace(Duration::from_millis(20)),
        function("m-caller", "caller").calls(["m-echo"]),
    ])
    .await?;
    let mut client = host.client().await?;
    for _ in 0..3 {
        let echoed = client.request(&Request::post("/m-echo").body("ten bytes!")?).await?;
        assert_eq!(echoed.body(), b"ten bytes!");
    }
    for (path, status) in [
        ("/m-stuck/spin", 504),
        ("/m-fail/panic", 500),
        ("/m-caller/call/m-echo", 200),
        ("/nothing", 404),
    ] {
        assert_eq!(client.get(path).await?.status(), status, "{path}");
    }

    let scrape = Scrape::of(admin(&host.runtime).await?).await?;
    let invocations =
        |function, outcome| scrape.of_outcome("hourglass_invocations_total", function, outcome);
    assert_eq!(invocations("m-echo", "response"), Some(4.0));
    assert_eq!(invocations("m-caller", "response"), Some(1.0));
    assert_eq!(invocations("m-fail", "trap"), Some(1.0));
    assert_eq!(invocations("m-stuck", "deadline-exceeded"), Some(1.0));
    assert_eq!(invocations("m-stuck", "response"), None);

    let echo = |name| scrape.of_outcome(name, "m-echo", "response");
    assert_eq!(echo("hourglass_request_body_bytes_total"), Some(30.0));
    assert_eq!(echo("hourglass_response_body_bytes_total"), Some(30.0));
    assert_eq!(echo("hourglass_calls_total"), Some(0.0));
    let calls = scrape.of_outcome("hourglass_calls_total", "m-caller", "response");
    assert_eq!(calls, Some(1.0));
    let memory = echo("hourglass_invocation_peak_memory_bytes").context("it has a memory")?;
    assert!((65_536.0..64e6).contains(&memory), "{memory}");

    // Only a call can wait for its admission, and the call may have been admitted at once.
    assert_eq!(scrape.phase("m-caller", "response", "queue"), Some((0.0, 1.0)));
    for phase in ["checkout", "run"] {
        let (sum, count) = scrape.phase("m-echo", "response", phase).context("it has run")?;
        assert!(sum > 0.0 && count == 4.0, "{phase}: {sum} in {count}");
    }
    assert_eq!(scrape.phase("m-echo", "response", "grace"), Some((0.0, 4.0)));
    let timed = |phase| scrape.phase("m-stuck", "deadline-exceeded", phase);
    let ((run, _), (grace, _)) = timed("run").zip(timed("grace")).context("it has run")?;
    // The time before the deadline is that of the checkout, too.
    let (checkout, _) = timed("checkout").context("it has an instance")?;
    assert!(run > 0.0 && checkout + run > 0.045 && grace >= 0.02, "{checkout}, {run} and {grace}");
    let cpu =
        scrape.of_outcome("hourglass_invocation_cpu_seconds_total", "m-stuck", "deadline-exceeded");
    assert!(cpu.is_some_and(|cpu| cpu > 0.0), "{cpu:?}");

    for (sample, value) in [
        ("hourglass_cancellations_total{function=\"m-stuck\",cause=\"deadline-exceeded\"}", 1.0),
        ("hourglass_interruption_lateness_seconds_count{function=\"m-stuck\"}", 1.0),
        ("hourglass_interruption_lateness_seconds_count{function=\"m-echo\"}", 0.0),
        ("hourglass_instances_total{function=\"m-fail\",source=\"new-none-idle\"}", 1.0),
        ("hourglass_rejections_total{reason=\"not-found\"}", 1.0),
        ("hourglass_http_responses_total{class=\"2xx\"}", 4.0),
        ("hourglass_http_responses_total{class=\"4xx\"}", 1.0),
        ("hourglass_http_responses_total{class=\"5xx\"}", 2.0),
        ("hourglass_connections_total", 1.0),
        ("hourglass_open_connections", 1.0),
        ("hourglass_in_flight", 0.0),
        // That of the connection.
        ("hourglass_contexts", 1.0),
        ("hourglass_max_in_flight", 64.0),
        ("hourglass_draining", 0.0),
    ] {
        assert_eq!(scrape.get(sample), Some(value), "{sample}");
    }
    let sources = ["reset", "new-none-idle"].map(|source| {
        let sample =
            format!("hourglass_instances_total{{function=\"m-echo\",source=\"{source}\"}}");
        scrape.get(&sample).unwrap_or_default()
    });
    assert_eq!(sources.iter().sum::<f64>(), 4.0);
    assert!(sources[1] >= 1.0, "{sources:?}");
    let loaded = ["hourglass_compilations_total", "hourglass_code_cache_hits_total"];
    let loaded: f64 = loaded.iter().filter_map(|sample| scrape.get(sample)).sum();
    assert_eq!(loaded, 4.0);
    for sample in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"]
    {
        assert!(scrape.get(sample).is_some_and(|value| value > 0.0), "{sample}");
    }
    Ok(())
}

#[tokio::test]
async fn a_full_host_counts_what_it_refuses() -> Result<()> {
    let stuck = function("m-full", "stuck").timeout(LONG).grace(Duration::ZERO);
    let runtime = host::with(host::builder().max_in_flight(1), [stuck]);
    let host = Host::start(runtime, |server| server).await?;
    let admin = admin(&host.runtime).await?;
    let mut client = host.client().await?;
    client.send("GET /m-full/sleep HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("m-full", "begun").await;
    for _ in 0..2 {
        assert_eq!(host.get("/m-full/sleep").await?.status(), 503);
    }
    let scrape = Scrape::of(admin).await?;
    assert_eq!(scrape.get("hourglass_rejections_total{reason=\"busy\"}"), Some(2.0));
    assert_eq!(scrape.get("hourglass_in_flight"), Some(1.0));
    assert_eq!(scrape.of_outcome("hourglass_invocations_total", "m-full", "busy"), None);

    drop(client);
    host::in_flight(&host.runtime, 0).await;
    let scrape = Scrape::of(admin).await?;
    let canceled = scrape.of_outcome("hourglass_invocations_total", "m-full", "canceled");
    assert_eq!(canceled, Some(1.0));
    let cause = "hourglass_cancellations_total{function=\"m-full\",cause=\"client-disconnected\"}";
    assert_eq!(scrape.get(cause), Some(1.0));
    Ok(())
}

#[tokio::test]
async fn concurrent_invocations_are_counted_exactly() -> Result<()> {
    const CLIENTS: u32 = 8;
    const EACH: u32 = 250;
    let host = Host::serve([function("m-many", "echo")]).await?;
    let clients = (0..CLIENTS).map(|_| {
        let address = host.address;
        tokio::spawn(async move {
            let mut client = Client::connect(address).await?;
            for _ in 0..EACH {
                client.get("/m-many").await?;
            }
            anyhow::Ok(())
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    let metrics = host.runtime.metrics();
    let many = metrics.functions.first().context("it is listed")?;
    let [outcome] = &many.outcomes[..] else { panic!("all have one outcome: {many:?}") };
    let expected = u64::from(CLIENTS * EACH);
    assert_eq!((outcome.outcome, outcome.invocations), ("response", expected));
    for histogram in [outcome.queue, outcome.checkout, outcome.run, outcome.grace] {
        assert_eq!(histogram.count(), expected);
    }
    let instances = many.instances;
    assert_eq!(instances.reset + instances.none_idle + instances.new_each_time, expected);
    assert_eq!(metrics.http_responses, [("2xx", expected)]);
    Ok(())
}

#[tokio::test]
async fn clients_do_not_add_series() -> Result<()> {
    let host = Host::serve([function("m-bounded", "fail")]).await?;
    let admin = admin(&host.runtime).await?;
    let mut client = host.client().await?;
    let mut visit = async |round: u32| {
        for target in [format!("/m-bounded/{}", round + 1), format!("/{round}?{round}")] {
            let method = Method::from_bytes(format!("M{round}").as_bytes())?;
            let request = Request::builder().method(method).uri(target);
            let request = request.header("host", format!("h{round}")).body("")?;
            client.request(&request).await?;
        }
        let scrape = Scrape::of(admin).await?;
        anyhow::Ok(scrape.0.into_keys().collect::<Vec<_>>())
    };
    let first = visit(0).await?;
    for round in 1..20 {
        assert_eq!(visit(round).await?, first);
    }
    Ok(())
}

#[tokio::test]
async fn both_text_formats_have_the_same_samples() -> Result<()> {
    let host = Host::serve([function("m-formats", "echo")]).await?;
    let admin = admin(&host.runtime).await?;
    // Open until the end, so that the number of connections stays the same.
    let mut client = host.client().await?;
    client.get("/m-formats").await?;
    let open = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let (open, plain) = (get(admin, "/metrics", open).await?, get(admin, "/metrics", "*/*").await?);
    assert_eq!(
        open.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(plain.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let (open, plain) = (str::from_utf8(open.body())?, str::from_utf8(plain.body())?);
    assert!(open.ends_with("# EOF\n") && !plain.contains("# EOF"));
    // In the older format the suffix of a counter is a part of its name.
    assert!(open.contains("# TYPE hourglass_invocations counter\n"), "{open}");
    assert!(plain.contains("# TYPE hourglass_invocations_total counter\n"), "{plain}");
    // The formats write the bounds of buckets in different ways.
    let is_equal = |name: &str| name.starts_with("hourglass") && !name.contains("_bucket{");
    let own = |text: &str| -> Result<Vec<_>> {
        let samples = Scrape::parse(text.as_bytes())?.0.into_iter();
        Ok(samples.filter(|(name, _)| is_equal(name)).collect())
    };
    assert_eq!(own(open)?, own(plain)?);
    drop(client);
    Ok(())
}

#[tokio::test]
async fn an_embedder_reads_the_same_values_without_a_server() -> Result<()> {
    let stuck = function("m-dropped", "stuck").timeout(LONG);
    let runtime = host::runtime([function("m-embedded", "echo"), stuck]);
    let ctx = Context::background();
    runtime.invoke(&ctx, "m-embedded", Request::post("/").body("12345")?).await?;
    let handle = runtime.prepare(function("of-a-handle", "echo"))?;
    handle.invoke(&ctx, Request::new("")).await?;
    let running = runtime.invoke(&ctx, "m-dropped", Request::get("/sleep").body("")?);
    tokio::select! {
        ended = running => panic!("{ended:?}"),
        () = lines::told("m-dropped", "begun") => {}
    }

    let metrics = runtime.metrics();
    let names: Vec<_> = metrics.functions.iter().map(|function| &*function.function).collect();
    assert_eq!(names, ["", "m-dropped", "m-embedded"]);
    let [unnamed, dropped, embedded] = &metrics.functions[..] else { panic!("there are three") };
    assert_eq!(unnamed.outcomes[0].invocations, 1);
    assert_eq!(embedded.outcomes[0].request_bytes, 5);
    assert_eq!((dropped.outcomes[0].outcome, dropped.outcomes[0].invocations), ("canceled", 1));
    assert_eq!(dropped.cancellations, [("canceled", 1)]);

    // A new version continues the counters, and a removed function takes them away.
    runtime.deploy(function("m-embedded", "echo"))?;
    runtime.invoke(&ctx, "m-embedded", Request::new("")).await?;
    let metrics = runtime.metrics();
    assert_eq!(metrics.functions[2].outcomes[0].invocations, 2);
    assert_eq!(metrics.functions[2].lateness, Histogram::default());
    assert!(runtime.remove("m-embedded"));
    assert_eq!(runtime.metrics().functions.len(), 2);
    Ok(())
}

#[tokio::test]
async fn calls_that_the_caller_may_not_make_are_rejections() -> Result<()> {
    let caller = function("m-may-not", "caller").calls(["m-may-not"]).max_calls(1);
    let runtime = host::runtime([caller]);
    for path in ["/m-may-not/call/m-other", "/m-may-not/loop/m-may-not/2/derive/apart"] {
        let request = Request::get(path).body("")?;
        // The guest handles the refusal in its own way.
        let _ = runtime.invoke(&Context::background(), "m-may-not", request).await;
    }
    assert_eq!(runtime.metrics().rejections, [("forbidden", 1), ("calls-exceeded", 1)]);
    Ok(())
}

#[tokio::test]
async fn a_call_of_a_host_function_is_no_rejection() -> Result<()> {
    let runtime = host::runtime([function("m-calls-host", "caller").calls(["m-host"])]);
    runtime.provide("m-host", LONG, async |_, _| Ok(Response::new("here")))?;
    let request = Request::get("/m-calls-host/call/m-host").body("")?;
    runtime.invoke(&Context::background(), "m-calls-host", request).await?;
    let metrics = runtime.metrics();
    assert_eq!(metrics.rejections, []);
    let named = |name: &str| metrics.functions.iter().find(|function| &*function.function == name);
    let outcomes = &named("m-host").context("it is listed")?.outcomes;
    assert_eq!((outcomes[0].outcome, outcomes[0].invocations), ("response", 1));
    Ok(())
}

#[tokio::test]
async fn health_tells_a_host_that_drains_from_one_that_serves() -> Result<()> {
    let stuck = function("m-health", "stuck").timeout(LONG).grace(Duration::ZERO);
    let settings = |server: hourglass::http::Server| server.health("/-").drain(LONG);
    let host = Host::start(host::runtime([stuck]), settings).await?;
    let (runtime, front) = (host.runtime.clone(), host.address);
    let admin = admin(&runtime).await?;
    let ask = async |address, path| {
        let answer = get(address, path, "*/*").await?;
        ensure!(answer.headers()["cache-control"] == "no-store", "{answer:?}");
        anyhow::Ok((answer.status().as_u16(), String::from_utf8(answer.into_body())?))
    };
    for (address, live, ready) in [(admin, "/livez", "/readyz"), (front, "/-/livez", "/-/readyz")] {
        assert_eq!(ask(address, live).await?, (200, "alive\n".to_owned()));
        assert_eq!(ask(address, ready).await?, (200, "ready\n".to_owned()));
    }
    // Clients find them only where the operator put them, and only by GET and HEAD.
    assert_eq!(get(front, "/livez", "*/*").await?.status(), 404);
    let post = Request::post("/-/livez").body("")?;
    assert_eq!(host.client().await?.request(&post).await?.status(), 404);

    let mut client = host.client().await?;
    client.send("GET /m-health/sleep HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("m-health", "begun").await;
    let drained = host.stop();
    hourglass_tests::poll::until(|| if runtime.is_draining() { Ok(()) } else { Err("not yet") })
        .await;
    assert_eq!(ask(admin, "/livez").await?, (200, "alive\n".to_owned()));
    assert_eq!(ask(admin, "/readyz").await?, (503, "draining\n".to_owned()));
    drop(client);
    drained.await?;
    Ok(())
}

#[tokio::test]
async fn the_page_lists_every_metric_and_no_other() -> Result<()> {
    let host = Host::serve([function("m-page", "echo")]).await?;
    let mut client = host.client().await?;
    client.get("/m-page").await?;
    let scrape = get(admin(&host.runtime).await?, "/metrics", "text/plain").await?;
    let types = str::from_utf8(scrape.body())?.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some(name.to_owned())
    });
    let page = std::fs::read_to_string(repository().join("docs/metrics.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let names = rows.flat_map(|cell| cell.split("`, `")).map(|name| name.trim_end_matches('`'));
    let listed = names.filter(|name| !name.starts_with('/')).map(str::to_owned);
    assert_eq!(types.collect::<BTreeSet<_>>(), listed.collect::<BTreeSet<_>>());
    drop(client);
    Ok(())
}
