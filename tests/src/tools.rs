//! Programs of others that tests run, if they are there.

use std::env;
use std::io::Write;
use std::path::PathBuf;

use crate::guests::repository;

/// A program of `.ci/deploy-tools`, or of the system. `None` is also printed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let own = ["python/bin", "prometheus/usr/bin"];
    let own = own.map(|folder| repository().join("target/deploy-tools").join(folder));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut files = own.into_iter().chain(env::split_paths(&path)).map(|folder| folder.join(name));
    let found = files.find(|file| file.is_file());
    if found.is_none() {
        // `stderr` directly, which the test harness does not capture.
        let _ = writeln!(std::io::stderr(), "skipped: there is no `{name}`; run .ci/deploy-tools");
    }
    found
}
