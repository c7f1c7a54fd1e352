//! What this process holds of the system.

use std::fs;

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
