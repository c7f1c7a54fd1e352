//! A server that reads its configuration again, and one that watches its files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use hourglass_tests::client::Client;
use hourglass_tests::modules;
use hourglass_tests::program::{self, Serving};
use hourglass_tests::terminal::Terminal;
use rustix::process::Signal;
use tempfile::TempDir;

use super::command::{CommandOutput, PROGRAM, hourglass, path, run};

/// A module whose responses have its number.
fn module(number: usize) -> Vec<u8> {
    let head = modules::head(200, &[("x-number", &number.to_string())]);
    modules::responding(&head, 1, |_| ())
}

/// A folder with a configuration and modules.
struct Folder(TempDir);

impl Folder {
    fn new(configuration: &str, modules: &[(&str, usize)]) -> Result<Self> {
        let folder = Self(tempfile::tempdir()?);
        for (name, number) in modules {
            folder.write(name, module(*number))?;
        }
        folder.write("hourglass.toml", configuration)?;
        Ok(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as a whole.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        fs::write(self.at("new"), content)?;
        Ok(fs::rename(self.at("new"), self.at(name))?)
    }

    /// Serves the configuration, and returns the address of the admin listener, too.
    fn serve(&self, flags: &[&str]) -> Result<(Serving, String)> {
        let file = self.at("hourglass.toml");
        let mut command = hourglass(&["serve", path(&file), "--admin", "127.0.0.1:0"]);
        let serving = Serving::start(command.args(flags))?;
        let admin = serving.admin().to_string();
        Ok((serving, admin))
    }
}

/// The number in a response, or its status.
async fn ask(client: &mut Client, target: &str) -> Result<usize> {
    let answer = client.get(target).await?;
    match answer.headers().get("x-number") {
        Some(number) => Ok(number.to_str()?.parse()?),
        None => Ok(answer.status().as_u16().into()),
    }
}

fn reload(admin: &str) -> Result<CommandOutput> {
    run(&mut hourglass(&["reload", "--admin", admin]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_deploys_what_has_changed() -> Result<()> {
    let folder = Folder::new(
        "[function.a]\nfile = \"a.wasm\"\n[function.b]\nfile = \"b.wasm\"\nroutes = [\"/x\"]\n",
        &[("a.wasm", 1), ("b.wasm", 2), ("c.wasm", 3)],
    )?;
    let (serving, admin) = folder.serve(&[])?;
    let mut client = Client::connect(serving.address).await?;
    assert_eq!((ask(&mut client, "/a").await?, ask(&mut client, "/x").await?), (1, 2));
    let said = reload(&admin)?;
    assert_eq!((said.status.code(), &*said.out), (Some(0), "nothing has changed\n"));

    // A module, a limit, a route, a new function, one that is gone, a setting of the server.
    folder.write("a.wasm", module(4))?;
    let changed = "drain = \"1s\"\n[function.a]\nfile = \"a.wasm\"\nrequest_body = 1\n\
                   routes = [\"/x\", \"/y/{id}\"]\n[function.c]\nfile = \"c.wasm\"\n";
    folder.write("hourglass.toml", changed)?;
    let said = reload(&admin)?;
    assert_eq!(said.status.code(), Some(0), "{}", said.err);
    for change in [
        "deployed a, version",
        "deployed c, version",
        "removed b",
        "routes of a",
        "`drain` takes effect after a restart",
    ] {
        assert!(said.out.contains(change), "{change} is not in {}", said.out);
    }
    for (target, expected) in [("/x", 4), ("/y/7", 4), ("/a", 404), ("/b", 404), ("/c", 3)] {
        assert_eq!(ask(&mut client, target).await?, expected, "{target}");
    }
    let too_long = client.request(&http::Request::post("/x").body("ab")?).await?;
    assert_eq!(too_long.status(), 413);

    // An invalid configuration changes nothing, not even what is valid in it.
    folder.write("c.wasm", module(5))?;
    for invalid in [
        format!("{changed}tiemout = 1\n"),
        format!("{changed}[function.d]\nfile = \"missing.wasm\"\n"),
        format!("{changed}[function.d]\nfile = \"hourglass.toml\"\n"),
    ] {
        folder.write("hourglass.toml", invalid)?;
        let said = reload(&admin)?;
        assert_eq!((said.status.code(), &*said.out), (Some(1), ""), "{}", said.err);
        assert!(said.err.contains("hourglass.toml"), "{}", said.err);
        assert_eq!((ask(&mut client, "/c").await?, ask(&mut client, "/x").await?), (3, 4));
    }

    // SIGHUP does the same.
    serving.signal(Signal::HUP);
    serving.told("reload: nothing has changed");
    folder.write("hourglass.toml", changed)?;
    serving.signal(Signal::HUP);
    serving.told("reload: deployed c, version");
    assert_eq!(ask(&mut client, "/c").await?, 5);
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

/// What an operator has deployed stays until the file of the function changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_was_deployed_by_hand() -> Result<()> {
    let folder = Folder::new(
        "[function.a]\nfile = \"a.wasm\"\nrequest_body = 1\n",
        &[("a.wasm", 1), ("other.wasm", 2)],
    )?;
    let (serving, admin) = folder.serve(&["--timeout", "7s"])?;
    let mut client = Client::connect(serving.address).await?;
    let other = folder.at("other.wasm");
    for name in ["a", "b"] {
        let said = run(&mut hourglass(&["deploy", name, path(&other), "--admin", &admin]))?;
        assert_eq!(said.status.code(), Some(0), "{}", said.err);
    }
    assert_eq!((ask(&mut client, "/a").await?, ask(&mut client, "/b").await?), (2, 2));
    assert_eq!(reload(&admin)?.out, "nothing has changed\n");
    assert_eq!((ask(&mut client, "/a").await?, ask(&mut client, "/b").await?), (2, 2));
    let too_long = client.request(&http::Request::post("/a").body("ab")?).await?;
    assert_eq!(too_long.status(), 413);
    // The flags apply to a new function as well.
    let request = http::Request::get("/functions").header("host", &admin).body("")?;
    let listed = Client::connect(admin.parse()?).await?.request(&request).await?;
    let listed: serde_json::Value = serde_json::from_slice(listed.body())?;
    let timeouts: Vec<_> = listed["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["limits"]["timeout"])
        .collect();
    assert_eq!(timeouts, ["7s", "7s"]);

    folder.write("a.wasm", module(3))?;
    let said = reload(&admin)?;
    assert!(said.out.starts_with("deployed a, version"), "{}{}", said.out, said.err);
    assert_eq!((ask(&mut client, "/a").await?, ask(&mut client, "/b").await?), (3, 2));
    // A function that was removed by hand comes back, because the configuration has it.
    let said = run(&mut hourglass(&["remove", "a", "--admin", &admin]))?;
    assert_eq!(said.status.code(), Some(0), "{}", said.err);
    assert_eq!(ask(&mut client, "/a").await?, 404);
    reload(&admin)?;
    assert_eq!(ask(&mut client, "/a").await?, 3);
    Ok(())
}

/// A path changes from one function to another, and the former is removed: every request gets one of
/// the two.
#[tokio::test(flavor = "multi_thread")]
async fn routes_change_together_with_functions() -> Result<()> {
    let configuration =
        |name: &str| format!("[function.{name}]\nfile = \"{name}.wasm\"\nroutes = [\"/x\"]\n");
    let folder = Folder::new(&configuration("a"), &[("a.wasm", 1), ("b.wasm", 2)])?;
    let (serving, _) = folder.serve(&["--access-log", "off"])?;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (stop, address) = (stop.clone(), serving.address);
            tokio::spawn(async move {
                let mut client = Client::connect(address).await?;
                while !stop.load(Ordering::SeqCst) {
                    let number = ask(&mut client, "/x").await?;
                    ensure!([1, 2].contains(&number), "{number}");
                }
                Ok(())
            })
        })
        .collect();
    for round in 0..20 {
        let name = if round % 2 == 0 { "b" } else { "a" };
        folder.write("hourglass.toml", configuration(name))?;
        serving.signal(Signal::HUP);
        serving.told(&format!("reload: deployed {name}"));
    }
    stop.store(true, Ordering::SeqCst);
    for client in load {
        client.await??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_watches_deploys_changed_files() -> Result<()> {
    let folder = Folder::new("[function.a]\nfile = \"a.wasm\"\n", &[("a.wasm", 1), ("b.wasm", 2)])?;
    let (serving, _) = folder.serve(&["--watch"])?;
    let mut client = Client::connect(serving.address).await?;
    assert_eq!(ask(&mut client, "/a").await?, 1);
    // Replaced, and written in place.
    folder.write("a.wasm", module(3))?;
    serving.told("reload: deployed a");
    assert_eq!(ask(&mut client, "/a").await?, 3);
    fs::write(folder.at("a.wasm"), module(4))?;
    serving.told("reload: deployed a");
    assert_eq!(ask(&mut client, "/a").await?, 4);
    folder.write("a.wasm", "no module")?;
    serving.told("reload: nothing has changed: cannot deploy");
    assert_eq!(ask(&mut client, "/a").await?, 4);
    folder.write("a.wasm", module(5))?;
    serving.told("reload: deployed a");
    // A module that the changed configuration names is watched, too.
    folder.write("hourglass.toml", "[function.b]\nfile = \"b.wasm\"\n")?;
    serving.told("reload: removed a");
    folder.write("b.wasm", module(6))?;
    serving.told("reload: deployed b");
    assert_eq!((ask(&mut client, "/a").await?, ask(&mut client, "/b").await?), (404, 6));
    Ok(())
}

/// The kernel and the shell send SIGHUP to the programs of a terminal that is closed. Without a
/// terminal, one can't be stopped with Ctrl-C.
#[test]
fn a_server_ends_with_its_terminal() -> Result<()> {
    let folder = Folder::new("[function.a]\nfile = \"a.wasm\"\n", &[("a.wasm", 1)])?;
    let file = folder.at("hourglass.toml");
    let command = program::command("setsid", &["--ctty", PROGRAM, "serve", path(&file)]);
    let mut terminal = Terminal::start(command, (200, 30))?;
    terminal.shows("next: curl");
    terminal.signal(Signal::HUP);
    terminal.shows("reload: nothing has changed");
    assert_eq!(terminal.close()?.code(), Some(0));
    Ok(())
}
