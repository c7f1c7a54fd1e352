//! Files are begun, removed and kept apart from those of others.

use super::*;

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
fn files_of_others_stay() {
    let dir = folder();
    fs::write(file(dir.path(), 5), "notes").expect("it is written");
    let ledger = open(dir.path());
    respond(&ledger, &ledger.register("hello", None), 1);
    drop(ledger);
    assert_eq!(fs::read(file(dir.path(), 5)).expect("it is there"), b"notes");
    let account = read(dir.path());
    assert_eq!((account.present.invocations, account.damaged_bytes), (1, 5));
}

#[test]
fn writing_resumes_when_it_can() {
    let dir = folder();
    let ledger = open(dir.path());
    let hello = ledger.register("hello", None);
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
