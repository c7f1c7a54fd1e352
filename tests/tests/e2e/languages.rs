//! The examples in other languages, built by their compilers. Without the compiler of a language,
//! its test prints that and is skipped. `.ci/compilers` installs the compilers.

use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hourglass::{Context, Function};
use hourglass_tests::guests::repository;
use hourglass_tests::host::{self, Host};
use hourglass_tests::input;
use http::{Method, Request};

/// The exit code of `build.sh` without a compiler.
const NO_COMPILER: i32 = 69;

const MINUTE: Duration = Duration::from_secs(60);

/// An example as a function. `None` if it cannot be built here.
fn built(name: &str) -> Result<Option<Function>> {
    // One build at a time, because two tests may build the same example.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let root = repository();
    let compilers = root.join("target/compilers/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([compilers].into_iter().chain(std::env::split_paths(&path)))?;
    let script = root.join("examples").join(name).join("build.sh");
    let ended = Command::new(&script).env("PATH", path).output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if ended.status.code() == Some(NO_COMPILER) {
        // `stderr` directly, which the test harness does not capture.
        writeln!(std::io::stderr(), "skipped: {}", said.trim_end())?;
        return Ok(None);
    }
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{}: {told}{said}", script.display());
    let module = root.join("target/wasm32-wasip1/release").join(name).with_extension("wasm");
    Ok(Some(Function::from_file(name, module)?.timeout(MINUTE)))
}

/// Checks the hello example of a language: environment, input and context.
async fn hello(example: &str, language: &str) -> Result<()> {
    let Some(function) = built(example)? else { return Ok(()) };
    let host = Host::serve([function]).await?;
    let mut client = host.client().await?;
    let plain = client.get(&format!("/{example}")).await?;
    let body = String::from_utf8(plain.into_body())?;
    assert!(body.starts_with(&format!("hello world, from {language}\n")), "{body}");

    let head = format!("POST /{example}/gr%C3%BCn HTTP/1.1\r\nhost: x\r\nx-request-id: mine-1\r\n");
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nfour\r\n")).await?;
    client.send("3\r\nive\r\n0\r\n\r\n").await?;
    let answer = client.answer(&Method::POST).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    let body = String::from_utf8(answer.into_body())?;
    let lines: Vec<_> = body.lines().collect();
    let [hello, left, "request mine-1", "7 bytes"] = &*lines else { panic!("{body}") };
    assert_eq!(*hello, format!("hello grün, from {language}"));
    let left = left.strip_suffix(" left").context("it tells how much time is left")?;
    assert!(
        left.ends_with('s') && left.starts_with(|first: char| first.is_ascii_digit()),
        "{left}"
    );
    Ok(())
}

#[tokio::test]
async fn go_says_hello() -> Result<()> {
    hello("go-hello", "Go").await
}

#[tokio::test]
async fn zig_says_hello() -> Result<()> {
    hello("zig-hello", "Zig").await
}

#[tokio::test]
async fn assemblyscript_says_hello() -> Result<()> {
    hello("as-hello", "AssemblyScript").await
}

#[tokio::test]
async fn c_streams_its_response() -> Result<()> {
    let Some(function) = built("c-upper")? else { return Ok(()) };
    let host = Host::serve([function]).await?;
    assert_eq!(host.get("/c-upper").await?.status(), 405);
    let mut client = host.client().await?;
    client.send("POST /c-upper HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let answer = client.head().await?;
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    for (chunk, upper) in [("5\r\nfirst\r\n", "FIRST"), ("6\r\nsecond\r\n", "SECOND")] {
        client.send(chunk).await?;
        assert_eq!(client.piece().await?.unwrap(), upper.as_bytes());
    }
    client.send("0\r\n\r\n").await?;
    assert_eq!(client.piece().await?, None);
    Ok(())
}

#[tokio::test]
async fn c_reports_why_it_stopped() -> Result<()> {
    let Some(function) = built("c-upper")? else { return Ok(()) };
    let runtime = host::runtime([function.timeout(Duration::from_secs(2)).grace(MINUTE)]);
    let (feed, body) = input::fed();
    feed.give("half");
    let request = Request::post("/c-upper").body(body)?;
    let answer = runtime.invoke(&Context::background(), "c-upper", request).await?;
    let body = answer.into_body().bytes().await.unwrap();
    assert_eq!(body, "HALF\n(stopped: deadline-exceeded)\n");
    Ok(())
}
