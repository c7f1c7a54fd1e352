//! Blocks are read as they were written, whatever they hold.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::telemetry::ledger::names::Names;
use crate::telemetry::ledger::record::Amounts;

/// The records of a block as text.
fn read(block: &[u8]) -> Vec<String> {
    let block = Block::decode(block).expect("a valid block");
    let mut records = Vec::new();
    let count = block.records(|record| records.push(format!("{record:?}")));
    assert_eq!(count as usize, records.len());
    records
}

fn amounts() -> impl Strategy<Value = Amounts> {
    (any::<[u64; 5]>(), any::<[u32; 2]>()).prop_map(|(numbers, [calls, fetches])| {
        let [wall, cpu, peak_memory, request_bytes, response_bytes] = numbers;
        Amounts { wall, cpu, peak_memory, request_bytes, response_bytes, calls, fetches }
    })
}

proptest! {
    #[test]
    fn records_are_read_as_they_were_written(
        records in prop::collection::vec(
            (0..3_u32, prop::option::of(".{0,20}"), 0..17_u8, prop::option::of(0..8_u8), any::<i32>(), amounts()),
            0..50,
        ),
        first in any::<u64>(),
    ) {
        let names = Arc::new(Names::default());
        let functions = ["", "f", "übung"];
        let _ids = functions.map(|name| names.register(name));
        let mut building = Building::default();
        // A block that was written before leaves nothing behind.
        building.push(record(1, Some("before")), 0, &names.table());
        building.clear();
        let mut expected = Vec::new();
        for (function, principal, outcome, cause, ended, amounts) in &records {
            let record = Record {
                function: *function,
                outcome: *outcome,
                cause: *cause,
                principal: principal.as_deref().map(Into::into),
                ended: Instant::now(),
                amounts: *amounts,
            };
            building.push(record, (*ended).into(), &names.table());
            expected.push(format!("{:?}", Invocation {
                function: functions[*function as usize],
                principal: principal.as_deref(),
                outcome: Outcome::NAMES[usize::from(*outcome)],
                cause: cause.map(|cause| Cause::NAMES[usize::from(cause)]),
                ended: i64::from(*ended) + 1_000,
                amounts: *amounts,
            }));
        }
        let block = building.finish(7, first, 1_000);
        prop_assert_eq!(length(&block), Some(block.len()));
        prop_assert_eq!(read(&block), expected);
    }

    #[test]
    fn nothing_else_is_a_block(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Block::decode(&bytes).is_none());
        prop_assert!(find(&bytes) <= bytes.len());
    }
}

fn record(function: u32, principal: Option<&str>) -> Record {
    Record {
        function,
        outcome: 0,
        cause: None,
        principal: principal.map(Into::into),
        ended: Instant::now(),
        amounts: Amounts::default(),
    }
}

#[test]
fn each_name_is_written_once() {
    let names = Arc::new(Names::default());
    let _id = names.register("thumbnail");
    let mut building = Building::default();
    for _ in 0..100 {
        building.push(record(0, Some("alice")), 0, &names.table());
    }
    let block = building.finish(1, 0, 0);
    for name in ["thumbnail", "alice", "response"] {
        let count = block.windows(name.len()).filter(|part| *part == name.as_bytes()).count();
        assert_eq!(count, 1, "{name}");
    }
    // A record without large numbers takes little.
    assert!(block.len() < 100 * 16, "{}", block.len());
}

#[test]
fn a_block_is_complete_before_it_is_too_long() {
    let names = Arc::new(Names::default());
    let _id = names.register(&"f".repeat(64));
    let mut building = Building::default();
    while !building.is_complete() {
        let principal = format!("{:0256}", building.records);
        building.push(record(0, Some(&principal)), i64::MIN, &names.table());
    }
    let block = building.finish(u64::MAX, u64::MAX, i64::MIN);
    assert!(block.len() <= PREFIX + LONGEST, "{}", block.len());
    assert_eq!(read(&block).len() as u32, building.records);
}

#[test]
fn the_largest_values_fit() {
    let (max, duration) = (u64::MAX, std::time::Duration::MAX);
    let totals = Totals {
        invocations: max,
        failures: max,
        wall: duration,
        cpu: duration,
        byte_nanos: u128::MAX,
        request_bytes: max,
        response_bytes: max,
        calls: max,
        fetches: max,
    };
    let losses = Losses { buffer_full: max, write_failed: max, killed: max };
    let (at, run) = (i64::MIN, max);
    let ended = Ended::Uncertain;
    for head in [
        Head::Carry(Carry { at, totals, losses, run, written: max, settled: max }),
        Head::End(RunEnd { run, started: at, at, written: max, losses, ended }),
        Head::Run(RunStart { run, started: at, boot: u128::MAX, pid: u32::MAX }),
    ] {
        let block = encode(&head);
        assert_eq!(Block::decode(&block).expect("a valid block").head, head);
    }
    let names = Arc::new(Names::default());
    let _id = names.register("f");
    let amounts = Amounts {
        wall: max,
        cpu: max,
        peak_memory: max,
        request_bytes: max,
        response_bytes: max,
        calls: u32::MAX,
        fetches: u32::MAX,
    };
    let mut building = Building::default();
    building.push(Record { amounts, ..record(0, None) }, i64::MIN, &names.table());
    assert_eq!(building.records, 1);
    assert_eq!(building.totals.byte_nanos, u128::from(max) * u128::from(max));
}
