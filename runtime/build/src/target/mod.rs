//! Makes the compiler able to build for [`TARGET`].
//!
//! A fresh machine's compiler can't. rustup adds the target if its server is
//! reachable; if only Debian's archive is, the target is compiled from Debian's
//! packages. After any failure the sysroot has either the whole target or its
//! former state: the work is done in a staging folder on the same file system,
//! and one rename puts the result in place.

mod debian;
mod rustup;
mod stage;

use std::path::{Path, PathBuf};
use std::{fs, io};

use self::stage::Stage;
use crate::command::CommandError;
use crate::compiler::{self, Compiler};
use crate::progress::Progress;

/// The target of functions: WebAssembly with WASI preview 1.
pub const TARGET: &str = "wasm32-wasip1";

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
    #[error("the Rust compiler cannot build for {TARGET}, and no way to change that worked:\n{}{}", told(attempts), way_out(*debians_own))]
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
    pub way: &'static str,
    /// Why it failed.
    pub why: String,
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
pub fn ensure(dir: &Path, progress: &mut dyn Progress) -> Result<(), TargetError> {
    let found = dir.canonicalize();
    let dir = &found.map_err(|source| TargetError::Path { path: dir.to_owned(), source })?;
    let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
    let Err(absent) = compiler::links(dir) else {
        return Ok(());
    };
    let compiler = Compiler::at(dir).map_err(TargetError::Compiler)?;
    let rustlib = compiler.rustlib();
    let _held = stage::lock(&rustlib, progress)
        .map_err(|source| TargetError::Lock { path: rustlib, source })?;
    // The previous holder of the lock may have added it.
    if compiler::links(dir).is_ok() {
        return Ok(());
    }
    tracing::debug!(%absent, sysroot = %compiler.sysroot.display(), "the target has to be added");
    let added = add(dir, &compiler, progress);
    progress.end();
    added
}

/// Tries each way in order. The lock must be held.
fn add(dir: &Path, compiler: &Compiler, progress: &mut dyn Progress) -> Result<(), TargetError> {
    if let Err(error) = remove_own(compiler) {
        tracing::warn!(%error, "cannot remove the target that an earlier compiler left behind");
    }
    let mut attempts = Vec::new();
    // A way has worked if the compiler can link, whatever the way reports.
    let mut worked =
        |way, result: Result<(), Why>| match result.and_then(|()| Ok(compiler::links(dir)?)) {
            Ok(()) => true,
            Err(why) => {
                attempts.push(Attempt { way, why: chain(&*why) });
                false
            }
        };
    progress.step(&format!("adding the target {TARGET} with rustup"));
    if worked("`rustup target add`", rustup::add_target(dir).map_err(Why::from)) {
        return Ok(());
    }
    progress.note(&format!(
        "rustup cannot add the target {TARGET}; trying Debian's packages, which takes two minutes"
    ));
    if worked("compiling it from Debian's packages", from_debian(compiler, progress)) {
        return Ok(());
    }
    Err(TargetError::Unobtainable { attempts, debians_own: is_debians_own(compiler) })
}

/// Fetches, compiles and tests the target in a staging folder, then moves it
/// into place.
fn from_debian(compiler: &Compiler, progress: &mut dyn Progress) -> Result<(), Why> {
    if is_debians_own(compiler) {
        return Err("the compiler is Debian's own, which has a package for this".into());
    }
    let stage = Stage::new(&compiler.rustlib())?;
    let sources = debian::fetch(&compiler.release, &stage.0.join("debian"), progress)?;
    let sysroot = stage.0.join("sysroot");
    let target = sysroot.join("lib/rustlib").join(TARGET);
    debian::stdlib::build(compiler, &sources, &target.join("lib"), progress)?;
    progress.step("trying the new target");
    compiler.links_with(&sysroot)?;
    fs::write(target.join(MARK), MARK_TEXT)?;
    let place = compiler.rustlib().join(TARGET);
    fs::rename(&target, &place)
        .map_err(|error| format!("cannot move it to {}: {error}", place.display()))?;
    Ok(())
}

type Why = Box<dyn std::error::Error>;

/// Removes a target that this program built for an earlier compiler in the same
/// folder: rustup replaces the compiler, leaves the target behind, and then
/// refuses to install its own over it.
fn remove_own(compiler: &Compiler) -> Result<(), Why> {
    let target = compiler.rustlib().join(TARGET);
    if !target.join(MARK).exists() {
        return Ok(());
    }
    let stage = Stage::new(&compiler.rustlib())?;
    Ok(fs::rename(target, stage.0.join(TARGET))?)
}

fn is_debians_own(compiler: &Compiler) -> bool {
    compiler.sysroot == Path::new("/usr")
}

/// An error with its causes, over one or more lines.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn told(attempts: &[Attempt]) -> String {
    let told =
        |Attempt { way, why }: &Attempt| format!("- {way}: {}\n", why.replace('\n', "\n    "));
    attempts.iter().map(told).collect()
}

fn way_out(debians_own: bool) -> &'static str {
    if debians_own {
        "Type `apt-get install libstd-rust-dev-wasm32`, or install Rust with rustup."
    } else {
        "Type `rustup target add wasm32-wasip1` where rustup's server can be reached, \
         or set RUSTUP_DIST_SERVER to a mirror that can, then try again."
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn the_error_tells_each_way_and_what_to_type() {
        let why = "`rustup` is not on the PATH".to_owned();
        let attempts = vec![Attempt { way: "`rustup target add`", why }];
        let error = TargetError::Unobtainable { attempts, debians_own: false }.to_string();
        assert!(error.contains("- `rustup target add`: `rustup` is not on the PATH\n"), "{error}");
        assert!(error.contains("Type `rustup target add wasm32-wasip1`"), "{error}");
        let error =
            TargetError::Unobtainable { attempts: Vec::new(), debians_own: true }.to_string();
        assert!(error.contains("Type `apt-get install libstd-rust-dev-wasm32`"), "{error}");
    }

    #[test]
    fn only_a_target_with_the_mark_is_removed() -> Result<(), Box<dyn Error>> {
        let sysroot = tempfile::tempdir()?;
        let compiler =
            Compiler { release: "1.95.0".to_owned(), sysroot: sysroot.path().to_owned() };
        let target = compiler.rustlib().join(TARGET);
        fs::create_dir_all(&target)?;
        remove_own(&compiler)?;
        assert!(target.exists());
        fs::write(target.join(MARK), MARK_TEXT)?;
        remove_own(&compiler)?;
        assert_eq!(fs::read_dir(compiler.rustlib())?.count(), 0);
        Ok(())
    }
}
