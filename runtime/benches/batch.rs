//! The throughput of `hourglass batch`, with lines parsed and results written,
//! compared with a loop that invokes the function in process with the same
//! concurrency. Also the memory of the program while the input goes by.
//!
//! `BATCH_JOBS` sets the number of jobs; the default is 300,000.

mod common;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hourglass::{Context, Function, Runtime};

const ROUNDS: usize = 5;
const CONCURRENCY: usize = 16;

fn main() {
    let jobs = std::env::var("BATCH_JOBS").ok().and_then(|jobs| jobs.parse().ok());
    let jobs: u64 = jobs.unwrap_or(300_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("hello.wasm");
    fs::write(&module, common::guest("hello")).expect("the module is written");
    let input = folder.path().join("jobs.ndjson");
    write_jobs(&input, jobs).expect("the input is written");
    let (mut loops, mut batches, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let in_process = in_process(&module, jobs);
        let (batch, resident) = batch(folder.path(), jobs);
        // The first round warms up.
        if round > 0 {
            loops.push(in_process);
            batches.push(batch);
            memory = resident;
        }
    }
    let ratios = loops.iter().zip(&batches).map(|(alone, batch)| batch / alone).collect();
    println!("hello, {jobs} jobs, {CONCURRENCY} at once, medians of {ROUNDS} alternating rounds");
    println!("  Runtime::invoke in a loop   {:9.0} per second", common::median(loops));
    println!("  hourglass batch             {:9.0} per second", common::median(batches));
    println!("  ratio                       {:9.2}", common::median(ratios));
    println!("  resident MiB, over the time {memory:?}");
}

fn write_jobs(path: &Path, jobs: u64) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..jobs {
        writeln!(file, "{{\"id\":{number},\"path\":\"/hello/{number}\"}}")?;
    }
    file.flush()
}

/// Invocations per second of tasks that invoke the function one after the other.
fn in_process(module: &Path, jobs: u64) -> f64 {
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.deploy(Function::from_file("hello", module).expect("a module")).expect("it deploys");
    let tokio = tokio::runtime::Runtime::new().expect("a tokio runtime");
    let (left, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks: Vec<_> = (0..CONCURRENCY)
        .map(|_| {
            let (runtime, left) = (runtime.clone(), left.clone());
            tokio.spawn(async move {
                loop {
                    let number = left.fetch_add(1, Ordering::Relaxed);
                    if number >= jobs {
                        return;
                    }
                    let request = http::Request::get(format!("/hello/{number}")).body("");
                    let request = request.expect("a request");
                    runtime
                        .invoke(&Context::background(), "hello", request)
                        .await
                        .expect("it answers");
                    tokio::task::consume_budget().await;
                }
            })
        })
        .collect();
    tokio.block_on(async {
        for task in tasks {
            task.await.expect("it ends");
        }
    });
    jobs as f64 / started.elapsed().as_secs_f64()
}

/// Jobs per second of the program, and its resident memory in MiB at ten moments.
fn batch(folder: &Path, jobs: u64) -> (f64, Vec<u64>) {
    let output = folder.join("results.ndjson");
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_hourglass"))
        .current_dir(folder)
        .args(["batch", "hello.wasm", "--json", "--input", "jobs.ndjson", "--output"])
        .arg(&output)
        .args(["--concurrency", &CONCURRENCY.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut memory = Vec::new();
    while child.try_wait().expect("the program runs").is_none() {
        memory.push(common::resident_of(&child.id().to_string()) >> 20);
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = started.elapsed();
    let ended = child.wait_with_output().expect("the program ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let lines = fs::read(&output).expect("results").iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines as u64, jobs);
    fs::remove_file(output).expect("the results can be removed");
    let step = memory.len().div_ceil(10).max(1);
    (jobs as f64 / took.as_secs_f64(), memory.into_iter().step_by(step).collect())
}
