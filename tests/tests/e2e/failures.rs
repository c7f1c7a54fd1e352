//! Every kind of failure, with its status and its problem document.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Context, Function, Outcome, mib};
use hourglass_tests::guests::{function, repository};
use hourglass_tests::host::{self, Host};
use hourglass_tests::{input, lines, modules};
use http::{Method, Request, Response};
use serde_json::Value;

/// The expected status and outcome of a failure.
#[derive(Clone, Copy)]
struct Failure<'a> {
    status: u16,
    outcome: &'a str,
    function: &'a str,
}

/// Checks that a response is the problem document of a failure, and returns it.
fn problem(answer: &Response<Vec<u8>>, expected: Failure<'_>) -> Result<Value> {
    let text = std::str::from_utf8(answer.body())?;
    assert_eq!(answer.status(), expected.status, "{text}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_str(text)?;
    assert_eq!(problem["status"], expected.status);
    assert_eq!(problem["outcome"], expected.outcome);
    assert_eq!(problem["function"], expected.function);
    assert_eq!(problem["request_id"], answer.headers()["x-request-id"].to_str()?);
    for member in ["type", "title", "detail"] {
        assert!(!problem[member].as_str().unwrap().is_empty(), "{text}");
    }
    let busy = answer.headers().contains_key("retry-after");
    assert_eq!(busy, expected.status == 503, "{text}");
    // It exposes no internals of the host or the guest.
    let root = repository().to_str().unwrap();
    for inside in [root, ".rs", ".wasm", "wasm", "0x", "panic", "backtrace", "outer", "unreachable"]
    {
        assert!(!text.contains(inside), "{inside} in {text}");
    }
    Ok(problem)
}

/// Sends a path to the failing function, and checks the failure.
async fn fails_with(path: &str, status: u16, outcome: &str) -> Result<Value> {
    let host = Host::serve([function("broken", "fail").memory(mib(8))]).await?;
    let mut client = host.client().await?;
    let answer = client.get(&format!("/broken/{path}")).await?;
    let problem = problem(&answer, Failure { status, outcome, function: "broken" })?;
    // A failure keeps the connection open.
    let again = client.get(&format!("/broken/{path}")).await?;
    assert_eq!(again.status(), status);
    assert_eq!(host.runtime.in_flight(), 0);
    Ok(problem)
}

#[tokio::test]
async fn an_unknown_function_is_404() -> Result<()> {
    let runtime = hourglass_tests::host::runtime([function("hello", "hello")]);
    let host = Host::start(runtime, |server| server.listing(false)).await?;
    let mut client = host.client().await?;
    for (path, name) in [("/unknown", "unknown"), ("/", ""), ("/Hello/x", "Hello"), ("//hello", "")]
    {
        let answer = client.get(path).await?;
        problem(&answer, Failure { status: 404, outcome: "not-found", function: name })?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_too_large_is_413() -> Result<()> {
    let host = Host::serve([function("small", "echo").request_body(1_000)]).await?;
    let expected = Failure { status: 413, outcome: "body-too-large", function: "small" };
    let post = || Request::post("/small");

    let answer = host.client().await?.request(&post().body(vec![b'x'; 1_000])?).await?;
    assert_eq!(answer.status(), 200);
    let answer = host.client().await?.request(&post().body(vec![b'x'; 1_001])?).await?;
    problem(&answer, expected)?;

    // Without a declared length, the body is counted.
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let chunked = || post().header("transfer-encoding", "chunked");
    let fits = chunked().body(format!("{chunk}{chunk}0\r\n\r\n"))?;
    assert_eq!(host.client().await?.request(&fits).await?.status(), 200);
    let too_long = chunked().body(format!("{chunk}{chunk}1\r\nx\r\n0\r\n\r\n"))?;
    problem(&host.client().await?.request(&too_long).await?, expected)?;
    Ok(())
}

#[tokio::test]
async fn a_body_too_large_is_not_waited_for() -> Result<()> {
    let host = Host::serve([function("small", "echo").request_body(1_000)]).await?;
    let mut client = host.client().await?;
    client.send("POST /small HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n").await?;
    let answer = client.answer(&Method::POST).await?;
    problem(&answer, Failure { status: 413, outcome: "body-too-large", function: "small" })?;
    Ok(())
}

/// A client that reads only after it has sent the whole request gets a response.
#[tokio::test]
async fn a_body_too_large_is_413_to_a_client_that_sends_it_all() -> Result<()> {
    let host = Host::serve([function("small", "echo").request_body(1_000)]).await?;
    let request = Request::post("/small").body(vec![b'x'; 8 << 20])?;
    let expected = Failure { status: 413, outcome: "body-too-large", function: "small" };
    for _ in 0..10 {
        problem(&host.client().await?.request(&request).await?, expected)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_trap_is_500() -> Result<()> {
    fails_with("panic", 500, "trap").await?;
    Ok(())
}

#[tokio::test]
async fn an_exit_code_is_500() -> Result<()> {
    for code in ["1", "125", "126", "255", "2147483647", "-1"] {
        fails_with(code, 500, "exit").await?;
    }
    Ok(())
}

#[tokio::test]
async fn out_of_memory_is_500() -> Result<()> {
    fails_with("memory", 500, "out-of-memory").await?;
    Ok(())
}

#[tokio::test]
async fn no_response_is_502() -> Result<()> {
    fails_with("silence", 502, "bad-response").await?;
    Ok(())
}

#[tokio::test]
async fn a_handler_error_is_the_response() -> Result<()> {
    let host = Host::serve([function("broken", "fail")]).await?;
    let answer = host.get("/broken/error").await?;
    assert_eq!(answer.status(), 500);
    let told: serde_json::Value = serde_json::from_slice(answer.body())?;
    let expected = serde_json::json!({
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "the function failed",
        "function": "broken",
        "request_id": answer.headers()["x-request-id"].to_str()?,
    });
    assert_eq!(told, expected);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let answer = host.get("/broken/status").await?;
    assert_eq!(answer.status(), 418);
    let told: serde_json::Value = serde_json::from_slice(answer.body())?;
    assert_eq!(told["detail"], "what the client may read");
    Ok(())
}

#[tokio::test]
async fn a_malformed_response_is_502() -> Result<()> {
    let good = modules::head(200, &[("x-a", "b")]);
    let mut endless = 200_u16.to_le_bytes().to_vec();
    endless.extend(u32::MAX.to_le_bytes());
    let cases = [
        ("silent", modules::silent()),
        ("empty", modules::responding(&[], 1, |_| ())),
        ("status-0", modules::responding(&modules::head(0, &[]), 1, |_| ())),
        ("status-101", modules::responding(&modules::head(101, &[]), 1, |_| ())),
        ("status-1000", modules::responding(&modules::head(1_000, &[]), 1, |_| ())),
        ("name", modules::responding(&modules::head(200, &[("a b", "")]), 1, |_| ())),
        ("value", modules::responding(&modules::head(200, &[("a", "b\r\nc: d")]), 1, |_| ())),
        ("cut-short", modules::responding(&good[..good.len() - 1], 1, |_| ())),
        ("longer", modules::responding(&[&*good, b"x"].concat(), 1, |_| ())),
        ("endless", modules::responding(&endless, 1, |_| ())),
    ];
    let functions = cases.iter().map(|(name, wasm)| Function::from_bytes(name, &**wasm).unwrap());
    let host = Host::serve(functions).await?;
    for (name, _) in &cases {
        let answer = host.get(&format!("/{name}")).await?;
        problem(&answer, Failure { status: 502, outcome: "bad-response", function: name })?;
    }
    Ok(())
}

#[tokio::test]
async fn the_first_response_counts_unless_the_guest_traps() -> Result<()> {
    let head = modules::head(201, &[("x-a", "b")]);
    let twice = modules::responding(&head, 2, |_| ());
    let trapping = modules::responding(&head, 1, |code| {
        code.unreachable();
    });
    let host = Host::serve([
        Function::from_bytes("twice", twice)?,
        Function::from_bytes("trapping", trapping)?,
    ])
    .await?;
    let answer = host.get("/twice").await?;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["x-a"], "b");
    let answer = host.get("/trapping").await?;
    problem(&answer, Failure { status: 500, outcome: "trap", function: "trapping" })?;
    Ok(())
}

#[tokio::test]
async fn a_range_outside_the_memory_traps() -> Result<()> {
    let host = Host::serve([
        Function::from_bytes("far", calling("respond", &[0x10_0000, 6, 0, 0]))?,
        Function::from_bytes("long", calling("respond", &[0, 0x10_0000, 0, 0]))?,
        Function::from_bytes("around", calling("respond", &[-8, 16, 0, 0]))?,
        Function::from_bytes("body", calling("respond", &[0, 6, 0, -1]))?,
        Function::from_bytes("hash", calling("sha256", &[0xffe1, 0, 1]))?,
        Function::from_bytes("blocks", calling("sha256", &[0, 0xffc1, 1]))?,
        Function::from_bytes("many-blocks", calling("sha256", &[0, 64, -1]))?,
    ])
    .await?;
    for name in ["far", "long", "around", "body", "hash", "blocks", "many-blocks"] {
        let answer = host.get(&format!("/{name}")).await?;
        problem(&answer, Failure { status: 500, outcome: "trap", function: name })?;
    }
    Ok(())
}

/// An error of the WASI library is caused by the guest's arguments, so it is a trap of the guest
/// and not a failure of the host.
#[tokio::test]
async fn an_error_of_an_import_is_a_trap() -> Result<()> {
    let mut module = modules::Module::with_memory(1);
    let resolution = module.import(modules::WASI, "clock_res_get", modules::takes(2));
    module.code(0, |code| {
        code.i32_const(0).i32_const(-8).call(resolution).drop();
    });
    let runtime = host::runtime([Function::from_bytes("far-clock", module.finish())?]);
    let request = Request::new(hourglass::Body::empty());
    let error = runtime.invoke(&Context::background(), "far-clock", request).await.unwrap_err();
    let Outcome::Trap(trap) = error.outcome() else { panic!("{error}") };
    assert!((1..=256).contains(&trap.reason.len()), "{}", trap.reason);
    Ok(())
}

/// A guest calls the host deep in its own stack. The host needs a reserve of stack.
#[tokio::test]
async fn a_stack_that_overflows_is_a_trap() -> Result<()> {
    let mut module = modules::Module::with_memory(1);
    let err = module.import(modules::CONTEXT, "context_err", modules::takes(1));
    let values = module.import(modules::CONTEXT, "context_values", modules::takes(3));
    module.code(0, |code| {
        code.i32_const(0).call(err).drop();
        code.i32_const(0).i32_const(0).i32_const(60_000).call(values).drop();
        code.call(values + 1);
    });
    let host = Host::serve([Function::from_bytes("deep", module.finish())?]).await?;
    for _ in 0..3 {
        let answer = host.get("/deep").await?;
        problem(&answer, Failure { status: 500, outcome: "trap", function: "deep" })?;
    }
    Ok(())
}

/// A module with 64 KiB of memory that calls a function of the host.
fn calling(name: &str, arguments: &[i32]) -> Vec<u8> {
    let mut module = modules::Module::with_memory(1);
    let called = module.import(modules::CONTEXT, name, modules::takes(arguments.len()));
    module.bytes(0, &modules::head(200, &[]));
    module.code(0, |code| {
        for &argument in arguments {
            code.i32_const(argument);
        }
        code.call(called).drop();
    });
    module.finish()
}

#[tokio::test]
async fn an_invocation_beyond_the_limit_is_503() -> Result<()> {
    let runtime = host::with(
        host::builder().max_in_flight(1),
        [function("busy-stuck", "stuck"), function("hello", "hello")],
    );
    let host = Host::start(runtime.clone(), |server| server).await?;
    let (feed, body) = input::fed();
    let holding = tokio::spawn(async move {
        runtime.invoke(&Context::background(), "busy-stuck", Request::new(body)).await
    });
    feed.asked().await;
    let answer = host.get("/hello").await?;
    problem(&answer, Failure { status: 503, outcome: "busy", function: "hello" })?;
    drop(feed);
    assert!(holding.await?.is_ok());
    assert_eq!(host.get("/hello").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn the_deadline_is_504() -> Result<()> {
    let timeout = Duration::from_millis(50);
    let host = Host::serve([
        function("spin", "spin").timeout(timeout).grace(timeout),
        function("check", "stuck").timeout(timeout),
    ])
    .await?;
    for (path, name) in [("/spin", "spin"), ("/check/check", "check")] {
        let answer = host.get(path).await?;
        let expected = Failure { status: 504, outcome: "deadline-exceeded", function: name };
        assert_eq!(problem(&answer, expected)?["cause"], "deadline-exceeded");
    }
    Ok(())
}

#[tokio::test]
async fn a_cancel_is_503() -> Result<()> {
    let runtime = host::runtime([function("canceled", "stuck")]);
    let host = Host::start(runtime.clone(), |server| server).await?;
    let mut client = host.client().await?;
    client.send("GET /canceled/check HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("canceled", "begun").await;
    runtime.shutdown(Duration::ZERO).await;
    let answer = client.answer(&Method::GET).await?;
    let expected = Failure { status: 503, outcome: "canceled", function: "canceled" };
    assert_eq!(problem(&answer, expected)?["cause"], "shutdown");
    Ok(())
}

#[tokio::test]
async fn draining_is_503() -> Result<()> {
    let host = Host::serve([function("hello", "hello")]).await?;
    let mut client = host.client().await?;
    assert_eq!(client.get("/hello").await?.status(), 200);
    host.runtime.shutdown(Duration::ZERO).await;
    let answer = client.get("/hello").await?;
    problem(&answer, Failure { status: 503, outcome: "draining", function: "hello" })?;
    Ok(())
}

#[tokio::test]
async fn an_embedder_gets_the_details_of_a_trap() -> Result<()> {
    let runtime = host::runtime([function("broken", "fail")]);
    let request = Request::get("/broken/panic").body(())?;
    let error = runtime.invoke(&Context::background(), "broken", request).await.unwrap_err();
    assert_eq!(error.function(), "broken");
    let Outcome::Trap(trap) = error.outcome() else { panic!("{error}") };
    let place = |name| trap.backtrace.iter().position(|found| found == name);
    let (inner, outer) = (place("fail::inner"), place("fail::outer"));
    assert!(inner.is_some() && inner < outer, "{:#?}", trap.backtrace);
    assert!(trap.stderr.contains("the panic's own words"), "{}", trap.stderr);
    assert!(trap.stderr.contains("main.rs:"), "{}", trap.stderr);
    assert!(!trap.reason.is_empty());
    let told = error.to_string();
    assert!(told.contains("`broken`") && told.contains(&trap.reason), "{told}");
    Ok(())
}

#[tokio::test]
async fn an_embedder_gets_exit_codes_and_limits() -> Result<()> {
    let runtime = host::runtime([function("broken", "fail").memory(mib(8))]);
    let fail = async |way: &str| {
        let request = Request::get(format!("/broken/{way}")).body(()).unwrap();
        runtime.invoke(&Context::background(), "broken", request).await.unwrap_err()
    };
    for code in [1, 125, 126, 255, i32::MAX, -1] {
        let error = fail(&code.to_string()).await;
        assert!(matches!(error.outcome(), Outcome::Exit(found) if *found == code), "{error}");
    }
    let error = fail("memory").await;
    assert!(
        matches!(error.outcome(), Outcome::OutOfMemory { limit } if *limit == mib(8)),
        "{error}"
    );
    let peak = error.usage().peak_memory;
    assert!((mib(4)..=mib(8)).contains(&peak), "{peak}");
    Ok(())
}
