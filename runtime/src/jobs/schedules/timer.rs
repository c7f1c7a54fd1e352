//! The task of one schedule: waits for its times, and starts its runs.

use std::sync::Arc;
use std::time::Duration;

use super::schedule::Missed;
use super::{Entry, SLEEP};
use crate::context::Context;
use crate::jobs::time::Timestamp;
use crate::sync::lock;

/// How late a run may be before it counts as missed.
const LATE: Duration = Duration::from_secs(60);

/// Starts runs until the context is done.
pub(super) async fn run(entry: Arc<Entry>, stopping: Context) {
    tokio::select! {
        biased;
        _ = stopping.done() => {}
        () = entry.runtime.draining() => {}
        () = work(&entry) => {}
    }
}

async fn work(entry: &Arc<Entry>) {
    let schedule = &entry.schedule;
    let last = entry.recall().await;
    let mut after = Timestamp::now();
    if let Some(last) = last {
        make_up(entry, last, after).await;
    }
    while let Some(next) = schedule.next(after) {
        lock(&entry.state).next = Some(next);
        sleep_until(next).await;
        let now = Timestamp::now();
        if now.since(next) > LATE {
            // The machine was suspended, or its clock was set.
            make_up(entry, after, now).await;
            after = now;
            continue;
        }
        tokio::time::sleep(schedule.jitter.mul_f64(fastrand::f64())).await;
        // A reader that sees this run as the last one also sees the one after it.
        lock(&entry.state).next = schedule.next(next);
        entry.start(next).await;
        after = next;
    }
}

/// Starts the last of the runs that were due in a period, if the policy says so.
async fn make_up(entry: &Arc<Entry>, after: Timestamp, until: Timestamp) {
    if entry.schedule.missed == Missed::RunOnce
        && let Some(missed) = entry.schedule.last(after, until)
    {
        entry.start(missed).await;
    }
}

async fn sleep_until(time: Timestamp) {
    loop {
        let left = time.since(Timestamp::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(SLEEP)).await;
    }
}
