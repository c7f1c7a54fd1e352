//! Uses real folders and the real cargo, which only reads manifests.

use super::*;

type Outcome = anyhow::Result<()>;

const USES_SDK: &str = "[dependencies]\nhourglass-sdk = \"0.1\"\n";

/// Writes a crate with a program; `more` is appended to its manifest.
fn write(dir: &Path, name: &str, more: &str) -> io::Result<()> {
    let dir = dir.join(name);
    fs::create_dir_all(dir.join("src/bin"))?;
    fs::write(
        dir.join("Cargo.toml"),
        format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{more}"),
    )?;
    fs::write(dir.join("src/main.rs"), "fn main() {}\n")
}

fn names(path: &Path) -> anyhow::Result<Vec<String>> {
    Ok(functions(path)?.into_iter().map(|function| function.name).collect())
}

#[test]
fn functions_are_the_programs_that_depend_on_the_sdk() -> Outcome {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"*\"]\nexclude = [\"target\"]\n")?;
    write(root, "plain", USES_SDK)?;
    write(
        root,
        "renamed",
        "[dependencies]\nsdk = { package = \"hourglass-sdk\", version = \"0.1\" }\n",
    )?;
    write(
        root,
        "named",
        &format!("[[bin]]\nname = \"other\"\npath = \"src/main.rs\"\n{USES_SDK}"),
    )?;
    write(root, "says-so", "[package.metadata]\nhourglass.function = true\n")?;
    write(root, "says-no", "[package.metadata]\nhourglass.function = false\n")?;
    write(root, "embeds", "[dependencies]\nhourglass = \"0.1\"\n")?;
    write(root, "tests", "[dev-dependencies]\nhourglass-sdk = \"0.1\"\n")?;
    write(root, "library", USES_SDK)?;
    fs::rename(root.join("library/src/main.rs"), root.join("library/src/lib.rs"))?;
    write(root, "two", USES_SDK)?;
    fs::write(root.join("two/src/bin/second.rs"), "fn main() {}\n")?;
    assert_eq!(names(root)?, ["other", "plain", "renamed", "says-so", "second", "two"]);
    assert_eq!(names(&root.join("plain"))?, ["plain"]);
    assert_eq!(names(&root.join("plain/Cargo.toml"))?, ["plain"]);
    Ok(())
}

#[test]
fn a_folder_may_hold_separate_crates_and_a_broken_one() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "one", USES_SDK)?;
    write(dir.path(), "other", USES_SDK)?;
    write(dir.path(), "broken", &format!("{USES_SDK}nonsense = [[\n"))?;
    write(dir.path(), "target", USES_SDK)?;
    write(dir.path(), ".hidden", "")?;
    let found = functions(dir.path())?;
    assert_eq!(
        found.iter().map(FunctionCrate::name).collect::<Vec<_>>(),
        ["broken", "one", "other"]
    );
    let origin = found.first().map(|function| &function.origin);
    assert!(
        matches!(origin, Some(Origin::Unreadable(said)) if said.contains("nonsense")),
        "{origin:?}"
    );
    Ok(())
}

#[test]
fn programs_behind_features_are_functions_when_the_features_are_on() -> Outcome {
    let dir = tempfile::tempdir()?;
    let programs = "[features]\ndefault = [\"a\"]\na = [\"b\", \"dep/c\"]\nb = [\"a\"]\noff = []\n\
                    [[bin]]\nname = \"on\"\npath = \"src/main.rs\"\nrequired-features = [\"a\", \"b\"]\n\
                    [[bin]]\nname = \"off\"\npath = \"src/main.rs\"\nrequired-features = [\"off\"]\n\
                    [dependencies]\ndep = \"1\"\n";
    write(dir.path(), "features", &format!("{programs}hourglass-sdk = \"0.1\"\n"))?;
    assert_eq!(names(dir.path())?, ["on"]);
    Ok(())
}

#[test]
fn two_functions_of_one_name_are_an_error() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(&dir.path().join("a"), "same", USES_SDK)?;
    write(&dir.path().join("b"), "same", USES_SDK)?;
    let error = functions(dir.path()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("two functions are called `same`"), "{error}");
    Ok(())
}

#[test]
fn no_function_and_no_folder_are_errors() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "plain", "")?;
    let error = |path: &Path| functions(path).expect_err("no function").to_string();
    assert!(error(dir.path()).starts_with("no function in "));
    assert!(error(&dir.path().join("missing")).starts_with("cannot look for functions in "));
    Ok(())
}
