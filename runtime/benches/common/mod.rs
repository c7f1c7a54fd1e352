//! Shared by the benchmarks: the guest, medians, and printing of results.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::path::Path;
use std::time::{Duration, Instant};

use hourglass_build::{self as build, Progress};

/// The program's allocator, for both sides of every comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The compiled module of a function of this workspace.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    build::target::ensure(&workspace, &mut Progress::new(|_| ())).expect("the target can be had");
    let mut functions = build::functions(&workspace).expect("there are functions");
    functions.retain(|function| function.name() == name);
    let built =
        build::build(&functions, &mut Progress::new(|_| ())).pop().expect("the function is there");
    let file = built.outcome.unwrap_or_else(|failure| panic!("{failure}"));
    std::fs::read(file).expect("the guest was built")
}

/// The median.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The percentile: the value below which this share of the others lies.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The time of `count` calls, in microseconds per call.
pub(crate) fn per_call(count: u32, mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..count {
        call();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// This thread's page faults so far.
pub(crate) fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The fields after the name, which is in parentheses and may contain
    // anything.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// This process's resident memory in bytes.
pub(crate) fn resident() -> u64 {
    resident_of("self")
}

/// The resident memory of a process in bytes; 0 if it has ended.
pub(crate) fn resident_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    1_024 * kilobytes.unwrap_or(0)
}
