//! Resources of processes, and tests that run in a process of their own.

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// Set in a process that runs a single test, to the path of that test.
const DELEGATED: &str = "HOURGLASS_TESTS_DELEGATED";

/// Runs a test in a process of its own, because what a process holds depends on all that runs in
/// it. It returns `true` where the other process has run the test, and `false` in that process.
/// `test` is the path of the calling test within its binary.
///
/// # Panics
/// If the test fails there.
pub fn delegated(test: &str) -> bool {
    if env::var_os(DELEGATED).is_some_and(|delegated| delegated == test) {
        return false;
    }
    let binary = env::current_exe().expect("the test's binary is known");
    let output = Command::new(binary)
        .args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(DELEGATED, test)
        .output()
        .expect("the test's binary can be run");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A path that names no test would succeed too.
    let passed = output.status.success() && out.contains("test result: ok. 1 passed");
    assert!(passed, "`{test}` in a process of its own: {}\n{out}\n{err}", output.status);
    print!("{out}");
    true
}

/// Copies a file to another place, and makes it executable. Another process does it: one that a
/// test starts at the same moment would inherit the open file from this process, and the system
/// runs no file that is open for writing.
///
/// # Errors
/// Those of the process.
pub fn executable(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("install").args(["-m", "755"]).args([from, to]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

/// Writes an executable script.
///
/// # Errors
/// Those of the file, and of [`executable`].
pub fn script(path: &Path, text: &str) -> io::Result<()> {
    let plain = path.with_extension("text");
    fs::write(&plain, text)?;
    executable(&plain, path)
}

/// Resources that grow with a leak.
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
    /// The current resources of this process.
    ///
    /// # Panics
    /// Without `/proc`.
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

/// The processes that a process has started and not reaped.
pub fn children(id: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Whether a process exists and has not ended.
pub fn is_running(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Pins this thread to its current core, so that it is certain which idle instance is taken next:
/// idle instances are kept per core.
///
/// # Panics
/// If the system does not allow it.
pub fn stay_on_this_core() {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).expect("a thread may choose among its own cores");
}
