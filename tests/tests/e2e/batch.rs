//! `hourglass batch`: a result for each job, whatever stops the batch.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;
use hourglass_tests::guests::module;
use hourglass_tests::poll;
use hourglass_tests::program::Started;
use hourglass_tests::terminal::Terminal;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::{CommandOutput, hourglass, path, run};

/// A folder with the input and the output of a batch.
struct Files(TempDir);

impl Files {
    fn new(input: &str) -> Result<Self> {
        let files = Self(tempfile::tempdir()?);
        fs::write(files.input(), input)?;
        Ok(files)
    }

    fn input(&self) -> PathBuf {
        self.0.path().join("jobs.ndjson")
    }

    fn output(&self) -> PathBuf {
        self.0.path().join("results.ndjson")
    }

    fn command(&self, guest: &str, arguments: &[&str]) -> Command {
        let (input, output) = (self.input(), self.output());
        let files =
            ["batch", path(module(guest)), "--input", path(&input), "--output", path(&output)];
        hourglass(&[&files, arguments].concat())
    }

    fn run(&self, guest: &str, arguments: &[&str]) -> Result<CommandOutput> {
        run(&mut self.command(guest, arguments))
    }

    /// The results, in the order in which they were written.
    fn results(&self) -> Result<Vec<Value>> {
        parsed(&fs::read_to_string(self.output())?)
    }

    /// Waits until some results are written.
    async fn has_results(&self) {
        poll::until(|| match fs::read_to_string(self.output()) {
            Ok(text) if text.contains('\n') => Ok(()),
            text => Err(text),
        })
        .await;
    }
}

fn parsed(text: &str) -> Result<Vec<Value>> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Results by their lines. Each line has only one.
fn by_line(results: Vec<Value>) -> BTreeMap<u64, Value> {
    let mut by_line = BTreeMap::new();
    for result in results {
        let line = result["line"].as_u64().expect("a line");
        assert!(by_line.insert(line, result).is_none(), "line {line} has two results");
    }
    by_line
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (1..=count).map(|number| line(number) + "\n").collect()
}

#[test]
fn each_line_is_a_job_and_has_a_result() -> Result<()> {
    let files = Files::new(
        "plain text\n\
         \n\
         {\"id\":\"b\",\"body\":\"from a key\",\"headers\":{\"x-a\":\"1\"}}\n\
         {\"no\":\"job\"}\n\
         {\"id\":5,\"body\":\"//4=\",\"body_encoding\":\"base64\"}\n\
         {\"id\":6,\"boddy\":\"\"}",
    )?;
    let ended = files.run("echo", &["--concurrency", "3"])?;
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    assert!(ended.err.contains("5 jobs in "), "{}", ended.err);
    assert!(ended.err.contains("4 succeeded, 1 (bad-request 1) failed"), "{}", ended.err);
    let results = by_line(files.results()?);
    let shown = |line: u64| {
        let result = &results[&line];
        json!([
            result["id"],
            result["outcome"],
            result["status"],
            result["body"],
            result["attempts"]
        ])
    };
    assert_eq!(shown(1), json!([1, "response", 200, "plain text", 1]));
    assert_eq!(shown(3), json!(["b", "response", 200, "from a key", 1]));
    assert_eq!(shown(4), json!([4, "response", 200, "{\"no\":\"job\"}", 1]));
    assert_eq!(shown(5), json!([5, "response", 200, "//4=", 1]));
    assert_eq!(results[&5]["body_encoding"], "base64");
    assert_eq!(shown(6), json!([6, "bad-request", null, null, 0]));
    assert!(results[&6]["error"].as_str().unwrap_or_default().contains("boddy"));
    for time in ["waited_ms", "took_ms", "cpu_ms"] {
        assert!(results[&1][time].is_number(), "{time}");
    }
    assert_eq!(results.len(), 5);
    Ok(())
}

#[test]
fn jobs_come_from_standard_input_and_results_go_to_standard_output() -> Result<()> {
    let mut command = hourglass(&["batch", path(module("echo"))]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(
        &mut input,
        lines(1_000, |number| format!("job {number}")).as_bytes(),
    )?;
    drop(input);
    let ended = child.wait_with_output()?;
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let results = by_line(parsed(&String::from_utf8(ended.stdout)?)?);
    assert_eq!(results.len(), 1_000);
    assert!(results.iter().all(|(line, result)| result["body"] == format!("job {line}")));
    Ok(())
}

#[test]
fn failures_are_retried_and_counted_by_outcome() -> Result<()> {
    let files = Files::new("{\"path\":\"/fail/7\"}\n{\"path\":\"/fail/status\"}\n")?;
    let ended = files.run("fail", &["--retries", "2", "--json"])?;
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    let results = by_line(files.results()?);
    assert_eq!((&results[&1]["outcome"], &results[&1]["attempts"]), (&json!("exit"), &json!(3)));
    assert_eq!((&results[&2]["status"], &results[&2]["attempts"]), (&json!(418), &json!(1)));
    let sum: Value = serde_json::from_str(ended.err.lines().last().unwrap_or_default())?;
    assert_eq!(sum["event"], "end");
    assert_eq!(sum["failures"], json!({ "exit": 1, "status-418": 1 }));
    assert_eq!((&sum["done"], &sum["retried"]), (&json!(2), &json!(1)));
    Ok(())
}

#[test]
fn a_body_that_is_too_long_fails_alone() -> Result<()> {
    let long = "x".repeat(11 << 20);
    let longer = "x".repeat(25 << 20);
    let files = Files::new(&format!("{long}\n{longer}\nshort\n"))?;
    let ended = files.run("echo", &[])?;
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    let results = by_line(files.results()?);
    let outcomes: Vec<_> = results.values().map(|result| &result["outcome"]).collect();
    assert_eq!(outcomes, ["body-too-large", "body-too-large", "response"]);
    Ok(())
}

#[test]
fn the_first_failure_stops_a_batch_that_must_not_fail() -> Result<()> {
    let files = Files::new(&lines(1_000, |_| "{\"path\":\"/fail/7\"}".to_owned()))?;
    let ended = files.run("fail", &["--fail-fast", "--concurrency", "1"])?;
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    assert!(files.results()?.len() < 1_000);
    assert!(ended.err.contains("to continue: "), "{}", ended.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_the_input_and_the_batch_can_be_resumed() -> Result<()> {
    let files = Files::new(&lines(200, |_| "{\"path\":\"/stuck/sleep\"}".to_owned()))?;
    let slow = ["--concurrency", "2", "--each", "100ms"];
    let started = Started::new(&mut files.command("stuck", &slow))?;
    files.has_results().await;
    started.signal(Signal::INT);
    let log = started.told("to continue: ");
    assert!(log.trim_end().ends_with("--concurrency 2 --each 100ms --resume"), "{log}");
    assert_eq!(started.ended()?.code(), Some(130));
    let results = by_line(files.results()?);
    assert!((1..200).contains(&results.len()), "{}", results.len());
    assert!(results.values().all(|result| result["outcome"] == "deadline-exceeded"));

    let ended = files.run("stuck", &["--resume", "--concurrency", "50", "--each", "1ms"])?;
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    assert_eq!(by_line(files.results()?).len(), 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_cancels_what_runs_and_its_jobs_run_again() -> Result<()> {
    let input = lines(10, |number| {
        format!("{{\"path\":\"/stuck/{}\"}}", if number == 1 { "x" } else { "sleep" })
    });
    let files = Files::new(&input)?;
    let started =
        Started::new(&mut files.command("stuck", &["--concurrency", "3", "--each", "10m"]))?;
    files.has_results().await;
    // The job that has a result, and those in flight. The end of the first makes room for the last.
    for _ in 0..4 {
        started.told("begun");
    }
    started.signal(Signal::TERM);
    started.told("a second signal cancels them");
    started.signal(Signal::TERM);
    assert_eq!(started.ended()?.code(), Some(143));
    let results = by_line(files.results()?);
    let canceled = results.values().filter(|result| result["cause"] == "operator").count();
    assert_eq!((results.len(), canceled), (4, 3));

    let ended = files.run("stuck", &["--resume", "--each", "1ms"])?;
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    let results = files.results()?;
    let again = results.iter().skip(4);
    let attempts: BTreeMap<_, _> =
        again.map(|result| (result["line"].as_u64(), result["attempts"].as_u64())).collect();
    assert_eq!(attempts.len(), 9);
    for (line, attempts) in attempts {
        let before = results.iter().take(4).any(|result| result["line"].as_u64() == line);
        assert!(attempts == Some(2) || !before, "line {line:?}");
    }
    Ok(())
}

#[test]
fn a_killed_batch_loses_no_job_and_marks_those_that_may_run_twice() -> Result<()> {
    const JOBS: usize = 50_000;
    let rounds = std::env::var("HOURGLASS_KILLS").ok().and_then(|kills| kills.parse().ok());
    let files = Files::new(&lines(JOBS, |number| format!("job {number}")))?;
    let mut kills = 0;
    for round in 0..rounds.unwrap_or(6_u32) {
        let arguments: &[&str] =
            if round == 0 { &["--concurrency", "8"] } else { &["--resume", "--concurrency", "8"] };
        let before = fs::metadata(files.output()).map_or(0, |meta| meta.len());
        let mut child = files.command("echo", arguments).stderr(Stdio::null()).spawn()?;
        // It is killed at some moment after it has written something.
        while fs::metadata(files.output()).map_or(0, |meta| meta.len()) == before {
            if child.try_wait()?.is_some() {
                break;
            }
            std::thread::yield_now();
        }
        child.kill()?;
        let ended = child.wait()?;
        kills += u32::from(ended.code().is_none());
        // A line that broke off, as after a kill within a write.
        let text = fs::read(files.output())?;
        if ended.code().is_none() && round % 2 == 1 {
            fs::write(files.output(), &text[..text.len().saturating_sub(7)])?;
        }
    }
    assert!(kills > 0);
    let journal =
        fs::read_to_string(files.output().with_extension("ndjson.journal")).unwrap_or_default();
    let known = fs::read_to_string(files.output())?.matches('\n').count();
    let ended = files.run("echo", &["--resume"])?;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    let results = by_line(files.results()?);
    assert_eq!(results.len(), JOBS);
    for (line, result) in &results {
        assert_eq!(result["body"], format!("job {line}"));
        assert_eq!(result["outcome"], "response");
    }
    if let Ok(journal) = serde_json::from_str::<Value>(&journal) {
        let started = journal["started"].as_u64().expect("a number");
        for result in files.results()?.iter().skip(known) {
            let expected = if result["line"].as_u64() <= Some(started) { 2 } else { 1 };
            assert_eq!(result["attempts"], expected, "{result}");
        }
    }
    assert!(!files.output().with_extension("ndjson.journal").exists());
    Ok(())
}

#[test]
fn wrong_use_is_explained() -> Result<()> {
    let files = Files::new("a\n")?;
    assert_eq!(files.run("echo", &[])?.status.code(), Some(0));
    for (arguments, code, advice) in [
        (&[][..], 1, "continue its batch with `--resume`"),
        (&["--concurrency", "0"], 2, "from 1 to 1000000"),
        (&["--each", "soon"], 2, "`soon` is not a time"),
    ] {
        let ended = files.run("echo", arguments)?;
        assert_eq!(ended.status.code(), Some(code), "{}", ended.err);
        assert!(ended.err.contains(advice), "{}", ended.err);
    }
    // Nothing is left, and another function can't continue.
    assert_eq!(files.run("echo", &["--resume"])?.status.code(), Some(0));
    fs::write(files.output(), "{\"event\":\"something else\"}\n")?;
    let ended = files.run("echo", &["--resume"])?;
    assert!(ended.err.contains("is not a result"), "{}", ended.err);
    let ended = run(&mut hourglass(&["batch", path(module("echo")), "--input", "missing.ndjson"]))?;
    assert!(ended.err.contains("missing.ndjson can't be read"), "{}", ended.err);
    let (input, output) = (files.input(), files.0.path().join("never.ndjson"));
    let unknown = ["batch", "missing", "--input", path(&input), "--output", path(&output)];
    let ended = run(&mut hourglass(&unknown))?;
    assert!(ended.err.contains("no function `missing`"), "{}", ended.err);
    assert!(!output.exists(), "a batch that can't run leaves no file");
    let ended = run(&mut hourglass(&["batch", path(module("echo")), "--resume"]))?;
    assert!(ended.err.contains("name their file with `--output FILE`"), "{}", ended.err);
    Ok(())
}

#[test]
fn a_terminal_shows_one_line_that_changes() -> Result<()> {
    let files = Files::new(&lines(400, |_| "{\"path\":\"/stuck/sleep\"}".to_owned()))?;
    let mut command = Command::new("setsid");
    let batch = files.command("stuck", &["--concurrency", "2", "--each", "100ms"]);
    command.arg("--ctty").arg(batch.get_program()).args(batch.get_args());
    for (name, value) in batch.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut terminal = Terminal::start(command, (120, 10))?;
    terminal.shows("in flight");
    terminal.shows("(deadline-exceeded ");
    terminal.press("\x03")?;
    terminal.shows("to continue: ");
    Ok(())
}
