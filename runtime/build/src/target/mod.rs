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
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, io};

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

/// Why the compiler can't build for [`TARGET`].
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The folder to build in does not exist.
    #[error("cannot build in {}", path.display())]
    Path {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The compiler could not be queried.
    #[error(
        "cannot ask the Rust compiler about itself. Install Rust with rustup, or put `rustc` on the PATH"
    )]
    Compiler(#[source] CommandError),
    /// The compiler's folder could not be locked against other processes.
    #[error("cannot lock {} to add the target {TARGET}. Type `rustup target add {TARGET}` yourself", path.display())]
    Lock {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Every way to add the target failed.
    #[error("the Rust compiler cannot build for {TARGET}, and no way to change that worked:\n{}{}", list(attempts), remedy(*debians_own))]
    Unobtainable {
        /// The attempts, in order.
        attempts: Vec<Attempt>,
        /// Whether the compiler belongs to a Debian package.
        debians_own: bool,
    },
}

/// One attempt.
#[derive(Debug)]
pub struct Attempt {
    /// A short description.
    pub method: &'static str,
    /// Why it failed.
    pub reason: String,
}

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
/// [`TargetError`] lists what was tried, why it failed and what to type.
pub fn ensure(dir: &Path, progress: &mut Progress<'_>) -> Result<(), TargetError> {
    let found = dir.canonicalize();
    let dir = &found.map_err(|source| TargetError::Path { path: dir.to_owned(), source })?;
    let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
    let Err(absent) = compiler::links(dir) else {
        return Ok(());
    };
    let compiler = Compiler::at(dir).map_err(TargetError::Compiler)?;
    let rustlib = compiler.rustlib();
    let _held =
        lock(&rustlib, progress).map_err(|source| TargetError::Lock { path: rustlib, source })?;
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
fn add(dir: &Path, compiler: &Compiler, progress: &mut Progress<'_>) -> Result<(), TargetError> {
    if let Err(error) = remove_own(compiler) {
        tracing::warn!(%error, "cannot remove the target that an earlier compiler left behind");
    }
    let mut attempts = Vec::new();
    // A way has worked if the compiler can link, whatever the way reports.
    let mut worked = |method, result: Result<(), Failure>| match result
        .and_then(|()| Ok(compiler::links(dir)?))
    {
        Ok(()) => true,
        Err(reason) => {
            attempts.push(Attempt { method, reason: chain(&*reason) });
            false
        }
    };
    progress.report(Event::Step(&format!("adding the target {TARGET} with rustup")));
    if worked("`rustup target add`", from_rustup(dir).map_err(Failure::from)) {
        return Ok(());
    }
    progress.report(Event::Note(&format!(
        "rustup cannot add the target {TARGET}; trying Debian's packages, which takes two minutes"
    )));
    if worked("compiling it from Debian's packages", from_debian(compiler, progress)) {
        return Ok(());
    }
    Err(TargetError::Unobtainable { attempts, debians_own: is_debians_own(compiler) })
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
fn from_debian(compiler: &Compiler, progress: &mut Progress<'_>) -> Result<(), Failure> {
    if is_debians_own(compiler) {
        return Err("the compiler is Debian's own, which has a package for this".into());
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
    fs::rename(&target, &place)
        .map_err(|error| format!("cannot move it to {}: {error}", place.display()))?;
    Ok(())
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

type Failure = Box<dyn std::error::Error>;

/// Removes a target that this program built for an earlier compiler in the same
/// folder: rustup replaces the compiler, leaves the target behind, and then
/// refuses to install its own over it.
fn remove_own(compiler: &Compiler) -> Result<(), Failure> {
    let target = compiler.rustlib().join(TARGET);
    if !target.join(MARK).exists() {
        return Ok(());
    }
    let stage = stage(&compiler.rustlib())?;
    Ok(fs::rename(target, stage.path().join(TARGET))?)
}

fn is_debians_own(compiler: &Compiler) -> bool {
    compiler.sysroot == Path::new("/usr")
}

/// An error with its causes, over one or more lines.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn list(attempts: &[Attempt]) -> String {
    let line = |Attempt { method, reason }: &Attempt| {
        format!("- {method}: {}\n", reason.replace('\n', "\n    "))
    };
    attempts.iter().map(line).collect()
}

fn remedy(debians_own: bool) -> &'static str {
    if debians_own {
        "Type `apt-get install libstd-rust-dev-wasm32`, or install Rust with rustup."
    } else {
        "Type `rustup target add wasm32-wasip1` where rustup's server can be reached, \
         or set RUSTUP_DIST_SERVER to a mirror that can, then try again."
    }
}
