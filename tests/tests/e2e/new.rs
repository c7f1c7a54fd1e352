//! `hourglass new`: what each template makes builds, passes its tests, and is served.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{module, repository};
use hourglass_tests::program::{self, Serving};
use hourglass_tests::upstream::Upstream;
use http::Request;
use rustix::process::Signal;

use super::command::{PROGRAM, fails, hourglass, path, run};

/// The exit code of `build.sh` without a compiler.
const NO_COMPILER: i32 = 69;

/// Creates a function in a folder, and returns its directory.
fn new(folder: &Path, name: &str, template: &str) -> Result<PathBuf> {
    let mut command = hourglass(&["new", name, "--template", template]);
    let output = run(command.current_dir(folder))?;
    ensure!(output.status.success(), output.err);
    let created = format!("created {name}");
    let next = format!("\nnext: cd {name}\n");
    ensure!(output.out.starts_with(&created) && output.out.contains(&next), output.out);
    Ok(folder.join(name))
}

/// A command in a directory, with the program and the compilers on the path, and without network.
fn tool(program: &str, arguments: &[&str], directory: &Path) -> Result<Command> {
    let (mut command, bin) = (program::command(program, arguments), directory.join("../bin"));
    if !bin.exists() {
        fs::create_dir(&bin)?;
        symlink(PROGRAM, bin.join("hourglass"))?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = [bin, repository().join("target/compilers/bin")];
    let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path)))?;
    let release = module("hello").parent().context("the module is in a folder")?;
    let target = release.ancestors().nth(2).context("the folder is in the target folder")?;
    command.current_dir(directory).env("PATH", path);
    command.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", target.join("new"));
    command.env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
    Ok(command)
}

/// Runs the tests of a function in Rust, and serves it.
fn rust(directory: &Path) -> Result<Serving> {
    fs::copy(repository().join("Cargo.lock"), directory.join("Cargo.lock"))?;
    let formatted = run(&mut tool(env!("CARGO"), &["fmt", "--check"], directory)?)?;
    ensure!(formatted.status.success(), formatted.out);
    let tested = run(&mut tool(env!("CARGO"), &["test"], directory)?)?;
    ensure!(tested.status.success() && tested.out.contains("test result: ok"), tested.err);
    ensure!(!tested.err.contains("warning: unused"), tested.err);
    // A function that says why it ends has the time to say it.
    Ok(Serving::start(tool(PROGRAM, &["up"], directory)?.env("HOURGLASS_GRACE", "1m"))?)
}

async fn get(serving: &Serving, target: &str) -> Result<String> {
    get_within(serving, target, "1M").await
}

/// As [`get`], with this deadline.
async fn get_within(serving: &Serving, target: &str, time: &str) -> Result<String> {
    let request = Request::get(target).header("grpc-timeout", time).body("")?;
    let answer = Client::connect(serving.address).await?.request(&request).await?;
    ensure!(answer.status() == 200, "{answer:?}");
    Ok(String::from_utf8(answer.into_body())?)
}

fn end(serving: Serving) -> Result<()> {
    serving.signal(Signal::TERM);
    ensure!(serving.ended()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_in_rust_are_tested_and_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let serving = rust(&new(folder.path(), "new-hello", "hello")?)?;
    let answer = get(&serving, "/new-hello/Ada").await?;
    assert!(answer.starts_with("hello Ada, "), "{answer}");
    end(serving)?;

    let serving = rust(&new(folder.path(), "new-rest", "rest")?)?;
    let answer = get(&serving, "/new-rest/items/2").await?;
    assert_eq!(answer, r#"{"id":2,"name":"teapot","price":1900}"#);
    end(serving)?;

    let serving = rust(&new(folder.path(), "new-stream", "stream")?)?;
    let answer = get_within(&serving, "/new-stream", "2S").await?;
    assert!(answer.starts_with("event: tick\ndata: 1, "), "{answer}");
    assert!(answer.ends_with("event: end\ndata: deadline-exceeded\n\n"), "{answer}");
    end(serving)?;

    let page = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npage";
    let upstream = Upstream::start(|_| page.to_owned()).await?;
    let directory = new(folder.path(), "new-fetch", "fetch")?;
    let config = fs::read_to_string(directory.join("hourglass.toml"))?;
    let config = config.replace("https://example.com", &format!("http://{}", upstream.address));
    fs::write(directory.join("hourglass.toml"), config)?;
    let serving = rust(&directory)?;
    assert_eq!(get(&serving, "/new-fetch/a").await?, "200 OK has 4 bytes\n");
    end(serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_in_other_languages_are_tested_and_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (template, language) in [("c", "C"), ("go", "Go"), ("zig", "Zig")] {
        let name = format!("new-{template}");
        let directory = new(folder.path(), &name, template)?;
        let tested = run(&mut tool("./test.sh", &[], &directory)?)?;
        if tested.status.code() == Some(NO_COMPILER) {
            // `stderr` directly, which the test harness does not capture.
            writeln!(std::io::stderr(), "skipped: {}", tested.err.trim_end())?;
            continue;
        }
        ensure!(tested.status.success(), "{template}: {}{}", tested.out, tested.err);
        let module = directory.join(&name).with_added_extension("wasm");
        let serving = Serving::start(&mut hourglass(&["serve", path(&module)]))?;
        let answer = get(&serving, &format!("/{name}/Ada")).await?;
        assert!(answer.starts_with(&format!("hello Ada, from {language}\n")), "{answer}");
        end(serving)?;
    }
    Ok(())
}

#[test]
fn nothing_is_overwritten() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = new(folder.path(), "greet", "zig")?;
    let error = fails(&["new", path(&directory)])?;
    assert!(error.contains("is not empty; give another name"), "{error}");
    let file = directory.join("main.zig");
    let error = fails(&["new", path(&file.with_file_name("main")), "--sdk", "/dev"])?;
    assert!(error.contains("give the directory of a clone with `--sdk`"), "{error}");
    let error = fails(&["new", path(&file.join("inside"))])?;
    assert!(error.contains("cannot create the directory"), "{error}");
    let error = fails(&["new", path(&folder.path().join("2nd"))])?;
    assert!(error.contains("`2nd` can't be the name"), "{error}");
    assert_eq!(fs::read_dir(folder.path())?.count(), 1);
    // An empty directory is used.
    fs::create_dir(folder.path().join("empty"))?;
    new(folder.path(), "empty", "hello")?;
    Ok(())
}

#[test]
fn a_workspace_around_it_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("Cargo.toml"), "[workspace]\nmembers = []\n")?;
    let output = run(hourglass(&["new", "greet"]).current_dir(folder.path()))?;
    assert!(output.out.contains("\nadd it to the `members` in "), "{}", output.out);
    Ok(())
}
