//! How long one import blocks its thread: each runs in a loop, with the largest arguments of a
//! guest with 128 MiB of memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass::mib;
use hourglass_tests::upstream::{Upstream, ok};
use rustix::time::{ClockId, clock_gettime};

use crate::counting::Growth;
use crate::imports::{BIG, LOOPS, module};
use crate::{answering, function, invoke, response_head, runtime};

const MEMORY: u64 = mib(128);
const LENGTH: i32 = 120_000_000;
const TIMEOUT: Duration = Duration::from_millis(60);
const GRACE: Duration = Duration::from_millis(20);

/// The longest wait of other tasks on the thread, in processor time: some ticks of a computing
/// guest, on a machine whose load delays the ticker. Copying the whole memory at once takes several
/// times as long.
const HELD_UP: Duration = Duration::from_millis(10);

/// How late a guest may end.
const LATE: Duration = Duration::from_millis(100);

/// The attempts per loop, because the machine may be busy during some of them.
const TRIES: usize = 8;

/// This thread's processor time, which excludes other processes.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// The longest time between two polls of a task on this thread.
async fn longest_wait() -> Duration {
    let (mut longest, mut last) = (Duration::ZERO, thread_time());
    loop {
        tokio::task::yield_now().await;
        let now = thread_time();
        longest = longest.max(now - last);
        last = now;
        if DONE.with(|done| done.get()) {
            return longest;
        }
    }
}

thread_local! {
    /// Whether the guest has ended.
    static DONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[tokio::test(flavor = "current_thread")]
async fn no_import_blocks_its_thread_and_all_end_in_time() -> Result<()> {
    let _alone = Growth::count().await;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("call"), vec![b'x'; 1 << 20])?;
    let upstream = Upstream::start(|_| ok(&"x".repeat(10_000))).await?;
    let runtime = runtime();
    runtime.deploy(function("callee", answering(&response_head(64 << 10))))?;
    assert!(u64::from(BIG.unsigned_abs() + LENGTH.unsigned_abs()) < MEMORY);
    let mut failures = Vec::new();
    for turn in LOOPS {
        let wasm = module(turn, &upstream.url("/"), i32::MAX, MEMORY, LENGTH);
        let guest = function("guest", wasm)
            .memory(MEMORY)
            .timeout(TIMEOUT)
            .grace(GRACE)
            .calls(["callee"])
            .max_calls(u32::MAX)
            .allow_hosts(["127.0.0.1"])
            .mount("/", folder.path());
        runtime.deploy(guest)?;
        let (mut held_up, mut late) = (Duration::MAX, Duration::MAX);
        for _ in 0..TRIES {
            DONE.with(|done| done.set(false));
            let watching = tokio::spawn(longest_wait());
            tokio::task::yield_now().await;
            let started = Instant::now();
            // The outcome does not matter: some loops end in a trap.
            let _ =
                tokio::time::timeout(Duration::from_secs(60), invoke(&runtime, "guest")).await?;
            late = late.min(started.elapsed().saturating_sub(TIMEOUT + GRACE));
            DONE.with(|done| done.set(true));
            held_up = held_up.min(watching.await?);
            if held_up <= HELD_UP && late <= LATE {
                break;
            }
        }
        if held_up > HELD_UP || late > LATE {
            failures.push(format!("`{turn}`: others wait {held_up:?}, it ends {late:?} late"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}
