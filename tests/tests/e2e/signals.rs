//! Signals to the program.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use hourglass_tests::client::{self, Client};
use hourglass_tests::guests::module;
use hourglass_tests::program::{Serving, Started};
use http::Method;
use rustix::process::Signal;
use serde_json::Value;

use super::command::{hourglass, path};

#[tokio::test]
async fn the_program_serves_and_drains_on_a_signal() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let files = [path(module("hello")), path(module("echo"))];
        let mut command = hourglass(&["serve", files[0], files[1], "--listen", "127.0.0.1:0"]);
        let serving = Serving::start(&mut command)?;
        let mut client = Client::connect(serving.address).await?;
        let answer = client.get("/hello/program").await?;
        assert!(answer.body().starts_with(b"hello program, "));

        // A request in flight at the signal still gets its response.
        client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n").await?;
        assert_eq!(client.interim().await?, 100);
        serving.signal(signal);
        client::refused(serving.address).await;
        client.send("last").await?;
        assert_eq!(client.answer(&Method::POST).await?.body(), b"last");
        assert_eq!(serving.ended()?.code(), Some(0), "{signal:?}");
    }
    Ok(())
}

#[tokio::test]
async fn invocations_beyond_the_drain_period_are_canceled() -> Result<()> {
    let stuck = path(module("stuck"));
    let mut command = hourglass(&["serve", stuck, "--listen", "127.0.0.1:0"]);
    command.args(["--timeout", "10m", "--grace", "10ms", "--drain", "50ms"]);
    let serving = Serving::start(&mut command)?;
    let mut client = Client::connect(serving.address).await?;
    client.send("GET /stuck/spin HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    serving.told("begun");
    serving.signal(Signal::TERM);
    let answer = client.answer(&Method::GET).await?;
    assert_eq!(answer.status(), 503);
    let problem: Value = serde_json::from_slice(answer.body())?;
    assert_eq!(problem["cause"], "shutdown");
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

/// The program with a function that only an end of its context ends, and a client of it.
async fn stuck(way: &str) -> Result<(Serving, Client)> {
    let stuck = path(module("stuck"));
    let mut command = hourglass(&["serve", stuck, "--listen", "127.0.0.1:0"]);
    command.args(["--timeout", "10m", "--grace", "10m", "--drain", "10m"]);
    let serving = Serving::start(&mut command)?;
    let mut client = Client::connect(serving.address).await?;
    client.send(format!("GET /stuck/{way} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    serving.told("begun");
    Ok((serving, client))
}

#[tokio::test]
async fn a_second_signal_cancels_what_is_in_flight() -> Result<()> {
    let (serving, mut client) = stuck("answer").await?;
    serving.signal(Signal::TERM);
    serving.told("a second signal cancels what is in flight");
    serving.signal(Signal::INT);
    let answer = client.answer(&Method::GET).await?;
    assert_eq!((answer.status().as_u16(), &**answer.body()), (200, &b"shutdown"[..]));
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_third_signal_ends_the_program() -> Result<()> {
    let (serving, _client) = stuck("spin").await?;
    serving.signal(Signal::INT);
    serving.told("a second signal cancels what is in flight");
    serving.signal(Signal::INT);
    serving.told("the next signal ends the program");
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(143));
    Ok(())
}

#[test]
fn systemd_learns_when_the_program_serves_and_stops() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket)?;
    systemd.set_read_timeout(Some(Duration::from_secs(60)))?;
    let told = || {
        let mut buffer = [0; 1_024];
        let len = systemd.recv(&mut buffer)?;
        anyhow::Ok(String::from_utf8(buffer[..len].to_vec())?)
    };
    let mut command = hourglass(&["serve", path(module("hello")), "--listen", "127.0.0.1:0"]);
    command.args(["--drain-delay", "2s", "--drain", "30s", "--grace", "500ms"]);
    let serving = Serving::start(command.env("NOTIFY_SOCKET", &socket))?;
    assert_eq!(told()?.trim_end(), "READY=1");
    serving.signal(Signal::TERM);
    // The delay, the drain, the grace, a second for clients, and reserve.
    assert_eq!(told()?.trim_end(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=43500000");
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

/// A command that serves `hello`, and blocks during startup after its first log line.
fn starting(folder: &Path) -> Result<Command> {
    // Opening a FIFO without a writer blocks, so the startup lasts until the test ends it.
    let fifo = folder.join("slow.wasm");
    let made = Command::new("mkfifo").arg(&fifo).status()?;
    assert!(made.success());
    let mut command = hourglass(&["serve", path(&fifo)]);
    // An unknown variable makes it log a line before it reads anything.
    command.env("HOURGLASS_TIMEOT", "1s");
    Ok(command)
}

#[test]
fn a_signal_during_startup_ends_the_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = starting(folder.path())?;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let started = Started::new(&mut command)?;
        started.told("write HOURGLASS_TIMEOUT");
        started.signal(signal);
        assert_eq!(started.ended()?.code(), Some(code), "{signal:?}");
    }
    Ok(())
}

#[test]
fn a_signal_during_startup_ends_the_init_process() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let command = starting(folder.path())?;
    let can = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("skipped: a process namespace needs `unshare` and its rights");
        return Ok(());
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]).arg(command.get_program());
    unshare.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => unshare.env(name, value),
            None => unshare.env_remove(name),
        };
    }
    let started = Started::new(&mut unshare)?;
    started.told("write HOURGLASS_TIMEOUT");
    let children = format!("/proc/{0}/task/{0}/children", started.id());
    let child: i32 = fs::read_to_string(children)?.trim().parse()?;
    rustix::process::kill_process(rustix::process::Pid::from_raw(child).unwrap(), Signal::TERM)?;
    assert_eq!(started.ended()?.code(), Some(143));
    Ok(())
}
