//! Records are read as they were written, whatever they hold.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::telemetry::ledger::block::{Block, LONGEST, PREFIX, length};
use crate::telemetry::ledger::names::Names;
use crate::telemetry::ledger::record::{Amounts, Invocation};

const RECORD: Record = Record {
    function: 0,
    outcome: 0,
    cause: None,
    has_principal: false,
    ended: 0,
    amounts: NOTHING,
};

const NOTHING: Amounts = Amounts {
    wall: 0,
    cpu: 0,
    peak_memory: 0,
    request_bytes: 0,
    response_bytes: 0,
    calls: 0,
    fetches: 0,
};

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
        let functions = ["", "f", "übung@12ab"];
        let _ids = functions.map(|name| names.register(name));
        let mut building = Building::default();
        // A block that was written before leaves nothing behind.
        let former = Record { function: 1, ..RECORD };
        building.push(&former, Some("before".into()), 0, &names.table());
        building.clear();
        let mut expected = Vec::new();
        for (function, principal, outcome, cause, ended, amounts) in &records {
            let record = Record {
                function: *function,
                outcome: *outcome,
                cause: *cause,
                amounts: *amounts,
                ..RECORD
            };
            let name = principal.as_deref().map(Into::into);
            building.push(&record, name, (*ended).into(), &names.table());
            let (name, version) = [("", None), ("f", None), ("übung", Some("12ab"))][*function as usize];
            expected.push(format!("{:?}", Invocation {
                function: name,
                version,
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
}

#[test]
fn each_name_is_written_once() {
    let names = Arc::new(Names::default());
    let _id = names.register("thumbnail");
    let mut building = Building::default();
    for _ in 0..100 {
        building.push(&RECORD, Some("alice".into()), 0, &names.table());
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
        building.push(&RECORD, Some(principal.into()), i64::MIN, &names.table());
    }
    let block = building.finish(u64::MAX, u64::MAX, i64::MIN);
    assert!(block.len() <= PREFIX + LONGEST, "{}", block.len());
    assert_eq!(read(&block).len() as u32, building.records);
}

#[test]
fn the_largest_numbers_are_recorded_and_summed() {
    let names = Arc::new(Names::default());
    let _id = names.register("f");
    let (max, most) = (u64::MAX, u32::MAX);
    let [wall, cpu, peak_memory, request_bytes, response_bytes] = [max; 5];
    let (calls, fetches) = (most, most);
    let amounts = Amounts { wall, cpu, peak_memory, request_bytes, response_bytes, calls, fetches };
    let mut building = Building::default();
    building.push(&Record { outcome: 1, amounts, ..RECORD }, None, i64::MIN, &names.table());
    let block = building.finish(1, 0, 0);
    assert_eq!(read(&block).len(), 1);
    let totals = building.totals;
    assert_eq!((totals.invocations, totals.failures), (1, 1));
    assert_eq!([totals.wall, totals.cpu], [Duration::from_nanos(max); 2]);
    assert_eq!(totals.byte_nanos, u128::from(max) * u128::from(max));
    assert_eq!([totals.request_bytes, totals.response_bytes], [max; 2]);
    assert_eq!([totals.calls, totals.fetches], [u64::from(most); 2]);
    // Their sum saturates.
    for _ in 0..2 {
        building.push(&Record { amounts, ..RECORD }, None, 0, &names.table());
    }
    let totals = building.totals;
    assert_eq!((totals.byte_nanos, totals.response_bytes), (u128::MAX, max));
    assert_eq!((totals.invocations, totals.failures), (3, 1));
    assert_eq!(totals.wall, 3 * Duration::from_nanos(max));
}

/// Hosts and `hourglass usage` of other versions read the same files.
#[test]
fn the_encoding_does_not_change() {
    let names = Arc::new(Names::default());
    let _ids = ["hello", "übung"].map(|name| names.register(name));
    let amounts = Amounts {
        wall: 1_234_567,
        cpu: 127,
        peak_memory: 1 << 20,
        request_bytes: 128,
        response_bytes: u64::MAX,
        calls: u32::MAX,
        fetches: 1,
    };
    let response = Record { amounts, ..RECORD };
    let draining = Record { function: 1, outcome: 3, cause: Some(2), ..RECORD };
    let mut building = Building::default();
    building.push(&response, Some("ann".into()), -5, &names.table());
    building.push(&draining, None, 300, &names.table());
    building.push(&response, Some("ann".into()), i64::MIN, &names.table());
    let block = building.finish(7, 300, -1);
    let expected = [
        // The prefix and the head.
        "ff484755534501fe900000001bca9af5",
        "0107ac02010603",
        // The names.
        "0568656c6c6f",
        "03616e6e",
        "08726573706f6e7365",
        "06c3bc62756e67",
        "08647261696e696e67",
        "13636c69656e742d646973636f6e6e6563746564",
        // The records.
        "010203000987ad4b7f8080408001ffffffffffffffffff01ffffffff0f01",
        "04000506d80400000000000000",
        "01020300ffffffffffffffffff0187ad4b7f8080408001ffffffffffffffffff01ffffffff0f01",
    ];
    let hex: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.concat());
}
