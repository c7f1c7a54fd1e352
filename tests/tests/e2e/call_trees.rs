//! The share of the host that one request may take: calls beyond it wait, other requests continue.

use std::sync::Arc;
use std::time::Duration;

use hourglass::{Cause, Context, Function, InvokeError, Response, Runtime};
use hourglass_tests::guests::function;
use hourglass_tests::{LONG, host, poll};
use http::Request;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How long a test waits before it fails as hung.
const LIMIT: Duration = Duration::from_secs(60);

/// Provides a function `gated` that waits for a permit, and returns the permits.
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
async fn a_fan_out_takes_half_of_the_free_slots_and_completes() {
    let runtime =
        host::with(host::builder().max_in_flight(100), [caller(), function("hello", "hello")]);
    let (gate, ctx) = (gate(&runtime), Context::background());
    let fan_out = start(&runtime, &ctx, "/caller/start/gated/300");
    // The caller, and half of the 99 free slots, rounded up.
    host::in_flight(&runtime, 51).await;
    for _ in 0..3 {
        let answer = runtime.invoke(&ctx, "hello", Request::new("")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(runtime.in_flight(), 51, "the fan-out takes exactly its share");
    // The waiting calls run one after the other.
    gate.add_permits(1_000);
    assert_eq!(text(fan_out).await, "200\n".repeat(300));
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn a_synchronous_call_beyond_the_share_waits() {
    let runtime = host::with(host::builder().max_in_flight(8), [caller()]);
    let (gate, ctx) = (gate(&runtime), Context::background());
    let callers = start(&runtime, &ctx, "/caller/start/caller/4/call/gated");
    // The root and four or five others: in any order, some synchronous calls have to wait.
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
async fn nested_fan_outs_do_not_deadlock() {
    // The host has a tenth of the slots that all calls would take at once.
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
async fn a_waiting_call_starts_when_slots_become_free() {
    let runtime = host::with(host::builder().max_in_flight(6), [caller()]);
    let (gate, ctx) = (gate(&runtime), Context::background());
    let other = start(&runtime, &ctx, "/caller/call/gated");
    host::in_flight(&runtime, 2).await;
    // The call takes two of the three free slots. Then as many are free as the other call holds.
    let fan_out = start(&runtime, &ctx, "/caller/start/gated/3");
    host::in_flight(&runtime, 5).await;
    other.abort();
    // The other two calls have ended, and the third one has started.
    host::in_flight(&runtime, 4).await;
    gate.add_permits(3);
    assert_eq!(text(fan_out).await, "200\n".repeat(3));
}

#[tokio::test]
async fn waiting_calls_end_with_their_context() {
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
async fn waiting_calls_do_not_delay_a_shutdown() {
    let runtime = host::with(host::builder().max_in_flight(8), [caller()]);
    let _gate = gate(&runtime);
    let fan_out = start(&runtime, runtime.context(), "/caller/start/gated/50");
    host::in_flight(&runtime, 5).await;
    let shutdown = tokio::time::timeout(LIMIT, runtime.shutdown(Duration::from_millis(10)));
    assert!(shutdown.await.expect("it hangs") > 0);
    assert_eq!(runtime.in_flight(), 0);
    let _ = fan_out.await;
}
