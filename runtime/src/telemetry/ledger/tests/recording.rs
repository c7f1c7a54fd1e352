//! Records are counted and written while threads push and a host is killed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::context::Done;

#[test]
fn a_record_has_what_the_invocation_used() {
    let dir = folder();
    let ledger = open(dir.path());
    let (hello, unnamed) = (ledger.register("hello", None), ledger.register("", None));
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
    let hello = ledger.register("hello", None);
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
    let hello = ledger.register("hello", None);
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
    let functions = ["a", "b", "c", "d"].map(|name| ledger.register(name, None));
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

#[test]
fn a_writer_without_work_sleeps_and_wakes_up() {
    let dir = folder();
    let ledger = open(dir.path());
    let hello = ledger.register("hello", None);
    for count in 1..=2 {
        wait("it is parked", || ledger.state.parked.load(Ordering::SeqCst));
        respond(&ledger, &hello, 1);
        wait("it is written", || read(dir.path()).present.invocations == count);
    }
}
