//! A ledger adds up, however it ends and whatever happens to its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use tempfile::TempDir;

use super::account::{Account, RunAccount, RunState};
use super::block::{Building, Ended};
use super::totals::{Losses, Totals};
use super::*;
use crate::context::Done;

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

#[test]
fn a_record_has_what_the_invocation_used() {
    let dir = folder();
    let ledger = open(dir.path());
    let (hello, unnamed) = (ledger.register("hello"), ledger.register(""));
    let ctx = Context::background().with_value(&PRINCIPAL, "ann".to_owned());
    let before = now();
    ledger.record(&hello, &ctx, Instant::now(), &Outcome::Response, &usage(5));
    let canceled = Outcome::Done(Done::Canceled, Cause::ClientDisconnected);
    let background = Context::background();
    ledger.record(&unnamed, &background, Instant::now(), &canceled, &Usage::default());
    drop(ledger);

    let mut records = Vec::new();
    let account = Account::read(dir.path(), &mut |record| {
        assert!((before - 1_000_000..=now() + 1_000_000).contains(&record.ended), "{record:?}");
        let names = [Some(record.function), record.principal, Some(record.outcome), record.cause];
        records.push((names.map(|name| name.map(str::to_owned)), record.amounts));
    });
    records.sort_by(|a, b| b.0.cmp(&a.0));
    let names = |names: [Option<&str>; 4]| names.map(|name| name.map(str::to_owned));
    assert_eq!(
        records,
        [
            (names([Some("hello"), Some("ann"), Some("response"), None]), Amounts::new(&usage(5))),
            (
                names([Some(""), None, Some("canceled"), Some("client-disconnected")]),
                Amounts::default()
            ),
        ]
    );
    let account = account.expect("it is readable");
    let run = last(&account);
    assert_eq!((run.run, run.state), (1, RunState::Ended(Ended::Complete)));
    assert_eq!((run.written, run.present, run.losses.sum(), run.unwritten), (2, 2, 0, 0));
    assert_eq!(account.present.failures, 1);
    assert_eq!(account.present.byte_nanos, (1 << 20) * 100_000);
}

#[test]
fn a_live_host_has_what_is_not_written() {
    let dir = folder();
    let ledger = open(dir.path());
    let hello = ledger.register("hello");
    respond(&ledger, &hello, 3);
    written(&ledger, dir.path(), 3);
    // The writer needs the names.
    let names = ledger.state.names.table();
    respond(&ledger, &hello, 4);
    let account = read(dir.path());
    let run = last(&account);
    assert_eq!((run.state, run.written, run.unwritten), (RunState::Live, 3, 4));
    assert_eq!(run.losses, Losses::default());
    let copy = killed(dir.path());
    drop(names);

    // The same files without their host.
    let account = read(copy.path());
    let run = last(&account);
    assert_eq!((run.state, run.written), (RunState::Ended(Ended::Killed), 3));
    assert_eq!(run.losses, Losses { killed: 4, ..Losses::default() });
    // The next run records that, and adds nothing to it.
    drop(open(copy.path()));
    drop(open(copy.path()));
    let account = read(copy.path());
    let runs: Vec<_> =
        account.runs.iter().map(|run| (run.run, run.written, run.losses.killed)).collect();
    assert_eq!(runs, [(1, 3, 4), (2, 0, 0), (3, 0, 0)]);
    assert_eq!(account.runs[0].state, RunState::Ended(Ended::Killed));
    drop(ledger);
    assert_eq!(last(&read(dir.path())).written, 7);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let dir = folder();
    let ledger = Ledger::with_buffers(&settings(dir.path()), 8).expect("it opens");
    let hello = ledger.register("hello");
    let cores = ledger.state.cores.iter().count() as u64;
    let names = ledger.state.names.table();
    // The writer may have taken one buffer already.
    let count = 100 + 8 * (cores + 1);
    respond(&ledger, &hello, count);
    drop(names);
    let metrics = ledger.metrics();
    let [("buffer-full", full), ("write-failed", 0)] = metrics.lost[..] else {
        panic!("{metrics:?}")
    };
    assert!(full >= 100, "{full}");
    assert_eq!(metrics.records + full, count);
    drop(ledger);
    let run = last(&read(dir.path()));
    assert_eq!((run.written, run.losses.buffer_full), (metrics.records, full));
    assert_eq!(run.present, run.written);
}

#[test]
fn threads_that_push_while_it_writes_and_is_killed_lose_nothing_uncounted() {
    let dir = folder();
    let ledger = Ledger::with_buffers(&settings(dir.path()), 64).expect("it opens");
    let functions = ["a", "b", "c", "d"].map(|name| ledger.register(name));
    let running = AtomicUsize::new(functions.len());
    thread::scope(|scope| {
        for function in &functions {
            scope.spawn(|| {
                for _ in 0..200 {
                    respond(&ledger, function, 20);
                    ledger.thread.unpark();
                    thread::yield_now();
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            let copy = killed(dir.path());
            let run = last(&read(copy.path()));
            assert_eq!((run.run, run.state), (1, RunState::Ended(Ended::Killed)));
            assert_eq!(run.present, run.written);
            let before = (run.written, run.losses);
            drop(open(copy.path()));
            let run = read(copy.path()).runs[0];
            assert_eq!((run.written, run.losses, run.present), (before.0, before.1, run.written));
        }
    });
    let metrics = ledger.metrics();
    drop(ledger);
    let mut counts = BTreeMap::<String, u64>::new();
    let count = |name: &str, counts: &mut BTreeMap<String, u64>| {
        *counts.entry(name.to_owned()).or_default() += 1;
    };
    let account = Account::read(dir.path(), &mut |record| count(record.function, &mut counts));
    let run = last(&account.expect("it is readable"));
    assert_eq!(run.written + run.losses.buffer_full, 4 * 200 * 20);
    assert_eq!(run.written, metrics.records);
    assert_eq!(counts.len(), 4);
    assert_eq!(counts.values().sum::<u64>(), run.written);
}

/// A ledger that was killed with four blocks of ten records, and five more. The
/// content of its file.
fn four_blocks() -> (TempDir, Vec<u8>) {
    let dir = folder();
    let mut log = Log::open(&settings(dir.path())).expect("it opens");
    let counts = Counts::create(dir.path(), &log.start, 1).expect("it is mapped");
    for _ in 0..45 {
        counts.slot(0).expect("there is one").accept();
    }
    for _ in 0..4 {
        append(&mut log, 10).expect("it is written");
    }
    let content = fs::read(file(dir.path(), 1)).expect("a file");
    (dir, content)
}

#[test]
fn a_file_that_ends_at_any_byte_adds_up() {
    let (dir, content) = four_blocks();
    let path = file(dir.path(), 1);
    let begin = block::length(&content).expect("a block");
    let mut former = 0;
    for len in 0..=content.len() {
        fs::write(&path, &content[..len]).expect("it is written");
        let account = read(dir.path());
        let run = last(&account);
        assert_eq!(run.written + run.losses.killed, 45, "{len}");
        assert_eq!(run.present, run.written, "{len}");
        assert_eq!(account.damaged, Totals::default());
        assert!(run.present >= former);
        former = run.present;
        // A host continues the file. Every start creates the counts, so only
        // some lengths are tried.
        if len % 61 == 0 {
            let copy = killed(dir.path());
            let ledger = open(copy.path());
            respond(&ledger, &ledger.register("next"), 2);
            drop(ledger);
            let account = read(copy.path());
            // A file that does not begin with a block is left as it is.
            let left = if len < begin { len as u64 } else { 0 };
            assert_eq!((account.torn_bytes, account.damaged_bytes), (0, left), "{len}");
            assert_eq!(account.present.invocations, run.present + 2, "{len}");
            assert_eq!(account.runs[0].losses, run.losses);
        }
    }
    assert_eq!(former, 40);
}

#[test]
fn damage_loses_only_its_own_block() {
    let (dir, content) = four_blocks();
    let path = file(dir.path(), 1);
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).expect("it is written");
        let account = read(dir.path());
        let run = last(&account);
        assert!([30, 40].contains(&run.present), "{at}: {run:?}");
        let unreadable = account.damaged.invocations;
        assert_eq!(run.present + unreadable + run.losses.killed, 45, "{at}");
        assert!(account.damaged_bytes + account.torn_bytes > 0, "{at}");
    }
    // A host that continues knows the number, and so do all that follow.
    let mut damaged = content.clone();
    damaged[content.len() / 2] ^= 1;
    fs::write(&path, &damaged).expect("it is written");
    for _ in 0..2 {
        drop(open(dir.path()));
        let account = read(dir.path());
        assert_eq!((account.present.invocations, account.damaged.invocations), (30, 10));
    }
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
            principal: Some(format!("principal {number}").into()),
            ended: Instant::now(),
            amounts: Amounts::new(&usage(number)),
        };
        building.push(record, 0, &names.table());
    }
    log.append(&building.finish(log.start.run, log.written(), now()), &building.totals)
}

#[test]
fn old_files_are_removed_and_their_sums_stay() {
    let dir = folder();
    let mut log = Log::open(&settings(dir.path())).expect("it opens");
    let mut most = 0;
    for _ in 0..100 {
        append(&mut log, 1_000).expect("it is written");
        let sizes = fs::read_dir(dir.path())
            .expect("a directory")
            .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len());
        most = most.max(sizes.sum());
    }
    log.finish(Losses::default()).expect("it is written");
    assert!((700 << 10..=1 << 20).contains(&most), "{most}");
    drop(log);
    let account = read(dir.path());
    let removed = account.removed.expect("there is a first file").totals;
    let sum = removed.plus(&account.present);
    assert!(removed.invocations > 0 && account.present.invocations > 10_000);
    assert_eq!(sum.invocations, 100_000);
    assert_eq!(sum.response_bytes, 100 * (0..1_000).sum::<u64>());
    assert_eq!(sum.wall, 100_000 * Duration::from_micros(100));
    assert_eq!(account.damaged, Totals::default());
    let run = last(&account);
    assert_eq!((run.written, run.present), (100_000, account.present.invocations));

    // What an operator deletes in the middle is missing, and no more.
    let numbers: Vec<_> = (1..100).filter(|number| file(dir.path(), *number).exists()).collect();
    let before = account.present;
    fs::remove_file(file(dir.path(), numbers[2])).expect("it exists");
    let account = read(dir.path());
    assert_eq!(account.damaged.plus(&account.present), before);
    assert!(account.damaged.invocations > 0);
}

#[test]
fn files_are_removed_at_their_age() {
    let dir = folder();
    let settings = LedgerSettings { age: Duration::ZERO, ..settings(dir.path()) };
    let mut log = Log::open(&settings).expect("it opens");
    append(&mut log, 3).expect("it is written");
    wait("the file is removed", || {
        log.maintain().expect("no error");
        !file(dir.path(), 1).exists()
    });
    let account = read(dir.path());
    assert_eq!(account.present, Totals::default());
    assert_eq!(account.removed.expect("the sums stay").totals.invocations, 3);
    // An empty file is not replaced.
    let number = log.bytes();
    log.maintain().expect("no error");
    assert_eq!((log.bytes(), file(dir.path(), 3).exists()), (number, false));
}

#[test]
fn a_host_that_was_killed_while_it_began_a_file_continues() {
    for torn in [0, 20] {
        let dir = folder();
        let mut log = Log::open(&settings(dir.path())).expect("it opens");
        append(&mut log, 3).expect("it is written");
        drop(log);
        let begin = fs::read(file(dir.path(), 1)).expect("a file");
        fs::write(file(dir.path(), 2), &begin[..torn]).expect("it is written");
        for _ in 0..2 {
            let ledger = open(dir.path());
            respond(&ledger, &ledger.register("hello"), 2);
            drop(ledger);
        }
        let account = read(dir.path());
        assert_eq!(account.present.invocations, 7);
        assert_eq!(account.sum.totals, account.present);
        let runs: Vec<_> = account.runs.iter().map(|run| (run.run, run.written)).collect();
        assert_eq!(runs, [(1, 3), (2, 2), (3, 2)]);
    }
}

#[test]
fn files_of_others_stay() {
    let dir = folder();
    fs::write(file(dir.path(), 5), "notes").expect("it is written");
    let ledger = open(dir.path());
    respond(&ledger, &ledger.register("hello"), 1);
    drop(ledger);
    assert_eq!(fs::read(file(dir.path(), 5)).expect("it is there"), b"notes");
    let account = read(dir.path());
    assert_eq!((account.present.invocations, account.damaged_bytes), (1, 5));
}

#[test]
fn a_run_without_counts_is_uncertain() {
    let dir = folder();
    let mut log = Log::open(&settings(dir.path())).expect("it opens");
    append(&mut log, 3).expect("it is written");
    drop(log);
    drop(open(dir.path()));
    let account = read(dir.path());
    let runs: Vec<_> = account.runs.iter().map(|run| (run.run, run.state)).collect();
    let (uncertain, complete) = (Ended::Uncertain, Ended::Complete);
    assert_eq!(runs, [(1, RunState::Ended(uncertain)), (2, RunState::Ended(complete))]);
}

#[test]
fn writing_resumes_when_it_can() {
    let dir = folder();
    let ledger = open(dir.path());
    let hello = ledger.register("hello");
    respond(&ledger, &hello, 1);
    written(&ledger, dir.path(), 1);
    fs::remove_dir_all(dir.path()).expect("it is removed");
    let failed = || ledger.metrics().lost[1].1;
    wait("a failure is counted", || {
        respond(&ledger, &hello, 1);
        ledger.thread.unpark();
        failed() > 0
    });
    fs::create_dir(dir.path()).expect("it is created");
    wait("it is written again", || {
        respond(&ledger, &hello, 1);
        ledger.thread.unpark();
        file(dir.path(), 2).exists()
    });
    let (accepted, failed) = (ledger.metrics().records, failed());
    drop(ledger);
    let account = read(dir.path());
    let run = last(&account);
    assert_eq!(run.losses, Losses { write_failed: failed, ..Losses::default() });
    assert_eq!(run.written + failed, accepted);
    // The sums of the deleted file are in the new one.
    let removed = account.removed.expect("there are sums").totals.invocations;
    assert_eq!(removed + run.present, run.written);
}

#[test]
fn each_host_has_a_directory_of_its_own() {
    let dir = folder();
    let ledger = open(dir.path());
    let error = Ledger::open(&settings(dir.path())).expect_err("it is in use").to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(ledger);
    drop(open(dir.path()));
    let error = Account::read(folder().path(), &mut |_| ()).expect_err("it is empty").to_string();
    assert!(error.contains("is no usage ledger"), "{error}");
    let missing = dir.path().join("missing");
    let error = Account::read(&missing, &mut |_| ()).expect_err("it is missing").to_string();
    assert!(error.contains("missing: No such file"), "{error}");
}

#[test]
fn a_writer_without_work_sleeps_and_wakes_up() {
    let dir = folder();
    let ledger = open(dir.path());
    let hello = ledger.register("hello");
    for count in 1..=2 {
        wait("it is parked", || ledger.state.parked.load(Ordering::SeqCst));
        respond(&ledger, &hello, 1);
        wait("it is written", || read(dir.path()).present.invocations == count);
    }
}
