//! A ledger adds up when its files are cut off or damaged.

use super::*;

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
            respond(&ledger, &ledger.register("next", None), 2);
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
            respond(&ledger, &ledger.register("hello", None), 2);
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
