//! The time from canceling the root of a tree of invocations until all of them
//! have ended. The tree has callers below a caller, and leaf guests that wait
//! and then either end by themselves or ignore the cancellation and are
//! interrupted.
//!
//! It runs ten thousand invocations, or as many as the machine allows; with the
//! kernel's default `vm.max_map_count` that is ten thousand.

mod common;

use std::time::{Duration, Instant};

use hourglass::{Context, Function, Runtime};

const ROUNDS: usize = 100;
const GRACE: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(1);
/// Callers below the root; the remaining invocations are below them.
const CALLERS: usize = 20;
const WANTED: usize = 10_000;

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let allowed = Runtime::builder().build().expect("a runtime").capacity().allowed;
    let callees = (WANTED.min(allowed) - 1) / CALLERS - 1;
    let count = 1 + CALLERS * (1 + callees);
    // One call tree takes all of the capacity.
    let builder = Runtime::builder().tick(TICK).max_in_flight(count).call_share(1.0);
    let runtime = builder.build().expect("a runtime");
    let patient = |name: &str, guest: &str| {
        let function = Function::from_bytes(name, common::guest(guest)).expect("a function");
        function.timeout(Duration::from_secs(600)).grace(GRACE)
    };
    runtime.deploy(patient("stuck", "stuck")).expect("it deploys");
    runtime.deploy(patient("caller", "caller").calls(["caller", "stuck"])).expect("it deploys");
    println!(
        "{count} invocations, canceled at their root, {ROUNDS} rounds, grace {GRACE:?}, tick {TICK:?}"
    );
    for (label, way) in [("that listen", "sleep"), ("that do not listen", "sleep-again")] {
        let mut took: Vec<_> =
            (0..ROUNDS).map(|_| tokio.block_on(round(&runtime, count, callees, way))).collect();
        took.sort_unstable();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| common::percentile(&took, share));
        println!("  {label:<20} none left after p50 {p50:?}, p99 {p99:?}, max {max:?}");
    }
}

/// The time from the cancellation until the last of them ended.
async fn round(runtime: &Runtime, count: usize, callees: usize, way: &str) -> Duration {
    let (ctx, cancel) = Context::background().with_cancel();
    let running = tokio::spawn({
        let (runtime, ctx) = (runtime.clone(), ctx.clone());
        let path = format!("/caller/hold/caller/{CALLERS}/hold/stuck/{callees}/{way}");
        async move {
            let request = http::Request::get(path).body(()).expect("a request");
            runtime.invoke(&ctx, "caller", request).await.map(drop)
        }
    });
    while runtime.in_flight() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // An admitted guest is not stuck yet; a guest that runs gets there quickly.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let canceled = Instant::now();
    cancel.cancel();
    while runtime.in_flight() > 0 {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    let took = canceled.elapsed();
    let _ = running.await;
    assert!(runtime.invocations().is_empty() && ctx.children() == 0);
    took
}
