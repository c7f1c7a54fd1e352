//! `hourglass new`: creates a function that builds, tests and serves at once.
//!
//! # Layout
//! - [`template`]: what a function starts as; its files are in `templates`.
//! - [`name`]: the names that a function may have.
//! - [`sdk`]: the SDK that a function in Rust depends on.

mod name;
mod sdk;
mod template;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use self::template::{Template, Values};
use super::output;
use crate::escape::OneLine;

/// Creates a function.
///
/// It builds, has tests, and can be served at once. The commands for that are
/// printed.
#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The directory to create; its last part is the function's name
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// What the function starts as
    #[arg(long, short, value_name = "TEMPLATE", default_value = "hello")]
    template: Template,
    /// The SDK for a function in Rust: a clone of Hourglass, or its guest-sdk
    /// [default: the clone that this program was built from]
    #[arg(long, value_name = "DIR", env = "HOURGLASS_SDK")]
    sdk: Option<PathBuf>,
}

pub(crate) fn run(args: &NewArgs) -> anyhow::Result<()> {
    let NewArgs { path, template, sdk } = args;
    let name = name::of(path)?;
    let sdk = match template.is_rust() {
        true => Some(sdk::find(sdk.as_deref())?),
        false => None,
    };
    create(path)?;
    let values = Values { name, sdk: sdk.as_deref() };
    for (file, text) in template.files(&values) {
        write(&path.join(file), &text)?;
    }
    let shown = OneLine(path.display());
    let mut text = format!("created {shown}");
    if let Some(sdk) = &sdk {
        text += &format!(", which depends on the SDK in {}", OneLine(sdk));
        if let Some(workspace) = workspace(path) {
            let workspace = OneLine(workspace.display());
            text += &format!("\nadd it to the `members` in {workspace}, unless they include it");
        }
    }
    text += &format!("\nnext: cd {shown}");
    for step in template.steps(name) {
        text += &format!("\n      {step}");
    }
    Ok(output::line(&text)?)
}

/// Creates the directory. An empty one may exist.
fn create(path: &Path) -> anyhow::Result<()> {
    let shown = OneLine(path.display());
    fs::create_dir_all(path).with_context(|| format!("cannot create the directory {shown}"))?;
    let mut entries = fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
    if entries.next().is_some() {
        bail!("{shown} exists and is not empty; give another name, or remove it");
    }
    Ok(())
}

/// Writes a new file. A script can be executed.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let is_script = path.extension().is_some_and(|extension| extension == "sh");
    let mode = if is_script { 0o777 } else { 0o666 };
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())
    });
    written.with_context(|| format!("cannot write {}", OneLine(path.display())))
}

/// The manifest of the cargo workspace around a directory, if there is one:
/// cargo refuses a crate inside of it that is not a member.
fn workspace(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let manifests = path.ancestors().skip(1).map(|folder| folder.join("Cargo.toml"));
    manifests.into_iter().find(|manifest| match fs::read_to_string(manifest) {
        Ok(text) => text.parse().is_ok_and(|table: toml::Table| table.contains_key("workspace")),
        Err(error) => {
            error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::NotADirectory
        }
    })
}
