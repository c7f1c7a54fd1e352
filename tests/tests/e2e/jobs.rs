//! Jobs: submitted over HTTP or by an embedder, run at least once, retried, and kept.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hourglass::jobs::{
    Callback, CallbackState, JobId, JobPolicy, JobQuery, JobState, Jobs, StoreLimits,
};
use hourglass::{Cause, Context, Function, PRINCIPAL, Retry, Runtime};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::program::Serving;
use hourglass_tests::upstream::Upstream;
use hourglass_tests::{LONG, lines};
use http::{Request, Response};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{fails, hourglass, path, run};

/// A policy that retries at once.
fn policy() -> JobPolicy {
    let retry = Retry::times(3).backoff(Duration::from_millis(1), Duration::from_millis(1));
    JobPolicy::default().retry(retry)
}

fn jobs(runtime: &Runtime, dir: &Path) -> Result<Jobs> {
    Ok(Jobs::builder(runtime).default_policy(policy()).open(dir)?)
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).expect("it is text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_retried_until_it_succeeds() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = host::runtime([function("job-flaky", "job")]);
    let jobs = jobs(&runtime, dir.path())?;
    let request = Request::post("/job-flaky/flaky/2").body("")?;
    let id = jobs.submit(&Context::background(), "job-flaky", request).await?.id;
    let ended = jobs.wait(id).await?.context("it is kept")?;
    assert_eq!((ended.job.state, ended.job.attempts), (JobState::Succeeded, 3));
    assert_eq!(ended.job.failure, None);
    let response = ended.response.context("there is one")?;
    assert_eq!(text(&response.body), format!("3 {id} "));
    jobs.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_for_good_is_kept_and_can_be_run_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = host::runtime([function("job-fails", "job")]);
    let jobs = jobs(&runtime, dir.path())?;
    let request = Request::post("/job-fails/flaky/5").body("")?;
    let id = jobs.submit(&Context::background(), "job-fails", request).await?.id;
    let ended = jobs.wait(id).await?.context("it is kept")?;
    assert_eq!((ended.job.state, ended.job.attempts), (JobState::Failed, 4));
    assert_eq!(ended.job.failure.context("it has a reason")?.outcome, "server-error");
    assert_eq!(ended.response.context("it has one")?.status, 503);
    let dead = JobQuery { state: Some(JobState::Failed), limit: 9, ..JobQuery::default() };
    assert_eq!(jobs.list(dead).await?.jobs.len(), 1);
    let (job, is_queued) = jobs.retry(id).await?.context("it is kept")?;
    assert!(is_queued && job.state == JobState::Queued);
    let ended = jobs.wait(id).await?.context("it is kept")?;
    // The attempts before count.
    assert_eq!((ended.job.state, ended.job.attempts), (JobState::Succeeded, 6));
    assert!(jobs.remove(id).await?.is_some() && jobs.get(id).await?.is_none());
    jobs.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_returns_jobs_to_the_queue_and_the_next_process_continues() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let deployed = || function("job-resumes", "job").timeout(LONG).grace(LONG);
    let runtime = host::runtime([deployed()]);
    let queue = jobs(&runtime, dir.path())?;
    let request = Request::post("/job-resumes/wait").body("")?;
    let id = queue.submit(&Context::background(), "job-resumes", request).await?.id;
    lines::told("job-resumes", "waits in attempt 1").await;
    queue.stop();
    assert_eq!(runtime.shutdown(Duration::ZERO).await, 1);
    queue.close().await?;
    assert_eq!(lines::count("job-resumes", "cause: shutdown"), 1);

    let runtime = host::runtime([deployed()]);
    let queue = jobs(&runtime, dir.path())?;
    lines::told("job-resumes", "waits in attempt 2").await;
    let job = queue.get(id).await?.context("it is kept")?.job;
    assert_eq!((job.attempts, job.failures, job.interruptions), (2, 0, 1));
    let (job, _) = queue.cancel(id, Cause::Operator).await?.context("it is kept")?;
    assert_eq!(job.state, JobState::Canceled);
    host::in_flight(&runtime, 0).await;
    assert_eq!(lines::count("job-resumes", "cause: operator"), 1);
    queue.close().await?;
    Ok(())
}

/// A server with a queue in a directory of its own.
struct Setup {
    host: Host,
    jobs: Jobs,
    _dir: TempDir,
}

impl Setup {
    async fn new(functions: impl IntoIterator<Item = Function>) -> Result<Self> {
        Self::with(functions, StoreLimits::default()).await
    }

    async fn with(
        functions: impl IntoIterator<Item = Function>,
        limits: StoreLimits,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let functions: Vec<_> = functions.into_iter().collect();
        let names: Vec<_> = functions.iter().map(|one| one.name().to_owned()).collect();
        let runtime = host::runtime(functions);
        let builder = Jobs::builder(&runtime).default_policy(policy()).limits(limits);
        let jobs = builder.open(dir.path())?;
        let queue = jobs.clone();
        let host = Host::start(runtime, |server| {
            let principal =
                |headers: &http::HeaderMap| Some(headers.get("x-user")?.to_str().ok()?.to_owned());
            server.jobs(queue, names).principal(principal)
        });
        Ok(Self { host: host.await?, jobs, _dir: dir })
    }

    async fn ask(&self, request: http::request::Builder, body: &str) -> Result<Response<Vec<u8>>> {
        Ok(self.host.client().await?.request(&request.body(body.to_owned())?).await?)
    }

    async fn json(&self, request: http::request::Builder, body: &str) -> Result<(u16, Value)> {
        let response = self.ask(request, body).await?;
        Ok((response.status().as_u16(), serde_json::from_slice(response.body())?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_submits_a_job_and_gets_its_result() -> Result<()> {
    let setup = Setup::new([function("job-http", "job")]).await?;
    let response = setup.ask(Request::post("/-/async/job-http/x?y"), "input").await?;
    assert_eq!(response.status(), 202);
    let location = response.headers()["location"].to_str()?.to_owned();
    let job: Value = serde_json::from_slice(response.body())?;
    let id = job["id"].as_str().context("it has an id")?;
    assert_eq!(location, format!("/-/async/job-http/{id}"));
    assert_eq!(response.headers()["hourglass-job"], id);

    let request = Request::get(&location).header("prefer", "wait=60");
    let response = setup.ask(request, "").await?;
    assert_eq!(response.headers()["preference-applied"], "wait=60");
    let job: Value = serde_json::from_slice(response.body())?;
    assert_eq!((&job["state"], &job["attempts"]), (&"succeeded".into(), &1.into()), "{job}");
    assert_eq!(job["response"]["status"], 200);
    assert_eq!(job["response"]["body"], format!("1 {id} input"));

    // A submission can wait too.
    let request = Request::post("/-/async/job-http").header("prefer", "respond-async, wait=60");
    let (status, job) = setup.json(request, "").await?;
    assert_eq!((status, &job["state"]), (200, &"succeeded".into()), "{job}");

    // Neither another function nor a wrong id has jobs.
    for path in ["/-/async/job-http/x", "/-/async/job-other", "/-/async/job-http"] {
        assert_eq!(setup.ask(Request::get(path), "").await?.status(), 404, "{path}");
    }
    let unknown = location.replace(id, &"0".repeat(32));
    assert_eq!(setup.ask(Request::get(unknown), "").await?.status(), 404);
    assert_eq!(setup.ask(Request::put(&location), "").await?.status(), 405);
    setup.jobs.close().await?;
    assert_eq!(setup.ask(Request::post("/-/async/job-http"), "").await?.status(), 503);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_submission_repeatable() -> Result<()> {
    let setup = Setup::new([function("job-key", "job")]).await?;
    let submit = async |user: &str, key: &str, body: &str| {
        let request = Request::post("/-/async/job-key").header("idempotency-key", key);
        setup.json(request.header("x-user", user), body).await
    };
    let (status, first) = submit("ann", "k", "one").await?;
    assert_eq!(status, 202);
    let (status, again) = submit("ann", "k", "one").await?;
    assert_eq!((status, &again["id"]), (202, &first["id"]));
    assert_eq!(submit("ann", "k", "two").await?.0, 422);
    let (_, other) = submit("bob", "k", "two").await?;
    assert_ne!(other["id"], first["id"]);
    assert_eq!(submit("ann", &"k".repeat(256), "one").await?.0, 400);
    // A job is its principal's own.
    let path = format!("/-/async/job-key/{}", first["id"].as_str().context("it has an id")?);
    for (user, status) in [("ann", 200), ("bob", 404)] {
        let request = Request::get(&path).header("x-user", user);
        assert_eq!(setup.json(request, "").await?.0, status, "{user}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cancels_a_job() -> Result<()> {
    let function = function("job-cancel", "job").timeout(LONG).grace(LONG);
    let setup = Setup::new([function]).await?;
    let (_, job) = setup.json(Request::post("/-/async/job-cancel/wait"), "").await?;
    let path = format!("/-/async/job-cancel/{}", job["id"].as_str().context("it has an id")?);
    lines::told("job-cancel", "waits in attempt 1").await;
    let (status, job) = setup.json(Request::delete(&path), "").await?;
    assert_eq!((status, &job["state"]), (200, &"canceled".into()));
    host::in_flight(&setup.host.runtime, 0).await;
    assert_eq!(lines::count("job-cancel", "cause: canceled"), 1);
    assert_eq!(setup.json(Request::delete(&path), "").await?.0, 409);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_rejects_new_jobs_and_keeps_the_others() -> Result<()> {
    let limits = StoreLimits { jobs: 3, ..StoreLimits::default() };
    let setup = Setup::with([function("job-full", "job")], limits).await?;
    let submit = async || setup.json(Request::post("/-/async/job-full"), "").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (status, job) = submit().await?;
        assert_eq!(status, 202);
        ids.push(job["id"].as_str().context("it has an id")?.parse()?);
    }
    assert_eq!(submit().await?.0, 507);
    for id in &ids {
        let ended = setup.jobs.wait(*id).await?.context("it is kept")?;
        assert_eq!(ended.job.state, JobState::Succeeded);
    }
    setup.jobs.remove(ids[0]).await?;
    assert_eq!(submit().await?.0, 202);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_continues_the_request_that_submitted_it() -> Result<()> {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let setup = Setup::new([function("job-context", "job")]).await?;
    for (name, expected) in [("request-id", "id-7"), ("principal", "ann"), ("traceparent", TRACE)] {
        let request = Request::post(format!("/-/async/job-context/context/{name}"))
            .header("x-user", "ann")
            .header("x-request-id", "id-7")
            .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
            .header("prefer", "wait=60");
        let (_, job) = setup.json(request, "").await?;
        let body = job["response"]["body"].as_str().with_context(|| job.to_string())?;
        assert!(body.contains(expected), "{name}: {body}");
        assert_eq!(job["trace_id"], TRACE);
    }
    Ok(())
}

/// Waits until the callback of a job is delivered.
async fn delivered(jobs: &Jobs, id: JobId) -> Result<Callback> {
    let start = Instant::now();
    loop {
        let stored = jobs.get(id).await?.context("it is kept")?;
        let callback = stored.job.callback.context("it has one")?;
        if callback.state == CallbackState::Delivered {
            return Ok(callback);
        }
        ensure!(start.elapsed() < LONG, "{callback:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_gets_the_result_until_it_accepts_it() -> Result<()> {
    let tries = AtomicUsize::new(0);
    let upstream = Upstream::start(move |_| {
        let status =
            if tries.fetch_add(1, Ordering::SeqCst) == 0 { "503 Not Yet" } else { "204 Thanks" };
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
    });
    let upstream = upstream.await?;
    let setup = Setup::new([function("job-calls", "job").allow_hosts(["127.0.0.1"])]).await?;
    let submit = |url: String| {
        let request = Request::post("/-/async/job-calls").header("hourglass-callback", url);
        setup.json(request, "")
    };
    let (status, job) = submit(upstream.url("/done")).await?;
    assert_eq!(status, 202, "{job}");
    let id = job["id"].as_str().context("it has an id")?.to_owned();
    assert_eq!(delivered(&setup.jobs, id.parse()?).await?.failures, 1);
    for _ in 0..2 {
        let head = upstream.asked().await.to_lowercase();
        assert!(head.starts_with("post /done ") && head.contains(&format!("hourglass-job: {id}")));
    }
    // Only hosts that the function may reach.
    let (status, problem) = submit("http://10.0.0.1/".to_owned()).await?;
    assert_eq!(status, 400, "{problem}");
    ensure!(problem["detail"].as_str().context("it has one")?.contains("allow_hosts"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_jobs_are_those_of_functions_unless_they_are_enabled() -> Result<()> {
    let host = Host::serve([function("job-off", "job"), function("-", "echo")]).await?;
    let mut client = Client::connect(host.address).await?;
    let request = Request::post("/-/async/job-off").body("to a function called `-`")?;
    assert_eq!(client.request(&request).await?.body(), b"to a function called `-`");
    host.runtime.remove("-");
    assert_eq!(client.request(&request).await?.status(), 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_submits_jobs_of_those_that_it_may_call() -> Result<()> {
    let setup = Setup::new([
        function("job-asks", "job").calls(["job-asked"]),
        function("job-asked", "job"),
    ])
    .await?;
    let ask = async |callee: &str| setup.host.get(&format!("/job-asks/enqueue/{callee}")).await;
    let [first, again] = [ask("job-asked").await?, ask("job-asked").await?];
    assert_eq!(first.status(), 200);
    assert_eq!(first.body(), again.body());
    let id = text(first.body()).parse::<JobId>()?;
    let ended = setup.jobs.wait(id).await?.context("it is kept")?;
    assert_eq!(text(&ended.response.context("there is one")?.body), format!("1 {id} from a job"));
    // It is forbidden to submit others, and there must be a queue.
    assert_eq!(ask("job-asks").await?.status(), 502);
    let host = Host::serve([function("job-alone", "job").calls(["job-alone"])]).await?;
    assert_eq!(host.get("/job-alone/enqueue/job-alone").await?.status(), 502);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_jobs_run_once_each() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = host::runtime([function("job-many", "echo"), function("job-more", "echo")]);
    let queue = jobs(&runtime, dir.path())?;
    let ctx = Context::background().with_value(&PRINCIPAL, "ann".to_owned());
    let submit = |number: usize| {
        let (queue, ctx) = (queue.clone(), ctx.clone());
        tokio::spawn(async move {
            let name = ["job-many", "job-more"][number % 2];
            let request = Request::post("/").body(number.to_string()).expect("a request");
            let id = queue.submit(&ctx, name, request).await.expect("it has room").id;
            let ended = queue.wait(id).await.expect("it is open").expect("it is kept");
            assert_eq!((ended.job.state, ended.job.attempts), (JobState::Succeeded, 1));
            assert_eq!(text(&ended.response.expect("it has one").body), number.to_string());
        })
    };
    let all: Vec<_> = (0..2_000).map(submit).collect();
    for one in all {
        one.await?;
    }
    let counts = queue.counts().await?;
    assert_eq!((counts.total(), counts.of(JobState::Succeeded)), (2_000, 2_000));
    queue.close().await?;
    host::nothing_left(&runtime).await;
    Ok(())
}

/// The programs' files and settings.
struct Files {
    folder: TempDir,
    upstream: Upstream,
}

impl Files {
    /// A server with two functions that accept jobs. The first reports each attempt to the
    /// upstream.
    async fn new() -> Result<Self> {
        let upstream = Upstream::start(|_| hourglass_tests::upstream::ok("")).await?;
        let files = Self { folder: tempfile::tempdir()?, upstream };
        let text = format!(
            "jobs = \"jobs\"\nadmin = \"127.0.0.1:0\"\ndrain = \"0s\"\n\n\
             [function.report]\nfile = {file:?}\nasync = true\nallow_hosts = [\"127.0.0.1\"]\n\
             job_backoff = \"1ms\"\njob_retries = 1000\n\n\
             [function.fails]\nfile = {file:?}\nasync = true\njob_retries = 0\n",
            file = module("job")
        );
        std::fs::write(files.config(), text)?;
        Ok(files)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("hourglass.toml")
    }

    fn start(&self) -> Result<(Serving, SocketAddr)> {
        let config = self.config();
        let host =
            Serving::start(&mut hourglass(&["serve", path(&config), "--access-log", "off"]))?;
        let admin = host.admin();
        Ok((host, admin))
    }

    /// What a command prints as JSON.
    fn jobs(&self, admin: SocketAddr, arguments: &[&str]) -> Result<Value> {
        let admin = admin.to_string();
        let arguments = [&["jobs"], arguments, &["--json", "--admin", &admin]].concat();
        let output = run(&mut hourglass(&arguments))?;
        ensure!(output.status.success(), "{}", output.err);
        Ok(serde_json::from_str(&output.out)?)
    }
}

/// Submits jobs until the host is gone. Returns the ids of those that were accepted.
async fn submit_until_gone(address: SocketAddr, url: String) -> Vec<String> {
    let mut accepted = Vec::new();
    let submit = async {
        let mut client = Client::connect(address).await?;
        loop {
            let request = Request::post("/-/async/report/report").body(url.clone())?;
            let response = client.request(&request).await?;
            ensure!(response.status() == 202, "{}", response.status());
            let job: Value = serde_json::from_slice(response.body())?;
            accepted.push(job["id"].as_str().context("it has an id")?.to_owned());
        }
    };
    let ended: Result<()> = submit.await;
    assert!(ended.is_err_and(|error| error.is::<std::io::Error>()), "it ends with the host");
    accepted
}

/// Kills a host again and again, and checks that every accepted job is run, and that two runs of a
/// job never have the same number.
async fn kill_often(kills: u64) -> Result<()> {
    let files = Files::new().await?;
    let (mut accepted, mut runs) = (HashSet::new(), HashMap::<String, Vec<u32>>::new());
    for kill in 0..kills {
        let (host, _) = files.start()?;
        let clients: Vec<_> = (0..6)
            .map(|_| tokio::spawn(submit_until_gone(host.address, files.upstream.url(""))))
            .collect();
        // A random number of attempts later.
        for _ in 0..random(kill) % 200 {
            record(&files.upstream.asked().await, &mut runs)?;
        }
        host.signal(Signal::KILL);
        host.ended()?;
        for client in clients {
            accepted.extend(client.await?);
        }
    }
    let (host, admin) = files.start()?;
    let start = Instant::now();
    // One look at all of them: between two looks, a job may change from one state to the other.
    let all = loop {
        let all = files.jobs(admin, &["list", "--limit", "1000000"])?;
        let mut states = all.as_array().context("it is a list")?.iter().map(|job| &job["state"]);
        if states.all(|state| state != "queued" && state != "running") {
            break all;
        }
        ensure!(start.elapsed() < LONG, "some jobs do not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    while let Some(head) = files.upstream.asked_already() {
        record(&head, &mut runs)?;
    }
    let all: HashMap<_, _> = all
        .as_array()
        .context("it is a list")?
        .iter()
        .map(|job| (job["id"].as_str().unwrap_or_default(), job))
        .collect();
    let (mut repeated, mut interrupted) = (0, 0);
    for id in &accepted {
        let job = all.get(&**id).with_context(|| format!("{id} is lost"))?;
        ensure!(job["state"] == "succeeded", "{job}");
        let attempts = runs.get(id).with_context(|| format!("{id} has not run"))?;
        let different: HashSet<_> = attempts.iter().collect();
        ensure!(
            different.len() == attempts.len(),
            "{id} has run twice as one attempt: {attempts:?}"
        );
        let most = attempts.iter().max().copied().unwrap_or_default();
        ensure!(u64::from(most) <= job["attempts"].as_u64().unwrap_or_default(), "{job}");
        repeated += usize::from(attempts.len() > 1);
        interrupted += usize::from(job["interruptions"] != 0);
    }
    // A job that no client got an id of may exist too, and has run as well.
    ensure!(all.values().all(|job| job["state"] == "succeeded"));
    println!(
        "{kills} kills: {} jobs accepted, {} stored, 0 lost; {interrupted} interrupted, {repeated} \
         run more than once, all with different numbers",
        accepted.len(),
        all.len()
    );
    host.signal(Signal::TERM);
    ensure!(host.ended()?.success());
    Ok(())
}

/// Counts a run, by the path that the function has requested: `/ATTEMPT/ID`.
fn record(head: &str, runs: &mut HashMap<String, Vec<u32>>) -> Result<()> {
    let path = head.split(' ').nth(1).context("it has a path")?;
    let (attempt, id) = path.trim_start_matches('/').split_once('/').context("it has two parts")?;
    runs.entry(id.to_owned()).or_default().push(attempt.parse()?);
    Ok(())
}

/// A deterministic random number (splitmix).
fn random(seed: u64) -> u64 {
    let mut number = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 31)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_loses_no_job_and_marks_repetitions() -> Result<()> {
    kill_often(4).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn two_hundred_kills_lose_no_job() -> Result<()> {
    kill_often(200).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_manages_jobs() -> Result<()> {
    let files = Files::new().await?;
    let (host, admin) = files.start()?;
    // Each request has its own connection: an idle one would be closed while commands run.
    let client = || Client::connect(host.address);
    let request = Request::post("/-/async/fails/flaky/1").header("prefer", "wait=60").body("")?;
    let job: Value = serde_json::from_slice(client().await?.request(&request).await?.body())?;
    let id = job["id"].as_str().context("it has an id")?.to_owned();
    assert_eq!((&job["state"], &job["message"]), (&"failed".into(), &Value::Null));

    let dead = files.jobs(admin, &["dead"])?;
    assert_eq!((&dead[0]["id"], dead[0]["attempts"].as_u64()), (&job["id"], Some(1)));
    let shown = files.jobs(admin, &["show", &id])?;
    assert_eq!(shown["outcome"], "server-error");
    assert!(shown["message"].as_str().is_some_and(|message| message.contains("503")), "{shown}");

    let admin_text = admin.to_string();
    let act = |arguments: &[&str]| {
        run(&mut hourglass(&[&["jobs"], arguments, &["--admin", &admin_text]].concat()))
    };
    let retried = act(&["retry", "--all"])?;
    assert_eq!(retried.out, "queued 1 jobs again\n", "{}", retried.err);
    let path = format!("/-/async/fails/{id}");
    let request = Request::get(&path).header("prefer", "wait=60").body("")?;
    let job: Value = serde_json::from_slice(client().await?.request(&request).await?.body())?;
    assert_eq!((&job["state"], &job["attempts"]), (&"succeeded".into(), &2.into()));
    let again = act(&["retry", &id])?;
    assert!(!again.status.success() && again.err.contains("the job is succeeded"), "{}", again.err);
    let listed = act(&["list", "--function", "fails"])?;
    assert!(listed.out.contains(&format!("{id}  fails     succeeded  2")), "{}", listed.out);
    let shown = act(&["show", &id])?;
    assert!(shown.out.contains("attempts:     2\n") && shown.out.contains(&format!("2 {id}")));
    assert_eq!(act(&["drop", &id])?.out, format!("dropped job {id}\n"));
    assert!(act(&["show", &id])?.err.contains("is stored"));
    assert_eq!(client().await?.get(&path).await?.status(), 404);
    Ok(())
}

#[test]
fn wrong_settings_have_a_clear_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("hourglass.toml");
    for (text, part) in [
        ("async = true", "`async` needs a directory for jobs"),
        ("job_retry_after = [\"timeout\"]", "no failure is called `timeout`"),
    ] {
        let text = format!("[function.f]\nfile = {:?}\n{text}\n", module("job"));
        std::fs::write(&config, text)?;
        let error = fails(&["serve", path(&config)])?;
        assert!(error.contains(part), "{error}");
    }
    Ok(())
}

#[test]
fn a_store_has_one_host() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let jobs = folder.path().join("jobs");
    let arguments = ["serve", path(module("job")), "--jobs", path(&jobs)];
    let host = Serving::start(&mut hourglass(&arguments))?;
    let error = fails(&arguments)?;
    assert!(error.contains("another process uses the jobs in"), "{error}");
    drop(host);
    Ok(())
}
