//! A server that runs out of descriptors logs it at a bounded rate, and accepts connections again
//! as soon as it can.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::guests::module;
use hourglass_tests::program::{self, Serving};

/// The descriptor limit of the server, and the number of connections that a test opens.
const LIMIT: usize = 100;

#[tokio::test]
async fn a_server_without_descriptors_logs_once_a_second_and_recovers() -> Result<()> {
    let limited = format!("ulimit -n {LIMIT}; exec \"$@\"");
    let arguments = ["-c", &limited, "sh", env!("CARGO_BIN_EXE_hourglass-under-test")];
    let mut command = program::command("sh", &arguments);
    command.arg("serve").arg(module("hello")).args(["--listen", "127.0.0.1:0"]);
    let serving = Serving::start(&mut command)?;
    assert_eq!(Client::connect(serving.address).await?.get("/hello").await?.status(), 200);

    let before = processor_time(serving.id())?;
    let began = Instant::now();
    let mut held = Vec::new();
    for _ in 0..LIMIT {
        held.push(Client::connect(serving.address).await?);
    }
    let (mut told, mut last) = (serving.told("are not accepted"), began);
    // The next line counts the suppressed ones, after a second.
    for _ in 0..2 {
        let more = serving.told("are not accepted");
        assert!(!more.contains("more=0"), "{more}");
        told.push_str(&more);
        last = Instant::now();
    }
    let lines = told.matches("are not accepted").count();
    let seconds = last.duration_since(began).as_secs_f64();
    assert!(lines as f64 <= seconds + 1.5, "{lines} lines in {seconds} seconds:\n{told}");
    assert!(seconds >= 1.9, "{seconds} seconds:\n{told}");
    // The server waits instead of retrying in a loop.
    let spent = processor_time(serving.id())? - before;
    assert!(spent.as_secs_f64() < seconds / 2.0, "{spent:?} in {seconds} seconds");

    let mut waiting = Client::connect(serving.address).await?;
    let freed = Instant::now();
    drop(held);
    assert_eq!(waiting.get("/hello").await?.status(), 200);
    assert!(freed.elapsed() < Duration::from_secs(20), "{:?}", freed.elapsed());
    Ok(())
}

/// The processor time of a process.
fn processor_time(id: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = text.rsplit_once(')').unwrap();
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
