//! `hourglass batch`: many jobs of one function, in this process.
//!
//! # Layout
//! - [`BatchArgs`]: the command.
//! - `run`: starts the batch, shows progress, and obeys signals.
//! - `input`: reads lines on a thread; `source`: the lines that wait.
//! - `worker`: takes lines, runs their jobs, and adds the results; `concurrency`: how
//!   many jobs run at once.
//! - `output`: writes results on a thread.
//! - `journal`: what a batch leaves for the one that resumes it; `resume`: what a
//!   resumed batch need not repeat.
//! - `progress`: the report on standard error; `tally`, `times`: its
//!   numbers.

mod concurrency;
mod input;
mod journal;
mod output;
mod progress;
mod resume;
mod run;
mod source;
mod tally;
mod times;
mod worker;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use self::concurrency::Concurrency;
use self::input::Input;
use self::journal::Journal;
use self::output::Output;
use self::progress::Style;
use self::resume::Resume;
use self::run::{Batch, Ending};
use self::tally::Tally;
use super::error::ExitWith;
use super::local::LocalOptions;
use super::output as terminal;
use super::settings::FunctionOptions;
use super::signals::Signals;
use crate::schema::{Period, Unit as _};

/// The exit code if some jobs failed or did not run.
const FAILED: u8 = 3;

/// Runs a function once for each line of the input, and writes a line for each
/// result.
///
/// A line is a job such as {"id": 7, "path": "/hello/Ada"}, with the keys id, body,
/// body_encoding, headers, method and path; any other line is the body itself.
///
/// The first signal stops the input: what runs may finish, and the command to
/// resume is printed. The second one cancels what runs.
///
/// The exit code is 0 if every job succeeded, 3 if some failed or did not run, and
/// 128 plus its number after a signal. A job fails without a response, and with one
/// whose status is 400 or higher.
#[derive(Debug, clap::Args)]
pub(crate) struct BatchArgs {
    #[command(flatten)]
    local: LocalOptions,
    /// The file with the jobs; - for standard input
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    input: PathBuf,
    /// The file for the results, which must not exist; - for standard output
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    output: PathBuf,
    /// How many jobs run at once; auto raises it from the number of cores while that
    /// speeds the batch up
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    concurrency: Concurrency,
    /// The longest time of the whole batch [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = period)]
    timeout: Option<Duration>,
    /// The longest time of each attempt [default: the function's timeout]
    #[arg(long, value_name = "TIME", value_parser = period)]
    each: Option<Duration>,
    /// How often a job is tried again
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Stop at the first job that fails
    #[arg(long)]
    fail_fast: bool,
    /// Continue a batch: skip the jobs whose results are in the output
    #[arg(long)]
    resume: bool,
    /// Report progress, and the sum at the end, as lines of JSON
    #[arg(long)]
    json: bool,
}

fn period(text: &str) -> anyhow::Result<Duration> {
    Ok(Period::POSITIVE.parse(text)?)
}

pub(crate) fn run(args: &BatchArgs, signals: &Signals) -> anyhow::Result<()> {
    let resume = if args.resume { Resume::read(&args.output)? } else { Resume::default() };
    let input = Input::open(&args.input)?;
    let most = args.concurrency.fixed();
    let flags = FunctionOptions::default();
    let (runtime, function) = args.local.deploy(most, &flags, |function| match args.each {
        Some(each) => function.timeout(each),
        None => function,
    })?;
    // Created last: a batch that can't run leaves no file.
    let output = Output::open(&args.output, args.resume)?;
    let journal = Journal::open(&args.output, &function, &resume)?;
    let batch = Batch {
        concurrency: args.concurrency.over(runtime.capacity().in_flight),
        timeout: args.timeout,
        retries: args.retries,
        fail_fast: args.fail_fast,
        style: Style::choose(args.json),
        runtime,
        function,
    };
    let (tally, ending) = super::block_on(batch.run(input, output, journal, resume, signals))?;
    report(args, &tally, ending)
}

/// Says how to continue, and returns the exit code.
fn report(args: &BatchArgs, tally: &Tally, ending: Ending) -> anyhow::Result<()> {
    if matches!(ending, Ending::Complete) {
        return if tally.failed() == 0 { Ok(()) } else { Err(ExitWith(FAILED).into()) };
    }
    if let Some(command) = resume_command(args) {
        terminal::message(&format!("to continue: {command}"));
    }
    bail!(ExitWith(if let Ending::Signal(kind) = ending { kind.exit_code() } else { FAILED }))
}

/// The command that continues this batch, if its input can be read again.
fn resume_command(args: &BatchArgs) -> Option<String> {
    if args.input.as_os_str() == "-" || !output::is_kept(&args.output) {
        return None;
    }
    let words: Option<Vec<_>> = env::args_os().map(|word| Some(quoted(word.to_str()?))).collect();
    let mut words = words?;
    if !args.resume {
        words.push("--resume".to_owned());
    }
    Some(words.join(" "))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+:@%,=".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, shown) in [("a/b.ndjson", "a/b.ndjson"), ("a b", "'a b'"), ("a'b", r"'a'\''b'")]
        {
            assert_eq!(quoted(word), shown);
        }
    }
}
