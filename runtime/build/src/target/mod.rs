//! Makes the compiler able to build for [`TARGET`].
//!
//! A fresh machine's compiler can't. rustup adds the target if its server is
//! reachable; if only Debian's archive is, the target is compiled from Debian's
//! packages. After any failure the sysroot has either the whole target or its
//! former state: the work is done in a staging folder on the same file system,
//! and one rename puts the result in place.

#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::command::{self, CommandError};
use crate::compiler::{self, Compiler};
use crate::progress::{Event, Progress};

/// The target of functions: WebAssembly with WASI preview 1.
pub const TARGET: &str = "wasm32-wasip1";

/// rustup downloads about 20 MB. It gives up after 30 seconds without data, so
/// this limit only stops a download that trickles.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// The build takes a minute on two cores, after downloads of about 100 MB.
const DEBIAN_LIMIT: Duration = Duration::from_secs(3600);

/// A marker written next to libraries that this program built. It distinguishes
/// them from rustup's, and tells a reader of the folder their origin.
const MARK: &str = "built-by-hourglass.txt";
const MARK_TEXT: &str = "The libraries in this folder were compiled by `hourglass` from Debian's packages\n\
                         rust-src and wasi-libc. The folder can be removed at any time.\n";

/// Makes sure that the compiler in use at `dir`, a folder or a file in it, can
/// build for [`TARGET`]. If it already can, checking this takes a tenth of a
/// second. Otherwise rustup adds the target, or it is compiled from Debian's
/// packages, which takes about two minutes.
///
/// Waits while another process does the same for the same compiler. Nothing is
/// ever installed, and a target that does not work but was not built by this
/// program is left alone.
///
/// # Errors
///
/// It lists what was tried, why it failed and what to type.
pub fn ensure(dir: &Path, progress: &mut Progress<'_>) -> anyhow::Result<()> {
    let found = dir.canonicalize();
    let dir = &found.with_context(|| format!("cannot build in {}", dir.display()))?;
    let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
    let Err(absent) = compiler::links(dir) else {
        return Ok(());
    };
    let compiler = Compiler::at(dir).context(
        "cannot ask the Rust compiler about itself. Install Rust with rustup, or put `rustc` on \
         the PATH",
    )?;
    let rustlib = compiler.rustlib();
    let _held = lock(&rustlib, progress).with_context(|| {
        let folder = rustlib.display();
        format!(
            "cannot lock {folder} to add the target {TARGET}. Type `rustup target add {TARGET}` \
             yourself"
        )
    })?;
    // The previous holder of the lock may have added it.
    if compiler::links(dir).is_ok() {
        return Ok(());
    }
    tracing::debug!(%absent, sysroot = %compiler.sysroot.display(), "the target has to be added");
    let added = add(dir, &compiler, progress);
    progress.report(Event::End);
    added
}

/// Tries each way in order. The lock must be held.
fn add(dir: &Path, compiler: &Compiler, progress: &mut Progress<'_>) -> anyhow::Result<()> {
    if let Err(error) = remove_own(compiler) {
        tracing::warn!(%error, "cannot remove the target that an earlier compiler left behind");
    }
    // A way has worked if the compiler can link, whatever the way reports.
    let check = |added: anyhow::Result<()>| added.and_then(|()| Ok(compiler::links(dir)?));
    progress.report(Event::Step(&format!("adding the target {TARGET} with rustup")));
    let Err(rustup) = check(from_rustup(dir).map_err(Into::into)) else { return Ok(()) };
    progress.report(Event::Note(&format!(
        "rustup cannot add the target {TARGET}; trying Debian's packages, which takes two minutes"
    )));
    let Err(debian) = check(from_debian(compiler, progress)) else { return Ok(()) };
    bail!(failure(&rustup, &debian, is_debians_own(compiler)))
}

/// Why both ways failed, and what to type.
fn failure(rustup: &anyhow::Error, debian: &anyhow::Error, debians_own: bool) -> String {
    let indented = |error: &anyhow::Error| format!("{error:#}").replace('\n', "\n    ");
    let (rustup, debian) = (indented(rustup), indented(debian));
    let remedy = match debians_own {
        true => "Type `apt-get install libstd-rust-dev-wasm32`, or install Rust with rustup.",
        false => {
            "Type `rustup target add wasm32-wasip1` where rustup's server can be reached, \
             or set RUSTUP_DIST_SERVER to a mirror that can, then try again."
        }
    };
    format!(
        "the Rust compiler cannot build for {TARGET}, and no way to change that worked:\n\
         - `rustup target add`: {rustup}\n\
         - compiling it from Debian's packages: {debian}\n{remedy}"
    )
}

/// Adds the target to the toolchain in use at `dir`.
fn from_rustup(dir: &Path) -> Result<(), CommandError> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(dir).args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    // If packets are dropped, each retry waits for its own 30 seconds.
    if env::var_os("RUSTUP_MAX_RETRIES").is_none() {
        rustup.env("RUSTUP_MAX_RETRIES", "1");
    }
    command::output(&mut rustup, RUSTUP_LIMIT, &mut |_| ()).map(drop)
}

/// Fetches, compiles and tests the target in a staging folder, then moves it
/// into place.
fn from_debian(compiler: &Compiler, progress: &mut Progress<'_>) -> anyhow::Result<()> {
    if is_debians_own(compiler) {
        bail!("the compiler is Debian's own, which has a package for this");
    }
    let stage = stage(&compiler.rustlib())?;
    let sysroot = stage.path().join("sysroot");
    let target = sysroot.join("lib/rustlib").join(TARGET);
    fs::write(stage.path().join("debian.sh"), include_str!("debian.sh"))?;
    let mut script = Command::new("bash");
    script.current_dir(&stage).args(["debian.sh", &compiler.release, TARGET]);
    script.arg(compiler.rustc()).arg(compiler.cargo()).arg(target.join("lib"));
    command::output(&mut script, DEBIAN_LIMIT, &mut |line| {
        let step = line.strip_prefix("step: ").map(Event::Step);
        progress.report(step.unwrap_or(Event::Detail(line.trim())));
    })?;
    progress.report(Event::Step("trying the new target"));
    compiler.links_with(&sysroot)?;
    fs::write(target.join(MARK), MARK_TEXT)?;
    let place = compiler.rustlib().join(TARGET);
    fs::rename(&target, &place).with_context(|| format!("cannot move it to {}", place.display()))
}

/// A staging folder, on the file system of the sysroot so that a rename out of
/// it is atomic. Only the holder of the lock has one, so its name can be fixed,
/// and leftovers of a killed process are deleted.
fn stage(rustlib: &Path) -> io::Result<TempDir> {
    let _ = fs::remove_dir_all(rustlib.join(".hourglass"));
    tempfile::Builder::new().prefix(".hourglass").rand_bytes(0).tempdir_in(rustlib)
}

/// Locks the compiler's folder against other processes until it is dropped. The
/// folder itself is the lock, so no file is left behind.
fn lock(rustlib: &Path, progress: &mut Progress<'_>) -> io::Result<File> {
    let folder = File::open(rustlib)?;
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.report(Event::Step(&format!(
                "waiting for another process that adds the target {TARGET}"
            )));
            folder.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(folder)
}

/// Removes a target that this program built for an earlier compiler in the same
/// folder: rustup replaces the compiler, leaves the target behind, and then
/// refuses to install its own over it.
fn remove_own(compiler: &Compiler) -> io::Result<()> {
    let target = compiler.rustlib().join(TARGET);
    if !target.join(MARK).exists() {
        return Ok(());
    }
    let stage = stage(&compiler.rustlib())?;
    fs::rename(target, stage.path().join(TARGET))
}

fn is_debians_own(compiler: &Compiler) -> bool {
    compiler.sysroot == Path::new("/usr")
}
