//! Durable jobs per second, next to the limit of the disk in the same run.
//!
//! The limit is how often a file in the same directory can be appended to and
//! synchronized. Jobs share commits, so more of them are stored than that.
//!
//! `HOURGLASS_JOBS_DIR` names the directory; by default it is a temporary one in
//! the current directory, because `/tmp` may be in memory.

mod common;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hourglass::jobs::{Jobs, StoreLimits};
use hourglass::{Context, Function, Runtime};

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(5);

/// A body of a job, in bytes.
const BODY: usize = 256;

fn main() {
    let runtime = Runtime::builder().build().expect("a runtime");
    let hello = Function::from_bytes("hello", common::guest("hello")).expect("a good name");
    runtime.deploy(hello).expect("it deploys");
    let base = std::env::var("HOURGLASS_JOBS_DIR").unwrap_or_else(|_| ".".to_owned());
    let dir = tempfile::tempdir_in(base).expect("a directory");
    let tokio = tokio::runtime::Runtime::new().expect("an async runtime");

    let synced = syncs(dir.path());
    println!("the disk: {synced:.0} appends of {BODY} bytes per second, each synchronized");
    for submitters in [1, 16, 256, 2_048] {
        let path = dir.path().join(submitters.to_string());
        let [stored, ended] = tokio.block_on(rates(&runtime, &path, submitters));
        println!(
            "{submitters:>5} submitters: {stored:>7.0} jobs stored per second ({:.1} times that), \
             {ended:>7.0} stored, run and ended",
            stored / synced
        );
    }
    let after = syncs(dir.path());
    println!("the disk: {after:.0} appends per second afterwards");
}

/// How often a file can be appended to and synchronized, per second.
fn syncs(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("appended")).expect("a file");
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < TIME / 2 {
        file.write_all(&[b'x'; BODY]).expect("it is written");
        file.sync_data().expect("it is synchronized");
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

/// The jobs that are stored per second, and those that end per second, until all
/// have ended.
async fn rates(runtime: &Runtime, dir: &Path, submitters: usize) -> [f64; 2] {
    let limits = StoreLimits { jobs: 10_000_000, bytes: 64 << 30 };
    let jobs = Jobs::builder(runtime).limits(limits).open(dir).expect("a store");
    let (started, stored) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let submit = |_| {
        let (jobs, stored) = (jobs.clone(), stored.clone());
        tokio::spawn(async move {
            let ctx = Context::background();
            let mut last = None;
            while started.elapsed() < TIME {
                let request = http::Request::new("x".repeat(BODY));
                let job = jobs.submit(&ctx, "hello", request).await.expect("it has room");
                stored.fetch_add(1, Ordering::Relaxed);
                last = Some(job.id);
            }
            last
        })
    };
    let tasks: Vec<_> = (0..submitters).map(submit).collect();
    let mut last = Vec::new();
    for task in tasks {
        last.extend(task.await.expect("no panic"));
    }
    let count = stored.load(Ordering::Relaxed) as f64;
    let rate = count / started.elapsed().as_secs_f64();
    // The jobs of one function end in about the order of their submission.
    for id in last {
        jobs.wait(id).await.expect("it is open");
    }
    let ended = count / started.elapsed().as_secs_f64();
    jobs.close().await.expect("it closes");
    [rate, ended]
}
