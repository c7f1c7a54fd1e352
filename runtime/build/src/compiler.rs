//! The Rust compiler that cargo would use in a folder, and its targets.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::{self, CommandError};
use super::target::TARGET;

/// The compiler answers within milliseconds, unless rustup has to start first.
const LIMIT: Duration = Duration::from_secs(60);

/// A Rust compiler: its version and the location of its libraries.
pub(crate) struct Compiler {
    /// Its version without the commit, such as `1.95.0`.
    pub(crate) release: String,
    /// The root folder of its installation.
    pub(crate) sysroot: PathBuf,
}

impl Compiler {
    /// The compiler in use at `dir`. A folder can override the toolchain, so
    /// every query runs there.
    pub(crate) fn at(dir: &Path) -> Result<Self, CommandError> {
        let query = |args: &[&str]| command::output(rustc(dir).args(args), LIMIT, &mut |_| ());
        Ok(Self {
            release: release(&query(&["-vV"])?),
            sysroot: PathBuf::from(query(&["--print", "sysroot"])?.trim_end()),
        })
    }

    /// The folder that holds one folder of libraries for each target.
    pub(crate) fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib")
    }

    /// The compiler's own executable, bypassing rustup and any folder override.
    pub(crate) fn rustc(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }

    /// The cargo that came with the compiler, or else the one in use.
    pub(crate) fn cargo(&self) -> OsString {
        let own = self.sysroot.join("bin/cargo");
        if own.is_file() { own.into() } else { super::cargo::program() }
    }

    /// Links an empty program against the libraries under `sysroot`, with
    /// link-time optimisation, the most demanding use of them.
    pub(crate) fn links_with(&self, sysroot: &Path) -> Result<(), CommandError> {
        let mut rustc = Command::new(self.rustc());
        link(rustc.args(["-Clto=fat", "--sysroot"]).arg(sysroot))
    }
}

/// Whether the compiler in use at `dir` can build for the target. Only a test
/// link is conclusive: files can be present but incomplete, or left over from a
/// replaced compiler.
pub(crate) fn links(dir: &Path) -> Result<(), CommandError> {
    link(&mut rustc(dir))
}

fn link(rustc: &mut Command) -> Result<(), CommandError> {
    let io = |source| CommandError::Io { command: "a trial of the compiler".to_owned(), source };
    let scratch = tempfile::tempdir().map_err(io)?;
    let source = scratch.path().join("trial.rs");
    fs::write(&source, "fn main() {}\n").map_err(io)?;
    rustc.args(["--target", TARGET, "-o"]).arg(scratch.path().join("trial.wasm")).arg(source);
    command::output(rustc, LIMIT, &mut |_| ()).map(drop)
}

fn rustc(dir: &Path) -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(dir);
    rustc
}

/// The release in the output of `rustc -vV`.
fn release(verbose: &str) -> String {
    let found = verbose.lines().find_map(|line| line.strip_prefix("release: "));
    found.unwrap_or("of an unknown version").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_verbose_version() {
        let said = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
                    commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860\n\
                    host: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        assert_eq!(release(said), "1.95.0");
        assert_eq!(release("rustc 1.97.0-nightly\nrelease: 1.97.0-nightly\n"), "1.97.0-nightly");
    }
}
