//! Functions that the program builds from source.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::guests::{module, repository};
use hourglass_tests::program::{Serving, Started};
use hourglass_tests::{poll, process};
use rustix::process::Signal;

use super::command::{hourglass, path, run};

/// A separate crate that depends on the SDK, with the versions of this repository.
fn new_crate(folder: &Path, name: &str, main: &str) -> Result<()> {
    let folder = folder.join(name);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/main.rs"), main)?;
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nhourglass-sdk = \
         {{ path = {:?} }}\n[profile.release]\ndebug = \"line-tables-only\"\n",
        repository().join("guest-sdk")
    );
    Ok(fs::write(folder.join("Cargo.toml"), manifest)?)
}

/// `up` in a folder with a function that does not build: its compiler errors are printed, and the
/// other function is served.
#[tokio::test]
async fn up_builds_and_serves_functions() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = "fn main() { hourglass_sdk::serve(|_: &hourglass_sdk::Context, _| \"built\") }";
    new_crate(folder.path(), "good", good)?;
    new_crate(folder.path(), "bad", "fn main() { let number: u32 = \"text\"; }")?;
    // Reuses the build artifacts of this repository.
    let release = module("hello").parent().unwrap();
    let target = release.ancestors().nth(2).unwrap();
    let mut command = hourglass(&["up", path(folder.path()), "--listen", "127.0.0.1:0"]);
    command.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true");
    let serving = Serving::start(&mut command)?;
    let said = serving.told("`bad` does not build");
    let said = said + &serving.told("mismatched types");
    assert!(said.contains("error[E0308]"), "{said}");
    let mut client = Client::connect(serving.address).await?;
    assert_eq!(client.get("/good").await?.body(), b"built");
    assert_eq!(client.get("/bad").await?.status(), 404);
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

/// `up` builds and deploys again when a source changes. One that does not build leaves the old
/// version.
#[tokio::test]
async fn up_serves_edits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let main = |response: &str| {
        format!(
            "mod part;\nfn main() {{ hourglass_sdk::serve(|_: &hourglass_sdk::Context, _| {response}) }}"
        )
    };
    new_crate(folder.path(), "edited", &main("part::TEXT"))?;
    let source = |name: &str| folder.path().join("edited/src").join(name);
    let part = "pub const TEXT: &str = include_str!(\"../text\");";
    fs::write(source("part.rs"), part)?;
    fs::write(folder.path().join("edited/text"), "first")?;
    let release = module("hello").parent().unwrap();
    let target = release.ancestors().nth(2).unwrap();
    let mut command = hourglass(&["up", path(folder.path()), "--listen", "127.0.0.1:0"]);
    command.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true");
    let serving = Serving::start(&mut command)?;
    // Each request has its own connection: an idle one would be closed during a build.
    let get = async |path: &str| -> Result<Vec<u8>> {
        Ok(Client::connect(serving.address).await?.get(path).await?.into_body())
    };
    assert_eq!(get("/edited").await?, b"first");

    // A file that is no source by its name, and one that is.
    fs::write(folder.path().join("edited/text"), "second")?;
    serving.told("reload: deployed edited");
    assert_eq!(get("/edited").await?, b"second");
    fs::write(source("main.rs"), main("\"third\""))?;
    serving.told("reload: deployed edited");
    assert_eq!(get("/edited").await?, b"third");

    fs::write(source("main.rs"), main("no_such_name"))?;
    serving.told("cannot find value `no_such_name`");
    assert_eq!(get("/edited").await?, b"third");
    fs::write(source("main.rs"), main("\"fourth\""))?;
    serving.told("reload: deployed edited");
    let deployed = SystemTime::now();
    assert_eq!(get("/edited").await?, b"fourth");
    let built = release.join("edited.wasm").metadata()?.modified()?;
    println!("served {:?} after the module was written", deployed.duration_since(built)?);

    // The limits of a new hourglass.toml apply, and what it says of others is checked.
    fs::write(folder.path().join("hourglass.toml"), "[function.edited]\nroutes = [\"/x\"]\n")?;
    serving.told("reload: changed the routes of edited");
    assert_eq!(get("/x").await?, b"fourth");
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_signal_ends_the_builds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    new_crate(folder.path(), "slow", "fn main() {}")?;
    // A `cargo` that never ends and has a child process. Both write their ids.
    let cargo = folder.path().join("cargo");
    let ids = folder.path().join("ids");
    let script = format!(
        "#!/bin/sh\nmkfifo {0:?}.wait\nsh -c 'echo $$ >> {0:?}; read x < {0:?}.wait' &\n\
         echo $$ >> {0:?}\necho started >&2\nread x < {0:?}.wait\n",
        ids.to_str().unwrap()
    );
    let script = script.replace('"', "");
    process::script(&cargo, &script)?;
    let mut command = hourglass(&["up", path(folder.path())]);
    let started = Started::new(command.env("CARGO", &cargo))?;
    let both = poll::until_blocking(|| {
        let ids = fs::read_to_string(&ids).unwrap_or_default();
        let ids: Vec<u32> = ids.lines().filter_map(|id| id.parse().ok()).collect();
        if ids.len() == 2 { Ok(ids) } else { Err(ids) }
    });
    started.signal(Signal::TERM);
    assert_eq!(started.ended()?.code(), Some(143));
    poll::until_blocking(|| match both.iter().find(|id| process::is_running(**id)) {
        Some(id) => Err(format!("process {id} goes on")),
        None => Ok(()),
    });
    Ok(())
}

/// `invoke NAME` finds the module in the `target` folder of the crate or of its workspace.
#[test]
fn invoke_finds_what_was_built() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let invoke = |name: &str, folder: &Path| {
        let mut command = hourglass(&["invoke", name]);
        // With it cargo would name another folder.
        run(command.current_dir(folder).env_remove("CARGO_TARGET_DIR"))
    };
    new_crate(folder.path(), "own", "fn main() {}")?;
    let workspace = folder.path().join("workspace");
    new_crate(&workspace.join("functions"), "shared", "fn main() {}")?;
    let manifest = workspace.join("functions/shared/Cargo.toml");
    let member = fs::read_to_string(&manifest)?.replace("[workspace]\n", "");
    fs::write(&manifest, member.split("[profile").next().unwrap_or_default())?;
    fs::write(workspace.join("Cargo.toml"), "[workspace]\nmembers = [\"functions/*\"]\n")?;
    for (name, target) in [("own", folder.path().join("own")), ("shared", workspace.clone())] {
        let from = match name {
            "own" => folder.path(),
            _ => &workspace.join("functions"),
        };
        let said = invoke(name, from)?;
        assert_eq!(said.status.code(), Some(1));
        assert!(said.err.contains("there is no hourglass.toml"), "{}", said.err);
        assert!(said.err.contains("`hourglass build`"), "{}", said.err);
        let release = target.join("target/wasm32-wasip1/release");
        fs::create_dir_all(&release)?;
        fs::copy(module("hello"), release.join(name).with_extension("wasm"))?;
        let said = invoke(name, from)?;
        assert!(said.out.starts_with("hello world"), "{}{}", said.out, said.err);
    }
    Ok(())
}
