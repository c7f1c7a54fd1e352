//! Finds the crates that are functions: those with a binary target that depend
//! on the SDK, or whose manifest declares it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context as _, bail};
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package, PackageId, Target};

use super::cargo;
use super::command::{self, CommandError};
use super::dep_info;
use super::target::TARGET;

/// A program that depends on this package is a function.
const SDK: &str = "hourglass-sdk";

/// cargo only reads manifests here; it downloads nothing.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that is a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCrate {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) origin: Origin,
}

/// The package that a function belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A package, the root of its workspace, and the `target` folder of that.
    Package { id: PackageId, workspace: PathBuf, target: PathBuf },
    /// cargo can't read the manifest; this is its message.
    Unreadable(String),
}

impl FunctionCrate {
    /// The function's name: that of its program, which is the package's name
    /// unless the manifest sets another.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path at which [`build`](super::build()) puts its module. `None` if
    /// cargo can't read its manifest.
    #[must_use]
    pub fn module(&self) -> Option<PathBuf> {
        let Origin::Package { target, .. } = &self.origin else { return None };
        Some(target.join(TARGET).join("release").join(&self.name).with_added_extension("wasm"))
    }

    /// The files that its module was last built from, those of other crates
    /// included. Empty if it was never built.
    #[must_use]
    pub fn sources(&self) -> Vec<PathBuf> {
        self.module().map(|module| dep_info::files(&module)).unwrap_or_default()
    }
}

/// Finds the functions under `path`, sorted by name. A function is a program of
/// a package with its manifest there, if the package depends on `hourglass-sdk`
/// or sets `hourglass.function = true` in its `[package.metadata]`. The path is
/// a crate, a workspace, a folder of a workspace's members, or a folder of
/// unrelated crates. Hidden folders and build output (`target`) are skipped.
///
/// A manifest that names the SDK but that cargo can't read counts as a function
/// named after its folder, so that [`build`](super::build()) can report it
/// together with the others.
///
/// # Errors
///
/// The path or cargo's output can't be read, there is no function, or two have
/// the same name.
pub fn functions(path: &Path) -> anyhow::Result<Vec<FunctionCrate>> {
    let unreadable = || format!("cannot look for functions in {}", path.display());
    let root = path.canonicalize().with_context(unreadable)?;
    let root =
        if root.ends_with("Cargo.toml") { root.parent().unwrap_or(&root).to_owned() } else { root };
    let mut manifests = BTreeSet::new();
    find_manifests(&root, &mut manifests).with_context(unreadable)?;

    let mut found = BTreeMap::new();
    while let Some(manifest) = manifests.pop_first() {
        for function in of_workspace(&manifest, &root, &mut manifests)? {
            let (name, dir) = (function.name.clone(), function.dir.clone());
            if let Some(other) = found.insert(name.clone(), function) {
                bail!(
                    "two functions are called `{name}`, in {} and in {}. Give one of them another \
                     name: `[[bin]]` and `name = \"...\"` in its Cargo.toml",
                    other.dir.display(),
                    dir.display()
                );
            }
        }
    }
    if found.is_empty() {
        bail!(
            "no function in {}: a function is a crate with a `main` that depends on `{SDK}`, or \
             has `hourglass.function = true` in its `[package.metadata]`. Give the path of one, or \
             of a folder of them",
            path.display()
        );
    }
    Ok(found.into_values().collect())
}

/// The functions under `root` in the workspace that `manifest` belongs to.
/// Takes the manifests of that workspace out of `rest`.
fn of_workspace(
    manifest: &Path,
    root: &Path,
    rest: &mut BTreeSet<PathBuf>,
) -> anyhow::Result<Vec<FunctionCrate>> {
    let dir = manifest.parent().unwrap_or(root);
    let mut command = cargo::command(dir);
    command.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]).arg(manifest);
    let metadata = match command::output(&mut command, LIMIT, &mut |_| ()) {
        Ok(json) => MetadataCommand::parse(json)
            .with_context(|| format!("cannot read cargo's output about {}", manifest.display()))?,
        Err(CommandError::Failed { stderr, .. }) => {
            return Ok(broken(manifest, stderr).into_iter().collect());
        }
        Err(error) => {
            return Err(error).context(
                "cannot ask cargo which crates there are. Install Rust with rustup, or put `cargo` \
                 on the PATH",
            );
        }
    };
    let mut functions = Vec::new();
    for package in &metadata.packages {
        let own = package.manifest_path.as_std_path();
        rest.remove(own);
        if !own.starts_with(root) || !(uses_sdk(package) || declares_function(package)) {
            continue;
        }
        let programs =
            package.targets.iter().filter(|target| target.is_bin() && is_on(package, target));
        functions.extend(programs.map(|program| FunctionCrate {
            name: program.name.clone(),
            dir: own.parent().unwrap_or(root).to_owned(),
            origin: Origin::Package {
                id: package.id.clone(),
                workspace: metadata.workspace_root.clone().into_std_path_buf(),
                target: metadata.target_directory.clone().into_std_path_buf(),
            },
        }));
    }
    Ok(functions)
}

/// Whether the package itself, rather than its tests, depends on the SDK, under
/// any name.
fn uses_sdk(package: &Package) -> bool {
    let is_sdk = |dependency: &Dependency| {
        dependency.name == SDK && dependency.kind == DependencyKind::Normal && !dependency.optional
    };
    package.dependencies.iter().any(is_sdk)
}

/// Whether the manifest declares the package a function, for functions without
/// the SDK.
fn declares_function(package: &Package) -> bool {
    let value = package.metadata.pointer("/hourglass/function");
    value.and_then(|value| value.as_bool()).unwrap_or(false)
}

/// Whether cargo builds the target by default: with only the default features,
/// and those they enable.
fn is_on(package: &Package, target: &Target) -> bool {
    let mut on = vec!["default"];
    let mut seen = 0;
    while let Some(feature) = on.get(seen) {
        let implied = package.features.get(*feature).into_iter().flatten().map(String::as_str);
        let new: Vec<&str> = implied.filter(|implied| !on.contains(implied)).collect();
        on.extend(new);
        seen += 1;
    }
    target.required_features.iter().all(|feature| on.contains(&feature.as_str()))
}

/// The function that an unreadable manifest stands for.
fn broken(manifest: &Path, message: String) -> Option<FunctionCrate> {
    let text = fs::read_to_string(manifest).ok()?;
    let dir = manifest.parent()?.to_owned();
    let name = dir.file_name()?.to_string_lossy().into_owned();
    // The header itself may be malformed.
    let is_function = text.contains(SDK) && text.contains("[package");
    is_function.then_some(FunctionCrate { name, dir, origin: Origin::Unreadable(message) })
}

/// Adds every manifest in `dir` and below it.
fn find_manifests(dir: &Path, manifests: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if name == "Cargo.toml" && !kind.is_dir() {
            manifests.insert(entry.path());
        } else if kind.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
            find_manifests(&entry.path(), manifests)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
