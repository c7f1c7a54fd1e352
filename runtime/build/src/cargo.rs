//! Builds functions with cargo: one call per workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::anyhow;
use cargo_metadata::PackageId;

use super::command::{self, CommandError, Line};
use super::crates::{FunctionCrate, Origin};
use super::messages::{Messages, Notice};
use super::progress::{Event, Progress};
use super::target::TARGET;

/// The result of building one function.
#[derive(Debug)]
pub struct Built {
    /// The function.
    pub function: FunctionCrate,
    /// The module that cargo produced, or the messages of the compiler or of
    /// cargo, over many lines. They are colored if the [`Progress`] allows it.
    pub outcome: anyhow::Result<PathBuf>,
}

/// Builds the functions for [`TARGET`] as `cargo build --release` does, with
/// each workspace's own lock file, profile and `target` folder. Returns a
/// result for each, in the order given. A function that does not build does not
/// prevent the others from being built.
///
/// The compiler's warnings go to [`Event::Note`]. The target must be
/// installed: see [`target::ensure`](super::target::ensure). There is no time
/// limit on cargo.
pub fn build(functions: &[FunctionCrate], progress: &mut Progress<'_>) -> Vec<Built> {
    let of = functions.len();
    let functions_are = if of == 1 { "1 function".to_owned() } else { format!("{of} functions") };
    progress.report(Event::Step(&format!("building {functions_are} for {TARGET}")));
    let (mut outputs, mut done) = (BTreeMap::new(), 0);
    for (workspace, wanted) in by_workspace(functions) {
        outputs.insert(workspace, run(workspace, &wanted, progress, (&mut done, of)));
    }
    progress.report(Event::End);

    let outcome = |function: &FunctionCrate| match &function.origin {
        Origin::Unreadable(messages) => Err(messages.clone()),
        Origin::Package { id, workspace, .. } => match outputs.get(workspace.as_path()) {
            Some(Ok(messages)) => messages.outcome(id, &function.name),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("cargo was not called".to_owned()),
        },
    };
    let built = |function: &FunctionCrate| Built {
        function: function.clone(),
        outcome: outcome(function).map_err(|messages| {
            anyhow!("`{}` does not build:\n{}", function.name, messages.trim_end())
        }),
    };
    functions.iter().map(built).collect()
}

/// The packages and programs of one workspace.
type Wanted<'a> = BTreeSet<(&'a PackageId, &'a str)>;

fn by_workspace(functions: &[FunctionCrate]) -> BTreeMap<&Path, Wanted<'_>> {
    let mut workspaces: BTreeMap<&Path, Wanted<'_>> = BTreeMap::new();
    for function in functions {
        if let Origin::Package { id, workspace, .. } = &function.origin {
            workspaces.entry(workspace).or_default().insert((id, &function.name));
        }
    }
    workspaces
}

/// One call of cargo, which builds as much of `wanted` as it can. Counts the
/// functions that are built, across workspaces.
fn run(
    workspace: &Path,
    wanted: &Wanted<'_>,
    progress: &mut Progress<'_>,
    (done, of): (&mut usize, usize),
) -> Result<Messages, CommandError> {
    let format = match progress.is_colored {
        true => "--message-format=json,json-diagnostic-rendered-ansi",
        false => "--message-format=json",
    };
    let mut cargo = command(workspace);
    cargo.args(["build", "--release", "--target", TARGET, "--bins", "--keep-going", format]);
    let packages: BTreeSet<_> = wanted.iter().map(|(id, _)| &id.repr).collect();
    for package in packages {
        cargo.args(["--package", package]);
    }

    let mut messages = Messages::default();
    let status = command::watch(&mut cargo, Duration::MAX, &mut |line| match line {
        Line::Err(line) => {
            progress.report(Event::Detail(line.trim()));
            messages.read_stderr(&line);
        }
        Line::Out(line) => match messages.read(&line) {
            Some(Notice::Module(id, name)) if wanted.contains(&(&id, &name)) => {
                *done += 1;
                progress.report(Event::Part { name: &name, done: *done, of });
            }
            Some(Notice::Warning(messages)) => progress.report(Event::Note(messages.trim_end())),
            _ => {}
        },
    })?;
    tracing::debug!(workspace = %workspace.display(), %status, "cargo ended");
    Ok(messages)
}

/// The cargo that called this program, or else the one on the PATH.
pub(crate) fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A call of cargo in `dir`, with the environment of its user.
///
/// `cargo run` and `cargo test` set variables about the program they start. An
/// inner cargo would pass them on to compilers and build scripts, and some of
/// them would make it rebuild crates.
pub(crate) fn command(dir: &Path) -> Command {
    let mut cargo = Command::new(program());
    cargo.current_dir(dir);
    for name in env::vars_os().map(|(name, _)| name) {
        if name.to_str().is_some_and(is_outer_cargos) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Whether cargo sets this variable for the programs it starts.
fn is_outer_cargos(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MAKEFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
    ];
    NAMES.contains(&name)
        || ["CARGO_BIN_EXE_", "CARGO_PKG_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_outer_cargo_says_of_itself_is_told_from_what_the_user_says() {
        let outer =
            ["CARGO", "CARGO_BIN_EXE_hourglass", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "OUT_DIR"];
        assert!(outer.into_iter().all(is_outer_cargos));
        let users = [
            "CARGO_BUILD_JOBS",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "PATH",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ];
        assert!(!users.into_iter().any(is_outer_cargos));
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_reported_in_cargos_words() {
        let origin = Origin::Unreadable("error: unclosed array".to_owned());
        let function = FunctionCrate { name: "broken".to_owned(), dir: PathBuf::new(), origin };
        let built = build(&[function], &mut Progress::new(|_| ()));
        let outcomes: Vec<_> = built
            .into_iter()
            .map(|built| built.outcome.map_err(|error| error.to_string()))
            .collect();
        assert_eq!(outcomes, [Err("`broken` does not build:\nerror: unclosed array".to_owned())]);
    }
}
