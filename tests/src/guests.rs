//! Builds the functions under test: the crates in `tests/guests`, and the examples.
//!
//! They are built once per process, by the code behind `hourglass up`. In later processes, cargo
//! has nothing to do.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::Result;
use hourglass::Function;
use hourglass_build as build;

use crate::names;

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a folder above it")
}

/// A guest's module, by the name of its crate.
///
/// # Panics
/// If there is no such guest, or one does not build.
pub fn module(guest: &str) -> &'static Path {
    let built = BUILT.as_ref().unwrap_or_else(|error| panic!("{error}"));
    built.get(guest).unwrap_or_else(|| panic!("no guest is called `{guest}`"))
}

/// A guest as a function with a name that identifies the test.
///
/// # Panics
/// As [`module`]; and if a test of another file has a function of this name, and the lines of one
/// of them are read.
#[track_caller]
pub fn function(name: &str, guest: &str) -> Function {
    names::register(name);
    Function::from_file(name, module(guest)).expect("a built guest can be read")
}

/// The code cache of all tests, so that each guest is compiled once.
pub fn code_cache() -> PathBuf {
    module("hello").with_file_name("tests-code-cache")
}

/// The directory with the key of that cache.
pub fn state_dir() -> PathBuf {
    module("hello").with_file_name("tests-state")
}

/// The modules, or the error, which every test reports.
static BUILT: LazyLock<Result<BTreeMap<String, PathBuf>, String>> =
    LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<BTreeMap<String, PathBuf>> {
    let mut crates = Vec::new();
    for folder in ["tests/guests", "examples"] {
        crates.extend(build::functions(&repository().join(folder))?);
    }
    build::target::ensure(repository(), &mut build::Progress::to_stderr())?;
    let built = build::build(&crates, &mut progress()).into_iter();
    built.map(|built| Ok((built.function.name().to_owned(), built.outcome?))).collect()
}

/// Reports a build of the guests if there is anything to build.
fn progress() -> build::Progress<'static> {
    // `stderr` directly, which the test harness does not capture. A failure to print is ignored.
    let note = |text: &str| drop(writeln!(std::io::stderr(), "{text}"));
    let mut step = None;
    build::Progress::new(move |event| match event {
        build::Event::Step(text) => step = Some(text.to_owned()),
        build::Event::Detail(text) if text.starts_with("Compiling") => {
            step.take().into_iter().for_each(|step| note(&step));
        }
        build::Event::Note(text) => note(text),
        _ => {}
    })
}
