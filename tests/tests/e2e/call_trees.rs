//! What one request may take of the host: the calls beyond its share wait, and the others go on.

use std::sync::Arc;
use std::time::Duration;

use hourglass::{Cause, Context, Function, InvokeError, Response, Runtime};
use hourglass_tests::guests::function;
use hourglass_tests::{host, poll};
use http::Request;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(600);

/// How long a test waits before it fails as hung.
const LIMIT: Duration = Duration::from_secs(60);

/// A function called `gated` that waits for a permit, and the permits.
fn gate(runtime: &Runtime) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    let permits = gate.clone();
    let answer = move |_, _| {
        let permits = permits.clone();
        async move {
            let _ = permits.acquire().await;
            Ok(http::Response::new(()))
        }
    };
    runtime.provide("gated", LONG, answer).unwrap();
    gate
}

fn caller() -> Function {
    function("caller", "caller").calls(["gated", "caller"]).timeout(LONG)
}

fn start(
    runtime: &Runtime,
    ctx: &Context,
    path: &str,
) -> JoinHandle<Result<Response, InvokeError>> {
    let (runtime, ctx, request) = (runtime.clone(), ctx.clone(), Request::get(path).body(()));
    tokio::spawn(async move { runtime.invoke(&ctx, "caller", request.unwrap()).await })
}

async fn text(answer: JoinHandle<Result<Response, InvokeError>>) -> String {
    let answer = tokio::time::timeout(LIMIT, answer).await.expect("it hangs").unwrap().unwrap();
    String::from_utf8(answer.into_body().bytes().await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_fan_out_leaves_half_to_others_and_comes_to_its_end_by_waiting() {
    let runtime =
        host::with(host::builder().max_in_flight(100), [caller(), function("hello", "hello")]);
    let (gate, ctx) = (gate(&runtime), Context::background());
    let fan_out = start(&runtime, &ctx, "/caller/start/gated/300");
    // The caller, and half of the 99 that it found free, rounded up.
    host::in_flight(&runtime, 51).await;
    for _ in 0..3 {
        let answer = runtime.invoke(&ctx, "hello", Request::new("")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(runtime.in_flight(), 51, "nobody waits in vain, and nobody takes more");
    // One after the other, those that wait have their turns.
    gate.add_permits(1_000);
    assert_eq!(text(fan_out).await, "200\n".repeat(300));
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn a_synchronous_call_waits_too() {
    let runtime = host::with(host::builder().max_in_flight(8), [caller()]);
    let (gate, ctx) = (gate(&runtime), Context::background());
    let callers = start(&runtime, &ctx, "/caller/start/caller/4/call/gated");
    // The root and four others, or five: in whichever order they come, some that are called in the
    // middle of their caller's host call have to wait.
    poll::until(|| match runtime.in_flight() {
        count if count < 5 => Err(format!("{count} in flight")),
        _ => Ok(()),
    })
    .await;
    gate.add_permits(4);
    assert_eq!(text(callers).await, "200\n".repeat(4));
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn nested_fan_outs_do_not_wait_for_each_other() {
    // The host has a tenth of the places that all of them would take at once.
    for share in [0.01, 0.5, 0.8] {
        let builder = host::builder().max_in_flight(24).call_share(share);
        let runtime = host::with(builder, [caller()]);
        gate(&runtime).add_permits(100_000);
        let path = "/caller/start/caller/8/start/caller/5/start/gated/6";
        let answer = start(&runtime, &Context::background(), path);
        assert_eq!(text(answer).await, "200\n".repeat(8), "{share}");
        host::nothing_left(&runtime).await;
    }
}

#[tokio::test]
async fn a_call_that_waits_starts_when_others_have_ended() {
    let runtime = host::with(host::builder().max_in_flight(6), [caller()]);
    let (gate, ctx) = (gate(&runtime), Context::background());
    let other = start(&runtime, &ctx, "/caller/call/gated");
    host::in_flight(&runtime, 2).await;
    // Of the three that it finds free it takes two, and then as many are free as the other had.
    let fan_out = start(&runtime, &ctx, "/caller/start/gated/3");
    host::in_flight(&runtime, 5).await;
    other.abort();
    // The other two have ended, and the third call has started.
    host::in_flight(&runtime, 4).await;
    gate.add_permits(3);
    assert_eq!(text(fan_out).await, "200\n".repeat(3));
}

#[tokio::test]
async fn calls_that_wait_end_with_their_context() {
    let runtime = host::with(host::builder().max_in_flight(8), [caller()]);
    let _gate = gate(&runtime);
    let (ctx, cancel) = Context::background().with_cancel();
    let fan_out = start(&runtime, &ctx, "/caller/start/gated/50");
    host::in_flight(&runtime, 5).await;
    cancel.cancel_with(Cause::Operator);
    let ended = tokio::time::timeout(LIMIT, fan_out).await.expect("it hangs").unwrap();
    if let Ok(answer) = ended {
        let answer = answer.into_body().bytes().await.unwrap();
        assert_eq!(answer, "canceled\n".repeat(50));
    }
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn calls_that_wait_do_not_keep_the_host_from_its_end() {
    let runtime = host::with(host::builder().max_in_flight(8), [caller()]);
    let _gate = gate(&runtime);
    let fan_out = start(&runtime, runtime.context(), "/caller/start/gated/50");
    host::in_flight(&runtime, 5).await;
    let shutdown = tokio::time::timeout(LIMIT, runtime.shutdown(Duration::from_millis(10)));
    assert!(shutdown.await.expect("it hangs") > 0);
    assert_eq!(runtime.in_flight(), 0);
    let _ = fan_out.await;
}
