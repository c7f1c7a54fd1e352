//! Compiles the standard library for the target.
//!
//! The library is an ordinary cargo workspace. Its member `sysroot` depends on
//! everything that belongs in a sysroot, and building it needs no libraries of
//! the target: the source can stay where it was unpacked, and the compiler's
//! own folder is modified only when everything is done.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, io};

use super::Sources;
use crate::command::{self, CommandError};
use crate::compiler::Compiler;
use crate::progress::Progress;
use crate::target::TARGET;

/// The build takes a minute on two cores; the crates are downloaded as well.
const LIMIT: Duration = Duration::from_secs(1800);

/// Why the standard library could not be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StdlibError {
    #[error(transparent)]
    Cargo(#[from] CommandError),
    #[error("cannot put the libraries together")]
    Io(#[from] io::Error),
}

/// Compiles the standard library in `sources` and puts it, with the C library,
/// into the new folder `lib`. On failure `lib` may exist, partly filled.
pub(crate) fn build(
    compiler: &Compiler,
    sources: &Sources,
    lib: &Path,
    progress: &mut dyn Progress,
) -> Result<(), StdlibError> {
    progress.step(&format!("compiling the standard library {} for {TARGET}", compiler.release));
    let out = sources.library.join("target");
    let mut cargo = Command::new(compiler.cargo());
    cargo
        .current_dir(&sources.library)
        .args(["build", "--package=sysroot", "--features=backtrace", "--release", "--locked"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&out);
    settle(&mut cargo, env::vars_os().map(|(name, _)| name));
    cargo
        .env("RUSTC", compiler.rustc())
        // Lets a stable compiler build its own library, as its releases are
        // built.
        .env("RUSTC_BOOTSTRAP", "1")
        // Functions with link-time optimisation need the bitcode. The crates
        // below std must stay private to it.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes -Zforce-unstable-if-unmarked");
    command::output(&mut cargo, LIMIT, &mut |line| progress.detail(line.trim()))?;

    let own = lib.join("self-contained");
    fs::create_dir_all(&own)?;
    let is_library = |name: &str| name.ends_with(".rlib") && !name.starts_with("libsysroot-");
    take(&out.join(TARGET).join("release/deps"), lib, is_library)?;
    take(&sources.libc, &own, |name| name.ends_with(".o") || name.ends_with(".a"))?;
    Ok(())
}

/// Removes everything from the caller's environment that would change how the
/// library is compiled, and keeps the settings needed to download crates.
fn settle(cargo: &mut Command, names: impl Iterator<Item = impl AsRef<OsStr>>) {
    const KEPT: [&str; 5] =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    for name in names {
        let text = name.as_ref().to_string_lossy();
        let of_cargo = text.starts_with("CARGO") && !KEPT.iter().any(|kept| text.starts_with(kept));
        if of_cargo || text.starts_with("RUSTC") || text == "RUSTFLAGS" {
            cargo.env_remove(name.as_ref());
        }
    }
    // Empty means no wrapper, and takes precedence over a configuration file.
    cargo.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
}

/// Moves the files whose names `wanted` accepts from one folder to another.
fn take(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            fs::rename(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_flags_do_not_reach_the_library() {
        let mut cargo = Command::new("cargo");
        let names = [
            "CARGO",
            "CARGO_BUILD_JOBS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_DIR",
            "PATH",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_HOME",
        ];
        settle(&mut cargo, names.iter());
        let gone: Vec<_> =
            cargo.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        let expected = [
            "CARGO",
            "CARGO_BUILD_JOBS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_DIR",
            "RUSTFLAGS",
        ];
        assert_eq!(gone, expected);
        let wrapper = cargo
            .get_envs()
            .find(|(name, _)| *name == "RUSTC_WRAPPER")
            .and_then(|(_, value)| value);
        assert_eq!(wrapper, Some(OsStr::new("")));
    }
}
