//! Finds the SDK that a function in Rust depends on. It is not on crates.io, so
//! a function depends on the directory of a clone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::escape::OneLine;

/// The clone that this program was built from. It may be gone, or that of
/// another machine.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The directory of the SDK: in `given`, or else in the clone that this program
/// was built from.
pub(super) fn find(given: Option<&Path>) -> anyhow::Result<String> {
    let sdk = match given {
        Some(given) => within(given).with_context(|| {
            format!(
                "the SDK of Hourglass is not in {}; give the directory of a clone with `--sdk`",
                OneLine(given.display())
            )
        })?,
        None => {
            let sdk = within(Path::new(BUILT_FROM)).context(
                "the clone that this program was built from is gone; give the directory of another \
                 one with `--sdk`",
            )?;
            check_owner(&sdk)?;
            sdk
        }
    };
    let shown = OneLine(sdk.display()).to_string();
    let sdk = sdk.into_os_string().into_string();
    sdk.ok().with_context(|| format!("cargo needs a path in UTF-8, which {shown} is not"))
}

/// The SDK in a directory: it is the SDK, or a clone with it.
fn within(directory: &Path) -> Option<PathBuf> {
    let directories = [directory.to_owned(), directory.join("guest-sdk")];
    let sdk = directories.into_iter().find(|directory| is_sdk(directory))?;
    sdk.canonicalize().ok()
}

fn is_sdk(directory: &Path) -> bool {
    let Ok(text) = fs::read_to_string(directory.join("Cargo.toml")) else { return false };
    let Ok(manifest) = text.parse::<toml::Table>() else { return false };
    let name = manifest.get("package").and_then(|package| package.get("name"));
    name.and_then(toml::Value::as_str) == Some("hourglass-sdk")
}

/// Fails if the directory belongs to another user: code from there would be
/// built and run, and on another machine than that of the build, anyone may have
/// created it.
fn check_owner(directory: &Path) -> anyhow::Result<()> {
    let owner = fs::metadata(directory).map(|metadata| metadata.uid());
    let user = rustix::process::geteuid().as_raw();
    match owner {
        Ok(owner) if owner == user || owner == 0 => Ok(()),
        _ => bail!(
            "{0} belongs to another user; if you trust it, give it with `--sdk {0}`",
            OneLine(directory.display())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_and_its_sdk_are_found() {
        let clone = Path::new(BUILT_FROM);
        let sdk = clone.join("guest-sdk").canonicalize().expect("the tests are in a clone");
        for given in [None, Some(clone), Some(&*sdk)] {
            assert_eq!(Path::new(&find(given).expect("it is there")), sdk);
        }
    }

    #[test]
    fn what_is_not_the_sdk_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for manifest in [None, Some("["), Some("[package]\nname = \"other\"\n")] {
            if let Some(manifest) = manifest {
                fs::write(folder.path().join("Cargo.toml"), manifest).expect("it is written");
            }
            let error = find(Some(folder.path())).expect_err("it is not there").to_string();
            assert!(error.contains("give the directory of a clone with `--sdk`"), "{error}");
        }
    }
}
