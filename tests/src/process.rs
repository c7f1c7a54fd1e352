//! What this process holds of the system.

use std::fs;

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// What grows when something leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Threads.
    pub threads: usize,
    /// Open descriptors.
    pub descriptors: usize,
    /// Memory mappings.
    pub mappings: usize,
}

impl Holdings {
    /// What it holds now.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn now() -> Self {
        let read = |path| fs::read_to_string(path).expect("there is a /proc");
        let entries = |path| fs::read_dir(path).expect("there is a /proc").count();
        let status = read("/proc/self/status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: Option<u64> =
            resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Self {
            memory: 1_024 * kilobytes.expect("the kernel tells the resident memory"),
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
            mappings: read("/proc/self/maps").lines().count(),
        }
    }
}

/// Keeps this thread on the core that it is on. Idle instances wait at the core that they were last
/// used on, and whoever comes from another one may miss one: so that it is certain which instance
/// is taken next.
///
/// # Panics
/// Where the system does not allow it.
pub fn stay_on_this_core() {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).expect("a thread may choose among its own cores");
}
