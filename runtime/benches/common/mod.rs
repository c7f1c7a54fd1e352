//! What the benchmarks share: the guest, medians, and how results are printed.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The compiled module of an example function.
pub fn example(name: &str) -> Vec<u8> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip1", "-p", name])
        .current_dir(&workspace)
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the guest does not build");
    let file: PathBuf =
        workspace.join("target/wasm32-wasip1/release").join(name).with_extension("wasm");
    std::fs::read(file).expect("the guest was built")
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The figure below which a share of the others lies.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// How long `count` calls take, in microseconds each.
pub fn per_call(count: u32, mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..count {
        call();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// This thread's page faults so far.
pub fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The fields behind the name, which may hold anything, in parentheses.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).unwrap_or(0)
}
