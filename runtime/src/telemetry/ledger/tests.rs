//! A ledger adds up, however it ends and whatever happens to its files.

mod damage;
mod files;
mod recording;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::account::{Account, RunAccount, RunState};
use super::block::Ended;
use super::building::Building;
use super::totals::{Losses, Totals};
use super::*;

const DAY: Duration = Duration::from_hours(24);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn settings(dir: &Path) -> LedgerSettings {
    LedgerSettings { dir: dir.to_owned(), size: 1 << 20, age: DAY }
}

fn open(dir: &Path) -> Ledger {
    Ledger::open(&settings(dir)).expect("it opens")
}

fn read(dir: &Path) -> Account {
    Account::read(dir, &mut |_| ()).expect("it is readable")
}

fn usage(bytes: u64) -> Usage {
    let wall = Duration::from_micros(100);
    Usage { wall, cpu: wall / 2, peak_memory: 1 << 20, response_bytes: bytes, ..Usage::default() }
}

fn respond(ledger: &Ledger, function: &NameId, count: u64) {
    let ctx = Context::background();
    for _ in 0..count {
        ledger.record(function, &ctx, Instant::now(), &Outcome::Response, &usage(1));
    }
}

/// Waits until a condition holds.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until all accepted records are in the files.
fn written(ledger: &Ledger, dir: &Path, count: u64) {
    ledger.thread.unpark();
    wait("the records are written", || read(dir).present.invocations == count);
}

/// A copy of a ledger as it would be if its host were killed now.
fn killed(dir: &Path) -> TempDir {
    let copy = folder();
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    // The counts last: they are at least as new as the records.
    names.sort_by_key(|name| name == "counts");
    for name in names {
        fs::copy(dir.join(&name), copy.path().join(&name)).expect("it is copied");
    }
    copy
}

fn last(account: &Account) -> RunAccount {
    *account.runs.back().expect("a run")
}

fn file(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(format!("usage-{number:010}.log"))
}

/// Appends a block of records to a log.
fn append(log: &mut Log, records: u64) -> std::io::Result<()> {
    let names = Arc::new(Names::default());
    let id = names.register("hello");
    let mut building = Building::default();
    for number in 0..records {
        let record = Record {
            function: id.id,
            outcome: 0,
            cause: None,
            has_principal: false,
            ended: 0,
            amounts: Amounts::new(&usage(number)),
        };
        let principal = format!("principal {number}").into();
        building.push(&record, Some(principal), 0, &names.table());
    }
    log.append(&building.finish(log.start.run, log.written(), now()), &building.totals)
}
