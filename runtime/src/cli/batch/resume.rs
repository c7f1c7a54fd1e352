//! What a resumed batch need not repeat, and what it may repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::super::output as terminal;
use super::journal;
use super::output::is_kept;
use crate::context::Done;

/// The state of the batch that is resumed. The default is that of a new one.
#[derive(Debug, Default)]
pub(super) struct Resume {
    /// The lines that need not run: all up to this one, except those below.
    done: LineSet,
    /// The attempts of jobs that were canceled.
    canceled: BTreeMap<u64, u32>,
    /// No line behind this one was started.
    pub(super) started: u64,
    /// The function of the batch.
    pub(super) function: Option<String>,
}

/// A set of lines, most of them at the beginning.
#[derive(Debug, Default)]
struct LineSet {
    /// All lines up to this one.
    all_to: u64,
    beyond: BTreeSet<u64>,
}

/// What matters of a result here.
#[derive(Deserialize)]
struct Ended {
    line: u64,
    outcome: String,
    attempts: u32,
}

impl Resume {
    /// Reads the results of a batch and its journal. A last line that broke off is
    /// removed.
    pub(super) fn read(output: &Path) -> anyhow::Result<Self> {
        if !is_kept(output) {
            bail!("`--resume` reads the results of before; name their file with `--output FILE`");
        }
        let cannot = || format!("{} can't be read", output.display());
        let file = OpenOptions::new().read(true).write(true).open(output).with_context(cannot)?;
        let mut resume = Self::default();
        let (mut reader, mut line, mut whole, mut number) = (BufReader::new(&file), vec![], 0, 0);
        while reader.read_until(b'\n', &mut line).with_context(cannot)? > 0 {
            if line.last() != Some(&b'\n') {
                terminal::message(&format!(
                    "repaired {}: its last line broke off",
                    output.display()
                ));
                file.set_len(whole).with_context(cannot)?;
                break;
            }
            whole += line.len() as u64;
            number += 1;
            let Ok(ended) = serde_json::from_slice::<Ended>(&line) else {
                bail!(
                    "line {number} of {} is not a result; name the output of a batch",
                    output.display()
                );
            };
            resume.add(&ended);
            line.clear();
        }
        match journal::read(output)? {
            Some(journal) => {
                (resume.started, resume.function) = (journal.started, Some(journal.function));
            }
            // The batch was complete, and its input may have grown.
            None => resume.started = resume.done.all_to,
        }
        Ok(resume)
    }

    fn add(&mut self, ended: &Ended) {
        if ended.outcome == Done::Canceled.name() {
            let attempts = self.canceled.entry(ended.line).or_default();
            *attempts = (*attempts).max(ended.attempts);
        } else {
            self.done.insert(ended.line);
        }
    }

    pub(super) fn is_done(&self, line: u64) -> bool {
        self.done.contains(line)
    }

    /// The attempts that a line may have had before.
    pub(super) fn earlier_attempts(&self, line: u64) -> u32 {
        let canceled = self.canceled.get(&line).copied();
        canceled.unwrap_or_else(|| u32::from(line <= self.started))
    }
}

impl LineSet {
    fn insert(&mut self, line: u64) {
        if line > self.all_to {
            self.beyond.insert(line);
        }
        while self.beyond.remove(&(self.all_to + 1)) {
            self.all_to += 1;
        }
    }

    fn contains(&self, line: u64) -> bool {
        line <= self.all_to || self.beyond.contains(&line)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> anyhow::Result<(Resume, String)> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(text.as_bytes())?;
        let resume = Resume::read(file.path())?;
        Ok((resume, std::fs::read_to_string(file.path())?))
    }

    fn result(line: u64, outcome: &str) -> String {
        format!("{{\"id\":{line},\"line\":{line},\"outcome\":\"{outcome}\",\"attempts\":2}}\n")
    }

    #[test]
    fn results_are_skipped_and_canceled_jobs_run_again() {
        let text = [result(2, "response"), result(1, "trap"), result(4, "canceled")].concat();
        let (resume, _) = read(&text).expect("results");
        let done: Vec<_> = (1..=5).map(|line| resume.is_done(line)).collect();
        assert_eq!(done, [true, true, false, false, false]);
        assert_eq!(resume.earlier_attempts(4), 2);
        assert_eq!(resume.earlier_attempts(5), 0);
        assert!(resume.done.beyond.is_empty());
    }

    #[test]
    fn a_last_line_that_broke_off_is_removed() {
        let whole = result(1, "response");
        for cut in 1..whole.len() {
            let (resume, left) = read(&(whole.clone() + &whole[..cut])).expect("results");
            assert_eq!(left, whole);
            assert!(resume.is_done(1));
        }
    }

    #[test]
    fn another_file_is_left_alone() {
        let error = read("not a result\n").expect_err("the line is not a result");
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
