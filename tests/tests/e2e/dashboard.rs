//! The endpoints of the dashboard: what runs, what has ended, and how to act on it.

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hourglass::http::{Admin, Routes};
use hourglass::{Context, Runtime};
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::upstream::Upstream;
use hourglass_tests::{LONG, lines};
use http::{Request, Response};
use serde_json::{Value, json};

/// Starts an admin listener for a runtime in the background.
async fn admin(runtime: &Runtime) -> Result<SocketAddr> {
    let mut routes = Routes::new();
    routes.add("/echoes/{*path}", "d-echo")?;
    let admin = Admin::bind("127.0.0.1:0", runtime.clone()).await?.routes(routes);
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    Ok(address)
}

async fn get(address: SocketAddr, path: &str) -> Result<Response<Vec<u8>>> {
    let request = Request::get(path).header("host", address.to_string());
    Ok(Client::connect(address).await?.request(&request.body("")?).await?)
}

async fn get_json(address: SocketAddr, path: &str) -> Result<Value> {
    let answer = get(address, path).await?;
    ensure!(answer.status() == 200, "{path}: {answer:?}");
    Ok(serde_json::from_slice(answer.body())?)
}

/// Runs a function through the dashboard. Returns the status and the answer.
async fn invoke(address: SocketAddr, function: &str, request: &Value) -> Result<(u16, Value)> {
    let request = Request::post(format!("/functions/{function}/invoke"))
        .header("host", address.to_string())
        .header("origin", format!("http://{address}"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
        .body(request.to_string())?;
    let answer = Client::connect(address).await?.request(&request).await?;
    Ok((answer.status().as_u16(), serde_json::from_slice(answer.body())?))
}

/// A stream of events.
struct Events {
    client: Client,
    /// Those that have arrived: a line with the name, and the data.
    events: VecDeque<(String, Value)>,
}

impl Events {
    /// Opens a stream. Requests are recorded once its first event is here.
    async fn open(address: SocketAddr) -> Result<Self> {
        let mut client = Client::connect(address).await?;
        client.send(format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n")).await?;
        let head = client.head().await?;
        ensure!(head.status() == 200, "{head:?}");
        assert_eq!(head.headers()["content-type"], "text/event-stream");
        Ok(Self { client, events: VecDeque::new() })
    }

    /// Waits for an event of this name whose data fits, and skips others.
    async fn next(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let next = async {
            loop {
                while let Some((head, data)) = self.events.pop_front() {
                    if head == format!("event: {name}") && fits(&data) {
                        return Ok(data);
                    }
                }
                let piece = self.client.piece().await?.context("the stream has ended")?;
                for event in str::from_utf8(&piece)?.split_terminator("\n\n") {
                    let (head, data) = event.split_once("\ndata: ").context("it has data")?;
                    self.events.push_back((head.to_owned(), serde_json::from_str(data)?));
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), next).await.context(name.to_owned())?
    }
}

/// The only request that is recorded of a function.
async fn recorded(address: SocketAddr, function: &str) -> Result<Value> {
    let list = get_json(address, &format!("/requests?function={function}")).await?;
    let requests = list["requests"].as_array().context("a list")?;
    let [request] = &requests[..] else { anyhow::bail!("not one request: {list}") };
    get_json(address, &format!("/requests/{}", request["id"])).await
}

#[tokio::test]
async fn events_show_what_runs_until_it_has_ended() -> Result<()> {
    let stuck = function("d-stuck", "stuck").timeout(LONG).grace(LONG);
    let host =
        Host::serve([stuck, function("d-caller", "caller").calls(["d-stuck"]).timeout(LONG)]);
    let host = host.await?;
    let admin = admin(&host.runtime).await?;
    let mut events = Events::open(admin).await?;
    let overview = events.next("overview", |_| true).await?;
    assert_eq!((&overview["in_flight"], &overview["max_in_flight"]), (&json!(0), &json!(64)));
    let mut client = host.client().await?;
    client.send("GET /d-caller/call/d-stuck/check HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("d-stuck", "begun").await;

    let mut live = Vec::new();
    while live.len() < 2 {
        let changes = events.next("live", |data| data["started"] != json!([])).await?;
        live.extend(changes["started"].as_array().context("a list")?.clone());
    }
    let of = |name: &str| live.iter().find(|one| one["function"] == name).cloned();
    let (caller, stuck) = (of("d-caller").context("caller")?, of("d-stuck").context("stuck")?);
    assert_eq!((&caller["parent"], &stuck["parent"]), (&json!(null), &caller["id"]));
    let left =
        stuck["deadline"].as_f64().context("a deadline")? - caller["started"].as_f64().unwrap();
    assert!((590_000.0..=600_100.0).contains(&left), "{left}");
    let both = |data: &Value| data["in_flight"] == 2;
    let overview = events.next("overview", both).await?;
    let functions = overview["functions"].as_array().context("a list")?;
    assert!(functions.iter().all(|function| function["in_flight"] == 1), "{overview}");

    let request = Request::delete(format!("/invocations/{}", caller["id"]));
    let request = request.header("host", admin.to_string()).body("")?;
    let canceled = Client::connect(admin).await?.request(&request).await?;
    assert_eq!(serde_json::from_slice::<Value>(canceled.body())?, json!({ "canceled": 2 }));
    let mut ended = BTreeSet::new();
    while ended.len() < 2 {
        let changes = events.next("live", |data| data["ended"] != json!([])).await?;
        let ids = changes["ended"].as_array().context("a list")?;
        ended.extend(ids.iter().filter_map(Value::as_u64));
    }
    let recorded = events.next("recorded", |_| true).await?;
    assert_eq!(recorded["requests"][0]["id"], caller["id"], "{recorded}");
    Ok(())
}

#[tokio::test]
async fn a_request_is_recorded_with_everything_that_it_started() -> Result<()> {
    let upstream =
        Upstream::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nfetched".into());
    let upstream = upstream.await?;
    let fetcher = function("d-fetcher", "fetcher").allow_hosts(["127.0.0.1"]);
    let caller = function("d-caller", "caller").calls(["d-fetcher", "d-echo"]);
    let host = Host::serve([fetcher, function("d-echo", "echo"), caller]).await?;
    let admin = admin(&host.runtime).await?;
    let mut events = Events::open(admin).await?;
    events.next("overview", |_| true).await?;
    let request = Request::get("/d-caller/call/d-fetcher/text?secret")
        .header("x-url", format!("http://{}/path?token", upstream.address))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body("")?;
    let answer = host.client().await?.request(&request).await?;
    assert!(answer.body().ends_with(b"fetched"), "{answer:?}");
    events.next("recorded", |_| true).await?;

    let recording = recorded(admin, "d-caller").await?;
    assert_eq!(recording["path"], "/d-caller/call/d-fetcher/text?secret");
    assert_eq!((&recording["method"], &recording["status"]), (&json!("GET"), &json!(200)));
    assert_eq!(recording["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    let spans = recording["spans"].as_array().context("a list")?;
    let of = |name: &str| spans.iter().find(|span| span["name"] == name).cloned();
    let (caller, fetcher) = (of("d-caller").context("caller")?, of("d-fetcher").context("callee")?);
    let fetch = of(&format!("GET {}", upstream.address)).context("the fetch, without its path")?;
    assert_eq!((spans.len(), &caller["parent"]), (3, &json!(null)), "{recording}");
    assert_eq!((&fetcher["parent"], &fetch["parent"]), (&caller["id"], &fetcher["id"]));
    assert_eq!((&fetch["kind"], &fetch["status"]), (&json!("fetch"), &json!(200)));
    assert_eq!(fetch["response_bytes"], "fetched".len());
    let inside = |inner: &Value, outer: &Value| {
        let at = |span: &Value, name: &str| span[name].as_f64().unwrap();
        at(outer, "start_us") <= at(inner, "start_us") && at(inner, "end_us") <= at(outer, "end_us")
    };
    assert!(inside(&fetcher, &caller) && inside(&fetch, &fetcher), "{recording}");
    for span in [&caller, &fetcher] {
        let at = |name: &str| span[name].as_f64().unwrap();
        assert!(at("checkout_us") > 0.0 && at("checkout_us") < at("end_us"), "{span}");
        assert!(at("deadline_us") > 9_000_000.0 && span["done_us"].is_null(), "{span}");
        assert_eq!(span["trace_id"], recording["trace_id"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_is_kept_with_its_log_while_no_page_is_open() -> Result<()> {
    let stuck = function("d-stuck", "stuck").timeout(Duration::from_millis(50));
    let stuck = stuck.grace(Duration::from_millis(20));
    let caller = function("d-caller", "caller").calls(["d-stuck"]);
    let host = Host::serve([stuck, caller, function("d-echo", "echo"), function("d-fail", "fail")]);
    let host = host.await?;
    let admin = admin(&host.runtime).await?;
    // The listener is ready to record once it has answered.
    get_json(admin, "/requests").await?;
    let mut client = host.client().await?;
    assert_eq!(client.get("/d-echo").await?.status(), 200);
    assert_eq!(client.get("/d-fail/panic").await?.status(), 500);
    // The caller succeeds, but its callee does not.
    assert_eq!(client.get("/d-caller/call/d-stuck/spin").await?.status(), 200);

    let list = get_json(admin, "/requests?list=failed").await?;
    let names: Vec<_> =
        list["requests"].as_array().unwrap().iter().map(|one| &one["function"]).collect();
    assert_eq!(names, ["d-caller", "d-fail"], "{list}");
    let failed = |request: &Value| request["is_failed"] == true;
    assert!(list["requests"].as_array().unwrap().iter().all(failed), "{list}");
    let trap = recorded(admin, "d-fail").await?;
    assert_eq!((&trap["outcome"], &trap["path"]), (&json!("trap"), &json!("/d-fail/panic")));
    assert_eq!(trap["status"], 500);
    let log = trap["logs"].as_array().context("a list")?;
    let panicked = |line: &Value| line["text"].as_str().unwrap().contains("panicked");
    assert!(log.iter().any(panicked), "{trap}");
    assert!(log.iter().all(|line| line["span"] == trap["id"]), "{trap}");

    let caller = recorded(admin, "d-caller").await?;
    let spans = caller["spans"].as_array().context("a list")?;
    let stuck = spans.iter().find(|span| span["name"] == "d-stuck").context("the callee")?;
    assert_eq!(stuck["outcome"], "deadline-exceeded");
    let at = |name: &str| stuck[name].as_f64().unwrap();
    assert!(at("done_us") >= at("deadline_us") && at("end_us") >= at("done_us"), "{stuck}");
    assert!(at("grace_us") >= 20_000.0, "{stuck}");

    for (filter, count) in [("outcome=trap", 1), ("outcome=exit", 0), ("trace=0", 0)] {
        let list = get_json(admin, &format!("/requests?list=failed&{filter}")).await?;
        assert_eq!(list["requests"].as_array().unwrap().len(), count, "{filter}: {list}");
    }
    assert_eq!(get(admin, "/requests?list=all").await?.status(), 400);
    assert_eq!(get(admin, "/requests/999999").await?.status(), 404);
    Ok(())
}

#[tokio::test]
async fn functions_are_shown_with_their_limits_and_what_they_may_do() -> Result<()> {
    let echo = function("d-echo", "echo").timeout(Duration::from_secs(3)).calls(["d-host"]);
    let runtime = host::runtime([echo.setting("SECRET", "hidden")]);
    let handler = async |_: Context, _| Ok(Response::new("x"));
    runtime.provide("d-host", Duration::from_secs(1), handler)?;
    let list = get(admin(&runtime).await?, "/functions").await?;
    let text = str::from_utf8(list.body())?;
    assert!(text.contains("SECRET") && !text.contains("hidden"), "{text}");
    let list: Value = serde_json::from_str(text)?;
    let [echo, host] = &list["functions"].as_array().context("a list")?[..] else {
        anyhow::bail!("not two functions: {list}")
    };
    assert_eq!((&echo["name"], &echo["kind"]), (&json!("d-echo"), &json!("function")));
    assert_eq!(
        (&echo["calls"], &echo["routes"]),
        (&json!(["d-host"]), &json!(["/echoes/{*path}"]))
    );
    let version = echo["version"].as_str().context("it has a version")?;
    assert!(version.len() == 12 && host["version"].is_null(), "{list}");
    let limits = &echo["limits"];
    assert_eq!((&limits["timeout"], &limits["memory"]), (&json!("3s"), &json!("128MiB")));
    assert!(echo["instances"].as_str().unwrap().contains("reset in place"), "{echo}");
    assert_eq!((&host["name"], &host["kind"]), (&json!("d-host"), &json!("host_function")));
    Ok(())
}

#[tokio::test]
async fn an_operator_runs_a_function_and_gets_its_recording() -> Result<()> {
    let stuck = function("d-stuck", "stuck").grace(Duration::from_millis(10));
    let runtime = host::runtime([function("d-echo", "echo"), stuck]);
    let admin = admin(&runtime).await?;
    let request =
        json!({ "method": "POST", "path": "/d-echo", "body": "hi", "headers": [["x-a", "b"]] });
    let (status, answer) = invoke(admin, "d-echo", &request).await?;
    assert_eq!((status, &answer["status"], &answer["body"]), (200, &json!(200), &json!("hi")));
    let recording = get_json(admin, &format!("/requests/{}", answer["request"])).await?;
    assert_eq!((&recording["method"], &recording["function"]), (&json!("POST"), &json!("d-echo")));

    let request = json!({ "path": "/d-stuck/spin", "timeout_ms": 20 });
    let (status, answer) = invoke(admin, "d-stuck", &request).await?;
    assert_eq!((status, &answer["status"]), (200, &json!(504)), "{answer}");
    assert_eq!(answer["outcome"], "deadline-exceeded");
    let (status, answer) = invoke(admin, "d-none", &json!({})).await?;
    assert_eq!((status, &answer["outcome"]), (200, &json!("not-found")));
    let (status, problem) = invoke(admin, "d-echo", &json!({ "path": "relative" })).await?;
    assert_eq!(status, 400, "{problem}");
    Ok(())
}

#[tokio::test]
async fn only_the_page_itself_may_act() -> Result<()> {
    let runtime = host::runtime([function("d-echo", "echo")]);
    let admin = admin(&runtime).await?;
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Client::connect(admin)
            .await?
            .request(&request.body(body.to_owned())?)
            .await
            .map_err(anyhow::Error::from)
    };
    let (host, invoke) = (admin.to_string(), "/functions/d-echo/invoke");
    let json = ("content-type", "application/json");
    let own = ("host", &*host);
    for (headers, status) in [
        // A form or a script of another page.
        (vec![own, ("origin", "http://127.0.0.1:1"), json], 403),
        (vec![own, ("sec-fetch-site", "same-site"), json], 403),
        (vec![("host", "attacker.example"), ("origin", "http://attacker.example"), json], 403),
        // The types that a page may send to another origin without asking.
        (vec![own, ("content-type", "text/plain")], 415),
        (vec![own], 415),
    ] {
        let answer = ask("POST", invoke, &headers, "{}").await?;
        assert_eq!(answer.status(), status, "{headers:?}");
    }
    // Reading changes nothing.
    assert_eq!(ask("GET", invoke, &[own], "").await?.status(), 405);
    assert_eq!(ask("GET", "/invocations/1", &[own], "").await?.status(), 405);
    let long = "x".repeat(3 << 20);
    let answer = ask("POST", invoke, &[own, json], &long).await?;
    assert_eq!(answer.status(), 413);
    assert_eq!(runtime.metrics().functions[0].outcomes, []);

    for path in ["/", "/app.js", "/app.css"] {
        let file = ask("GET", path, &[("host", "any.name")], "").await?;
        assert_eq!(file.status(), 200, "{path}: it has no data and needs no token");
        let policy = file.headers()["content-security-policy"].to_str()?;
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    Ok(())
}

#[tokio::test]
async fn streams_of_events_are_bounded_and_end_with_their_readers() -> Result<()> {
    let runtime = host::runtime([]);
    let admin = admin(&runtime).await?;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(Events::open(admin).await?);
    }
    assert_eq!(get(admin, "/events").await?.status(), 503);
    drop(streams);
    let opened = async {
        while Events::open(admin).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), opened).await.context("one has ended")
}
