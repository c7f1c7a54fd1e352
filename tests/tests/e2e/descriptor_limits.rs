//! A server that may open no more files goes on: it says so now and then, and accepts connections
//! as soon as it can.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::guests::module;
use hourglass_tests::program::{self, Serving};

/// How many descriptors it may have, and how many connections more than that a test makes.
const LIMIT: usize = 100;

#[tokio::test]
async fn a_server_without_descriptors_says_so_once_a_second_and_goes_on() -> Result<()> {
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
    // What is left out is counted in the next line, after a second.
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
    // It waits, and does not try again and again.
    let spent = processor_time(serving.id())? - before;
    assert!(spent.as_secs_f64() < seconds / 2.0, "{spent:?} in {seconds} seconds");

    let mut waiting = Client::connect(serving.address).await?;
    let freed = Instant::now();
    drop(held);
    assert_eq!(waiting.get("/hello").await?.status(), 200);
    assert!(freed.elapsed() < Duration::from_secs(5), "{:?}", freed.elapsed());
    Ok(())
}

/// How much processor time a process has had.
fn processor_time(id: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = text.rsplit_once(')').unwrap();
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
