//! Runs another program to its end, within a time limit, and keeps its output.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::running::Running;

/// Why another program failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("`{0}` is not on the PATH")]
    Missing(String),
    #[error("`{command}` could not be run")]
    Io { command: String, source: io::Error },
    /// It ended unsuccessfully. `stderr` has the relevant part of its standard
    /// error.
    #[error("`{command}` ended with {status}: {stderr}")]
    Failed { command: String, status: ExitStatus, stderr: String },
    /// It was still running at the end of its time limit, and was killed.
    #[error("`{command}` was not done after {limit:?}")]
    TimedOut { command: String, limit: Duration },
}

/// One line of output, without its line ending.
pub(crate) enum Line {
    Out(String),
    Err(String),
}

/// Runs `command` to its end within `limit`, passes every line to `on_line` as it
/// arrives, and returns the exit status.
pub(crate) fn watch(
    command: &mut Command,
    limit: Duration,
    on_line: &mut dyn FnMut(Line),
) -> Result<ExitStatus, CommandError> {
    let failed = |command: &Command, source| CommandError::Io { command: shown(command), source };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A separate process group, so that its children can be killed with it.
        .process_group(0);
    let (mut child, running) = Running::start(command).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CommandError::Missing(text(command.get_program())),
        _ => failed(command, source),
    })?;
    let (lines, arriving) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        read_lines(out, Line::Out, lines.clone());
    }
    if let Some(err) = child.stderr.take() {
        read_lines(err, Line::Err, lines);
    }

    let started = Instant::now();
    loop {
        // Once both pipes are closed, the program has ended or is about to.
        match arriving.recv_timeout(limit.saturating_sub(started.elapsed())) {
            Ok(line) => on_line(line),
            Err(RecvTimeoutError::Timeout) => {
                // The reader threads are not joined: a process outside the
                // group may hold the pipes open indefinitely.
                running.kill();
                let _ = child.wait();
                return Err(CommandError::TimedOut { command: shown(command), limit });
            }
            Err(RecvTimeoutError::Disconnected) => {
                drop(running);
                return child.wait().map_err(|source| failed(command, source));
            }
        }
    }
}

/// Runs `command` within `limit` and returns its standard output. Every line of
/// its standard error is also passed to `on_err`.
pub(crate) fn output(
    command: &mut Command,
    limit: Duration,
    on_err: &mut dyn FnMut(&str),
) -> Result<String, CommandError> {
    let (mut out, mut err) = (String::new(), String::new());
    let status = watch(command, limit, &mut |line| match line {
        Line::Out(line) => out += &(line + "\n"),
        Line::Err(line) => {
            on_err(&line);
            err += &(line + "\n");
        }
    })?;
    if status.success() {
        return Ok(out);
    }
    Err(CommandError::Failed { command: shown(command), status, stderr: summary(&err, 12) })
}

/// Reads lines in a separate thread, so that neither pipe can fill up and block
/// the program.
fn read_lines(from: impl Read + Send + 'static, kind: fn(String) -> Line, to: Sender<Line>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line);
            if to.send(kind(text.trim_end_matches('\r').to_owned())).is_err() {
                return;
            }
        }
    });
}

/// The part of a program's standard error that explains the failure: from its
/// first error on, or else the end of it; at most `most` lines, without empty
/// ones.
pub(crate) fn summary(stderr: &str, most: usize) -> String {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_error =
        |line: &&str| ["error", "E:", "Err:", "W: Fail"].iter().any(|word| line.starts_with(word));
    let first = lines.iter().position(is_error);
    let from = first.unwrap_or(lines.len().saturating_sub(most));
    let shown: Vec<&str> = lines.into_iter().skip(from).take(most).collect();
    if shown.is_empty() { "it did not say why".to_owned() } else { shown.join("\n") }
}

/// The command line approximately as it would be typed. A long one is
/// truncated, so that the error stays visible.
fn shown(command: &Command) -> String {
    const LIMIT: usize = 60;
    let mut shown = text(command.get_program());
    for word in command.get_args() {
        if shown.len() > LIMIT {
            return shown + " ...";
        }
        shown = shown + " " + &text(word);
    }
    shown
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn output_is_what_was_written_and_errors_pass_by() -> Result<(), CommandError> {
        let mut seen = Vec::new();
        let mut on_err = |line: &str| seen.push(line.to_owned());
        let out =
            output(&mut shell("echo one; echo aside >&2; printf two"), Duration::MAX, &mut on_err)?;
        assert_eq!(out, "one\ntwo\n");
        assert_eq!(seen, ["aside"]);
        Ok(())
    }

    #[test]
    fn a_failure_says_what_ran_and_what_it_said() {
        let error =
            output(&mut shell("echo error: no luck >&2; exit 3"), Duration::MAX, &mut |_| ());
        let error = error.expect_err("the shell failed").to_string();
        assert!(
            error.starts_with("`sh -c") && error.ends_with("exit status: 3: error: no luck"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed() {
        let error = output(&mut shell("exec sleep 1000"), Duration::from_millis(1), &mut |_| ());
        assert!(matches!(error, Err(CommandError::TimedOut { .. })), "{error:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = output(&mut Command::new("no-such-program"), Duration::MAX, &mut |_| ());
        let error = error.expect_err("a failure").to_string();
        assert_eq!(error, "`no-such-program` is not on the PATH");
    }

    #[test]
    fn what_tells_starts_at_the_first_error() {
        let apt = "Hit:1 http://example.org/debian trixie InRelease\n\n\
                   E: Failed to fetch http://example.org/debian/dists/sid/InRelease\nE: Some index files failed\n";
        assert!(summary(apt, 1).starts_with("E: Failed to fetch"));
        assert_eq!(summary("one\ntwo\nthree\n", 2), "two\nthree");
        assert_eq!(summary(" \n", 2), "it did not say why");
    }

    #[test]
    fn long_command_lines_are_cut() {
        let mut command = Command::new("apt-get");
        command.arg("update").args(["-o", "Some::Option=value"].repeat(20));
        let shown = shown(&command);
        assert!(shown.starts_with("apt-get update -o") && shown.ends_with(" ..."), "{shown}");
        assert!(shown.len() < 100);
    }
}
