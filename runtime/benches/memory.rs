//! The memory of an invocation in flight: a thousand guests that wait at the
//! same time, compared with no guests.
//!
//! Resident memory is measured for the process, so the figure includes the
//! guest's stack, its pages and everything the host holds for it.

mod common;

use std::time::Duration;

use hourglass::{Context, Function, Runtime};

const GUESTS: u64 = 1_000;
const ROUNDS: usize = 5;

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let stuck = Function::from_bytes("stuck", common::guest("stuck")).expect("a function");
    let stuck = stuck.timeout(Duration::from_secs(600)).grace(Duration::ZERO);
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        // Each has its own runtime, so that no slot was used before.
        let runtime = Runtime::builder().max_in_flight(GUESTS as usize).build().expect("a runtime");
        runtime.deploy(stuck.clone()).expect("it deploys");
        let before = common::resident();
        figures.push(tokio.block_on(waiting(&runtime, before)));
    }
    println!("resident memory of one of {GUESTS} waiting guests, median of {ROUNDS} rounds");
    println!("  {:.1} KiB", common::median(figures) / 1_024.0);
}

/// Bytes per guest while all of them wait.
async fn waiting(runtime: &Runtime, before: u64) -> f64 {
    let (ctx, cancel) = Context::background().with_cancel();
    let mut tasks = Vec::new();
    for _ in 0..GUESTS {
        let (runtime, ctx) = (runtime.clone(), ctx.clone());
        tasks.push(tokio::spawn(async move {
            let request = http::Request::get("/sleep").body(()).expect("a request");
            runtime.invoke(&ctx, "stuck", request).await.map(drop)
        }));
    }
    while runtime.in_flight() < GUESTS as usize {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // An admitted guest does not wait yet; a guest that runs gets there
    // quickly.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let each = common::resident().saturating_sub(before) as f64 / GUESTS as f64;
    cancel.cancel();
    for task in tasks {
        let _ = task.await;
    }
    each
}
