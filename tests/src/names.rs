//! The names of functions, checked to be unique where tests read what functions print.
//!
//! The tests of many modules run in one process, and [`crate::lines`] tells their functions apart
//! by name only. Two modules that share a name would see each other's lines.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// Where a name is used.
#[derive(Default)]
struct Use {
    /// The files whose tests have a function of this name.
    files: BTreeSet<&'static str>,
    /// Whether a test reads the lines of a function of this name.
    is_read: bool,
}

static NAMES: Mutex<BTreeMap<String, Use>> = Mutex::new(BTreeMap::new());

/// Registers a function of the caller's file.
#[track_caller]
pub(crate) fn register(name: &str) {
    let file = Location::caller().file();
    change(name, |used| {
        used.files.insert(file);
    });
}

/// Registers that a test reads what a function prints.
pub(crate) fn read(name: &str) {
    change(name, |used| used.is_read = true);
}

fn change(name: &str, change: impl FnOnce(&mut Use)) {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let used = names.entry(name.to_owned()).or_default();
    change(used);
    let is_unique = !used.is_read || used.files.len() < 2;
    let files = format!("{:?}", used.files);
    drop(names);
    assert!(is_unique, "the lines of `{name}` are read, so only one of {files} may use the name");
}
