//! Functions that call functions: responses, failures, and limits.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hourglass::{Body, Context, Function, Outcome, Runtime, Usage, mib};
use hourglass_tests::guests::function;
use hourglass_tests::modules::{CONTEXT, Module};
use hourglass_tests::{LONG, host, input};
use http::Request;
use tokio::sync::Notify;
use wasm_encoder::ValType;

/// A function that may call these functions.
pub(super) fn caller(calls: &[&'static str]) -> Function {
    function("caller", "caller").calls(calls.iter().copied()).timeout(LONG)
}

/// Sends a path to the caller, and returns the response as text.
pub(super) async fn ask(runtime: &Runtime, path: &str) -> String {
    ask_under(runtime, &Context::background(), path).await
}

pub(super) async fn ask_under(runtime: &Runtime, ctx: &Context, path: &str) -> String {
    let request = Request::get(path).body(()).unwrap();
    let answer = runtime.invoke(ctx, "caller", request).await.unwrap();
    let body = answer.into_body().bytes().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn bodies_are_passed_in_both_directions() -> Result<()> {
    let runtime = host::runtime([caller(&["echo"]), function("echo", "echo")]);
    for size in [0, 1, 1_000, 5_000, mib(3) as usize] {
        let body: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let request = Request::post("/caller/status/echo/x").header("x-a", "1");
        let request = request.header("x-a", "2").body(body.clone())?;
        let answer = runtime.invoke(&Context::background(), "caller", request).await?;
        assert_eq!(answer.headers().get_all("x-a").iter().count(), 2);
        assert!(answer.into_body().bytes().await.unwrap() == body, "{size}");
    }
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn every_call_failure_has_a_name() {
    let slow = Duration::from_millis(30);
    let runtime = host::runtime([
        caller(&["fail", "gone", "slow", "small", "hoards", "big"]),
        function("fail", "fail"),
        function("slow", "stuck").timeout(slow),
        function("small", "echo").request_body(0),
        function("hoards", "fail").memory(mib(4)),
        function("echo", "echo"),
    ]);
    for (path, expected) in [
        ("gone", "not-found "),
        ("echo", "forbidden "),
        ("fail/panic", "trap "),
        ("fail/3", "exit "),
        ("fail/silence", "bad-response "),
        (
            "fail/error",
            r#"500 {"type":"about:blank","title":"Internal Server Error","status":500,"#,
        ),
        ("fail/status", r#"418 {"type":"about:blank","title":"I'm a teapot","status":418,"#),
        ("hoards/memory", "out-of-memory "),
        ("slow/sleep", "deadline-exceeded "),
        ("slow/spin", "deadline-exceeded "),
    ] {
        let answer = ask(&runtime, &format!("/caller/call/{path}")).await;
        assert!(answer.starts_with(expected), "{path}: {answer}");
    }
    let request = Request::post("/caller/call/small/x").body("too long").unwrap();
    let answer = runtime.invoke(&Context::background(), "caller", request).await.unwrap();
    let answer = answer.into_body().bytes().await.unwrap();
    assert!(answer.starts_with(b"body-too-large "), "{answer:?}");
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn calls_beyond_the_callers_memory_are_bad_requests() {
    let runtime = host::runtime([
        caller(&["slow"]).memory(mib(2)),
        function("slow", "stuck").timeout(Duration::from_secs(1)),
    ]);
    let path = format!("/caller/start/slow/60/{}/sleep", "a".repeat(50_000));
    let answer = ask(&runtime, &path).await;
    assert!(answer.contains("bad-request"), "{answer}");
    assert!(!answer.contains("body-too-large"), "{answer}");
}

#[tokio::test]
async fn a_propagated_failure_has_a_matching_status() {
    let runtime = host::runtime([
        caller(&["fail", "gone", "slow"]),
        function("fail", "fail"),
        function("slow", "stuck").timeout(Duration::from_millis(20)),
    ]);
    for (path, status) in [("gone", 502), ("fail/panic", 502), ("slow/sleep", 504)] {
        let request = Request::get(format!("/caller/status/{path}")).body(()).unwrap();
        let answer = runtime.invoke(&Context::background(), "caller", request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn many_calls_run_at_once_and_all_are_awaited() {
    let runtime = host::runtime([caller(&["echo", "slow"]), function("echo", "echo")]);
    let answer = ask(&runtime, "/caller/start/echo/40").await;
    assert_eq!(answer, "200\n".repeat(40));
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn results_arrive_in_the_order_of_completion() {
    let runtime = host::runtime([
        caller(&["sleeps", "echo"]),
        // Much longer than the other call takes.
        function("sleeps", "stuck").timeout(Duration::from_secs(2)),
        function("echo", "echo"),
    ]);
    let answer = ask(&runtime, "/caller/select/sleeps:sleep/echo").await;
    assert_eq!(answer, "1 200\n0 deadline-exceeded\n");
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn a_call_cycle_that_fills_all_slots_is_busy_and_does_not_deadlock() {
    let names = ["a", "b", "c"];
    let ring = |name| function(name, "caller").calls(names);
    for slots in 1..=3 {
        let runtime = host::with(host::builder().max_in_flight(slots), names.map(ring));
        for _ in 0..20 {
            let request = Request::get("/a/ring?next=b&next=c").body(()).unwrap();
            let answer = runtime.invoke(&Context::background(), "a", request).await.unwrap();
            let answer = answer.into_body().bytes().await.unwrap();
            let expected = if slots == 3 { "2 deep" } else { &format!("busy at {}", slots - 1) };
            assert_eq!(answer, expected);
        }
        host::nothing_left(&runtime).await;
    }
}

#[tokio::test]
async fn call_depth_is_limited() {
    let next = |times: usize| format!("/caller/ring?{}", vec!["next=caller"; times].join("&"));
    let runtime = host::runtime([caller(&["caller"])]);
    assert_eq!(ask(&runtime, &next(16)).await, "16 deep");
    assert_eq!(ask(&runtime, &next(17)).await, "depth-exceeded at 16");
    let shallow = host::with(host::builder().max_depth(0), [caller(&["caller"])]);
    assert_eq!(ask(&shallow, &next(1)).await, "depth-exceeded at 0");
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn the_number_of_calls_per_invocation_is_limited() {
    let runtime = host::runtime([caller(&["echo"]).max_calls(3), function("echo", "echo")]);
    let answer = ask(&runtime, "/caller/start/echo/5").await;
    assert_eq!(answer, "200\n200\n200\ncalls-exceeded\ncalls-exceeded\n");
    // The next invocation has its own count.
    assert_eq!(ask(&runtime, "/caller/start/echo/3").await, "200\n".repeat(3));
}

#[tokio::test]
async fn unread_responses_are_limited() -> Result<()> {
    // Each response has a megabyte; together they exceed the caller's memory.
    let runtime = host::runtime([caller(&["megabyte"]).memory(mib(4))]);
    runtime.provide("megabyte", LONG, async |_, _| Ok(http::Response::new(vec![0_u8; 1 << 20])))?;
    let answer = ask(&runtime, &format!("/caller/select{}", "/megabyte".repeat(9))).await;
    let counted = |result: &str| answer.lines().filter(|line| line.ends_with(result)).count();
    assert_eq!(counted(" 200") + counted(" response-too-large"), 9, "{answer}");
    // The heads of requests and responses count as well.
    assert!(counted(" response-too-large") >= 1 && counted(" 200") >= 3, "{answer}");
    // One after the other they fit, because each is read before the next.
    assert_eq!(ask(&runtime, "/caller/loop/megabyte/9").await.len(), 1 << 20);
    Ok(())
}

#[tokio::test]
async fn the_first_failure_in_a_group_ends_the_others() {
    let runtime = host::runtime([
        caller(&["stuck", "fail", "echo"]),
        function("stuck", "stuck").timeout(LONG),
        function("fail", "fail"),
        function("echo", "echo"),
    ]);
    let answer = ask(&runtime, "/caller/group/0/stuck:sleep/fail:panic/stuck:sleep").await;
    assert!(answer.starts_with("trap\n"), "{answer}");
    assert_eq!(ask(&runtime, "/caller/group/2/echo/echo/echo/echo").await, "200\n".repeat(4));
    let answer = ask(&runtime, "/caller/all/1/echo/fail:panic/echo").await;
    assert_eq!(answer, "200\ntrap\n200\n");
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn time_in_a_callee_is_not_charged_to_the_caller() -> Result<()> {
    let time = Duration::from_secs(1);
    let spins = function("spins", "spin").timeout(time).grace(Duration::ZERO);
    let runtime = host::runtime([caller(&["spins"]), spins]);
    let request = Request::get("/caller/call/spins").body(())?;
    let answer = runtime.invoke(&Context::background(), "caller", request).await?;
    let usage = *answer.extensions().get::<Usage>().unwrap();
    assert!(usage.wall >= time && usage.cpu < time / 2, "{usage:?}");
    Ok(())
}

#[tokio::test]
async fn a_drain_lets_callers_finish() -> Result<()> {
    let runtime = host::runtime([caller(&["caller", "echo"]), function("echo", "echo")]);
    let (feed, body) = input::fed();
    let waiting = tokio::spawn({
        let runtime = runtime.clone();
        async move {
            // The caller reads its body before it calls.
            let request = Request::post("/caller/call/echo/x").body(body).unwrap();
            runtime.invoke(&Context::background(), "caller", request).await
        }
    });
    feed.asked().await;
    let draining = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.shutdown(LONG).await }
    });
    // There is no event for the start of a drain.
    let drains = async {
        loop {
            let refused = runtime.invoke(&Context::background(), "echo", Request::new("")).await;
            match refused.map_err(|error| error.outcome().name()) {
                Err("draining") => break,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(LONG / 10, drains).await?;
    feed.give("late");
    drop(feed);
    let answer = waiting.await??.into_body().bytes().await.unwrap();
    assert_eq!(answer, "200 late");
    assert_eq!(draining.await?, 0);
    Ok(())
}

#[tokio::test]
async fn host_functions_are_called_like_functions() -> Result<()> {
    let runtime = host::runtime([caller(&["store", "stuck", "echo"]), function("echo", "echo")]);
    runtime.provide("store", LONG, async |ctx: Context, request: Request<Body>| {
        let key = request.uri().path().to_owned();
        let tenant = ctx.value_text("tenant").unwrap_or_default();
        Ok(http::Response::new(format!("{tenant}{key}")))
    })?;
    let told = Arc::new(Notify::new());
    let dropped = told.clone();
    runtime.provide("stuck", Duration::from_millis(20), move |_, _| {
        let dropped = OnDrop(dropped.clone());
        async move {
            let _dropped = dropped;
            std::future::pending::<Result<http::Response<()>, Outcome>>().await
        }
    })?;
    // A deployed function of the same name takes precedence.
    runtime.provide("echo", LONG, async |_, _| Ok(http::Response::new("not me")))?;
    let answer = ask(&runtime, "/caller/value/tenant/acme/store/a").await;
    assert_eq!(answer, "200 acme/store/a");
    assert!(ask(&runtime, "/caller/call/stuck").await.starts_with("deadline-exceeded "));
    told.notified().await;
    assert_eq!(ask(&runtime, "/caller/call/echo").await, "200 ");
    host::nothing_left(&runtime).await;
    Ok(())
}

/// Notifies when it is dropped.
struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A module that makes one host call with these arguments, which no SDK would pass.
fn misusing(name: &str, numbers: &[i64], wide: Option<usize>) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    let number = |at| if wide == Some(at) { ValType::I64 } else { ValType::I32 };
    let types: Vec<_> = (0..numbers.len()).map(number).collect();
    let result = if name == "call" { ValType::I64 } else { ValType::I32 };
    let called = module.import(CONTEXT, name, (&types, &[result]));
    module.code(0, |code| {
        for (at, number) in numbers.iter().enumerate() {
            if wide == Some(at) {
                code.i64_const(*number);
            } else {
                code.i32_const(*number as i32);
            }
        }
        code.call(called).drop();
    });
    module.finish()
}

#[tokio::test]
async fn invalid_handles_trap() -> Result<()> {
    let runtime = host::runtime([]);
    let cases: [(&str, &[i64], Option<usize>); 12] = [
        ("context_err", &[1], None),
        ("context_err", &[-1], None),
        ("context_sleep", &[7, 1], Some(1)),
        ("context_derive", &[7, 1], Some(1)),
        ("context_with_value", &[7, 0, 1, 0, 1], None),
        ("context_without_cancel", &[7], None),
        ("context_cancel", &[7, 0, 0], None),
        ("call_result", &[0, 0, 0], None),
        ("call_wait", &[0, 0, 1], None),
        ("call_wait", &[0, 65_535, 1], None),
        ("call", &[7, 0, 1, 0, 9, 0, 0, 0, 0], None),
        ("call_start", &[0, 65_530, 100, 0, 9, 0, 0], None),
    ];
    for (name, numbers, wide) in cases {
        runtime.deploy(Function::from_bytes("misuse", misusing(name, numbers, wide))?)?;
        let ended = runtime.invoke(&Context::background(), "misuse", Request::new("")).await;
        let error = ended.unwrap_err();
        // A malformed head is refused before the context handle is checked.
        let expected = if name == "call" { "bad-response" } else { "trap" };
        assert_eq!(error.outcome().name(), expected, "{name}{numbers:?}: {error}");
    }
    Ok(())
}
