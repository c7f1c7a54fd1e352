//! Names and heads of calls, responses and fetches.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Context, Outcome};
use hourglass_tests::host::Host;
use hourglass_tests::modules::{self, Module};
use hourglass_tests::upstream::Upstream;
use http::{HeaderValue, Request, Response};
use wasm_encoder::MemArg;

use crate::counting::Growth;
use crate::{
    MEMORY, SLACK, answering, function, headers, import, invoke, request_head, response_head,
    runtime, times,
};

const LONGEST: usize = 64 << 10;
const LARGE: i32 = 6 << 20;
const SHORT: Duration = Duration::from_millis(50);

/// A guest that calls `callee` `calls` times with a name and a head, waits, and responds with 200
/// if the last call returned a handle, and with 400 otherwise.
pub(crate) fn calling(name: (i32, i32), head: &[u8], calls: i32, wait: Duration) -> Vec<u8> {
    const AT: i32 = 0x10000;
    let mut module = Module::with_memory(MEMORY >> 16);
    let [start, sleep, respond] =
        ["call_start", "context_sleep", "respond"].map(|name| import(&mut module, name));
    module.bytes(0, b"callee").bytes(AT, head).bytes(64, &modules::head(400, &[]));
    module.code(2, |code| {
        times(code, 0, calls, |code| {
            code.i32_const(0).i32_const(name.0).i32_const(name.1);
            code.i32_const(AT).i32_const(head.len() as i32).i32_const(0).i32_const(0);
            code.call(start).local_set(1);
        });
        code.i32_const(0).i64_const(wait.as_nanos() as i64).call(sleep).drop();
        code.local_get(1).i32_const(0).i32_gt_s().if_(wasm_encoder::BlockType::Empty);
        code.i32_const(64).i32_const(200).i32_store16(MemArg {
            offset: 0,
            align: 1,
            memory_index: 0,
        });
        code.end();
        code.i32_const(64).i32_const(6).i32_const(0).i32_const(0).call(respond).drop();
    });
    module.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_name_is_not_read() -> Result<()> {
    let mut growth = Growth::count().await;
    let runtime = runtime();
    let module = calling((0x20000, LARGE), &request_head("/", 60), 60, SHORT);
    runtime.deploy(function("names", module))?;
    growth.restart();
    assert_eq!(invoke(&runtime, "names").await?.status(), 400);
    assert!(growth.peak() < SLACK, "{} bytes", growth.peak());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_call_is_limited() -> Result<()> {
    let mut growth = Growth::count().await;
    let runtime = runtime();
    runtime.provide("callee", Duration::from_secs(5), async |ctx: Context, _| {
        ctx.done().await;
        Ok(Response::new(()))
    })?;
    for (len, begun) in [(LONGEST, 200), (LONGEST + 1, 400), (LARGE as usize, 400)] {
        let module = calling((0, 6), &request_head("/", len), 60, SHORT);
        runtime.deploy(function("heads", module).calls(["callee"]))?;
        growth.restart();
        assert_eq!(invoke(&runtime, "heads").await?.status(), begun, "{len} bytes");
        // The longest allowed heads count as bodies, up to the size of the memory.
        assert!(growth.peak() < 2 * MEMORY + SLACK, "{len} bytes: {}", growth.peak());
    }
    Ok(())
}

#[tokio::test]
async fn the_head_of_a_response_is_limited() -> Result<()> {
    let _turn = Growth::count().await;
    let runtime = runtime();
    runtime.deploy(function("longest", answering(&response_head(LONGEST))))?;
    assert_eq!(invoke(&runtime, "longest").await?.status(), 200);
    for len in [LONGEST + 1, LARGE as usize] {
        runtime.deploy(function("longer", answering(&response_head(len))))?;
        let error = invoke(&runtime, "longer").await.unwrap_err();
        let Outcome::BadResponse(text) = error.outcome() else { panic!("{error}") };
        assert_eq!(*text, format!("its head has {len} bytes; the most is 65536"));
    }
    Ok(())
}

#[tokio::test]
async fn the_head_of_a_host_function_is_limited() -> Result<()> {
    let _turn = Growth::count().await;
    let runtime = runtime();
    runtime.provide("callee", Duration::from_secs(5), async |_, _| {
        let value = HeaderValue::from_bytes(&vec![b'v'; LONGEST]).unwrap();
        let response = Response::builder().header("x-long", value).body(()).unwrap();
        Ok(response)
    })?;
    let host = Host::start(runtime, |server| server).await?;
    host.runtime.deploy(hourglass_tests::guests::function("calls", "caller").calls(["callee"]))?;
    let answer = host.get("/calls/call/callee").await?;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(text.contains("bad-response") && text.contains("the most is 65536"), "{text}");
    Ok(())
}

/// Unread responses of callees are limited to the size of the caller's memory.
#[tokio::test(flavor = "multi_thread")]
async fn unread_heads_of_callees_are_limited() -> Result<()> {
    let mut growth = Growth::count().await;
    let runtime = runtime();
    runtime.deploy(function("callee", answering(&response_head(LONGEST))))?;
    let module = calling((0, 6), &request_head("/", 60), 600, SHORT);
    runtime.deploy(function("holds", module).calls(["callee"]))?;
    growth.restart();
    assert_eq!(invoke(&runtime, "holds").await?.status(), 200);
    assert!(growth.peak() < MEMORY + 3 * SLACK, "{} bytes", growth.peak());
    Ok(())
}

/// A guest that starts `fetches` fetches with the same head, and keeps the handles.
fn fetching(head: &[u8], fetches: i32) -> Vec<u8> {
    let mut module = Module::with_memory(MEMORY >> 16);
    let [start, sleep, respond] =
        ["fetch_start", "context_sleep", "respond"].map(|name| import(&mut module, name));
    module.bytes(0x10000, head).bytes(0, &modules::head(200, &[]));
    module.code(1, |code| {
        times(code, 0, fetches, |code| {
            code.i32_const(0).i32_const(0).i32_const(0x10000).i32_const(head.len() as i32);
            code.i32_const(0).i32_const(0).call(start).drop();
        });
        code.i32_const(0).i64_const(50_000_000).call(sleep).drop();
        code.i32_const(0).i32_const(6).i32_const(0).i32_const(0).call(respond).drop();
    });
    module.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_fetch_is_limited() -> Result<()> {
    let upstream = Upstream::start(|_| String::new()).await?;
    let mut growth = Growth::count().await;
    let runtime = runtime();
    for len in [LONGEST, LARGE as usize] {
        let module = fetching(&request_head(&upstream.url("/"), len), 60);
        let fetching = function("fetches", module).allow_hosts(["127.0.0.1"]).fetches_at_once(8);
        runtime.deploy(fetching)?;
        growth.restart();
        assert_eq!(invoke(&runtime, "fetches").await?.status(), 200);
        assert!(growth.peak() < 3 * SLACK, "{len} bytes: {}", growth.peak());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_failure_truncates_the_host() -> Result<()> {
    let mut growth = Growth::count().await;
    let runtime = runtime();
    for len in [60_000, LARGE as usize] {
        let line = crate::fields(["GET", &format!("http://{}/", "a.".repeat(len / 2))]);
        let module = fetching(&[line, headers(22)].concat(), 500);
        runtime.deploy(function("fetches", module).allow_hosts(["127.0.0.1"]))?;
        growth.restart();
        assert_eq!(invoke(&runtime, "fetches").await?.status(), 200);
        assert!(growth.peak() < SLACK, "{len} bytes: {}", growth.peak());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_head_of_another_host_is_accepted() -> Result<()> {
    let _turn = Growth::count().await;
    let value = "v".repeat(50_000);
    let answer = format!("HTTP/1.1 200 OK\r\nx-long: {value}\r\ncontent-length: 0\r\n\r\n");
    let upstream = Upstream::start(move |_| answer.clone()).await?;
    let host = Host::start(runtime(), |server| server).await?;
    let fetcher = hourglass_tests::guests::function("fetches", "fetcher");
    host.runtime.deploy(fetcher.allow_hosts(["127.0.0.1"]))?;
    let request = Request::get("/fetches/pass").header("x-url", upstream.url("/")).body("")?;
    let answer = host.client().await?.request(&request).await?;
    assert_eq!(answer.headers()["x-long"].len(), value.len());
    Ok(())
}
