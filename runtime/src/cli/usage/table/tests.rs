//! The text of a report.

use super::super::groups::{Dimension, Groups};
use super::*;
use crate::telemetry::ledger::account::{Account, RunAccount, RunState};
use crate::telemetry::ledger::block::{Carry, Ended};
use crate::telemetry::ledger::record::{Amounts, Invocation};
use crate::telemetry::ledger::totals::{Losses, Totals};

fn groups() -> Groups {
    let mut groups = Groups::new(&[Dimension::Function, Dimension::Principal]);
    let amounts = Amounts {
        wall: 2_500_000_000,
        cpu: 1_500_000,
        peak_memory: 64 << 20,
        request_bytes: 12,
        response_bytes: 3 << 19,
        ..Amounts::default()
    };
    for (function, principal, outcome) in
        [("hello", None, "response"), ("hello", Some("\u{1b}[2J"), "response"), ("", None, "trap")]
    {
        groups.add(&Invocation {
            function,
            version: None,
            principal,
            outcome,
            cause: None,
            ended: 0,
            amounts,
        });
    }
    groups
}

#[test]
fn columns_are_aligned_and_names_are_escaped() {
    let report = Report::new(&Account::default(), groups(), &(i64::MIN..i64::MAX));
    let expected = "\
FUNCTION   PRINCIPAL  INVOCATIONS  FAILURES  WALL    CPU  GB-SECONDS  IN     OUT
(unnamed)  -                    1         1  2.5s  1.5ms       0.168  12  1.5MiB
hello      -                    1         0  2.5s  1.5ms       0.168  12  1.5MiB
hello      \\u{1b}[2J            1         0  2.5s  1.5ms       0.168  12  1.5MiB
(total)                         3         1  7.5s  4.5ms       0.503  36  4.5MiB
";
    assert_eq!(table(&report), expected);
}

#[test]
fn what_is_missing_is_said() {
    let run = RunAccount {
        run: 1,
        started: Some(0),
        ended: Some(1_000_000),
        state: RunState::Ended(Ended::Killed),
        written: 10,
        present: 10,
        losses: Losses { killed: 2, buffer_full: 1, ..Losses::default() },
        unwritten: 0,
    };
    let uncertain = RunAccount {
        run: 2,
        state: RunState::Ended(Ended::Uncertain),
        losses: Losses::default(),
        ..run
    };
    let live = RunAccount {
        run: 3,
        ended: None,
        state: RunState::Live,
        losses: Losses::default(),
        unwritten: 7,
        ..run
    };
    let seven = Totals { invocations: 7, ..Totals::default() };
    let mut account = Account::default();
    account.removed = Some(Carry { at: 0, totals: seven, ..Carry::default() });
    (account.damaged, account.damaged_bytes) = (seven, 99);
    account.runs = [run, uncertain, live].into();
    account.earlier = Losses { write_failed: 5, ..Losses::default() };
    let text = table(&Report::new(&account, groups(), &(0..i64::MAX)));
    let notes: Vec<_> = text.lines().skip(5).collect();
    assert_eq!(
        notes,
        [
            "lost: at least 0 records of run 2, which ended before 1970-01-01T00:00:01Z (unknown)",
            "lost: 3 records of run 1, which ended before 1970-01-01T00:00:01Z (buffer-full 1, killed 2)",
            "lost: 5 records of earlier runs",
            "not written yet: 7 records of run 3",
            "removed: 7 records from before 1970-01-01T00:00:00Z",
            "damaged: 7 records can't be read, in 99 bytes",
        ]
    );
    // Runs of another time are not in the report.
    let later = Report::new(&account, groups(), &(2_000_000..i64::MAX));
    assert_eq!(later.runs.iter().map(|run| run.run).collect::<Vec<_>>(), [3]);
}

#[test]
fn names_are_shortened() {
    assert_eq!(cell(&"x".repeat(60)), "x".repeat(60));
    assert_eq!(cell(&"x".repeat(61)).chars().count(), 60);
}
