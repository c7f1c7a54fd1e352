//! Blocks: what the files of a ledger consist of. Each is readable without any
//! other, so that damage never reaches further than the block that has it.
//!
//! # Format
//! A block begins with 16 bytes: [`MAGIC`], the length of its content and a
//! CRC-32 of length and content, both in little endian. The content is in the
//! encoding of postcard: a [`Head`], and after that of records the names that
//! they use and the records. The name of a function ends with [`VERSION`] and its
//! version, if it has one.
//!
//! A reader that meets damage looks for the next block by its first bytes. They
//! are no UTF-8, so no name in a damaged block imitates them.

use serde::{Deserialize, Serialize};

use super::record::{Entry, Invocation, VERSION};
use super::totals::{Losses, Totals};

/// The first bytes of each block. The last one but one is the format's version.
const MAGIC: [u8; 8] = *b"\xffHGUSE\x01\xfe";

/// The length of what precedes the content.
pub(super) const PREFIX: usize = 16;

/// The longest content that a reader accepts.
pub(super) const LONGEST: usize = 64 << 10;

/// The longest encoded head.
const HEAD: usize = 256;

/// What a block is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Head {
    Carry(Carry),
    Records(RecordsHead),
    End(RunEnd),
    /// The first block of the file with the counts.
    Run(RunStart),
}

/// The first block of a file: the sums of everything before it. They stay when
/// the former files are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carry {
    /// When the file was begun, in microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) totals: Totals,
    pub(crate) losses: Losses,
    /// The run that began the file, and the number of records it had written.
    pub(crate) run: u64,
    pub(crate) written: u64,
    /// The last run whose end is recorded before.
    pub(crate) settled: u64,
}

/// The head of a block of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordsHead {
    pub(super) run: u64,
    /// The number of records that the run had written before.
    pub(super) first: u64,
    /// The time that those of the records are relative to.
    pub(super) at: i64,
    pub(super) names: u32,
    pub(super) records: u32,
}

/// The account of a run, written at its end or by the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunEnd {
    pub(crate) run: u64,
    pub(crate) started: i64,
    /// When this was written.
    pub(crate) at: i64,
    pub(crate) written: u64,
    pub(crate) losses: Losses,
    pub(crate) ended: Ended,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    /// It wrote everything.
    Complete,
    /// The process ended without writing everything. The losses are exact.
    Killed,
    /// The machine ended, or its counts are missing. The losses are the least.
    Uncertain,
}

/// The begin of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunStart {
    pub(crate) run: u64,
    pub(crate) started: i64,
    /// The id of the machine's boot.
    pub(crate) boot: u128,
    pub(crate) pid: u32,
}

/// A valid block.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) head: Head,
    rest: &'a [u8],
}

/// Encodes a block that has only a head.
pub(super) fn encode(head: &Head) -> Vec<u8> {
    sealed(head, &[], &[])
}

/// A block from its parts.
pub(super) fn sealed(head: &Head, names: &[u8], entries: &[u8]) -> Vec<u8> {
    let mut buffer = [0; HEAD];
    // It fits, which a test checks with the largest values.
    let head = postcard::to_slice(head, &mut buffer).map_or(&[][..], |head| head);
    let len = head.len() + names.len() + entries.len();
    let mut block = Vec::with_capacity(PREFIX + len);
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    block.extend_from_slice(&MAGIC);
    block.extend_from_slice(&len);
    block.extend_from_slice(&[0; 4]);
    for part in [head, names, entries] {
        block.extend_from_slice(part);
    }
    let sum = checksum(len, block.get(PREFIX..).unwrap_or_default());
    if let Some(place) = block.get_mut(12..PREFIX) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    block
}

fn checksum(len: [u8; 4], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len);
    hasher.update(content);
    hasher.finalize()
}

/// The length of a whole block, from its prefix; `None` if it is no prefix.
pub(super) fn length(prefix: &[u8]) -> Option<usize> {
    let (magic, rest) = prefix.split_first_chunk::<8>()?;
    let len = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    (*magic == MAGIC && len <= LONGEST).then_some(PREFIX + len)
}

/// The position of the first bytes that may be a block's, which may be cut off
/// at the end.
pub(super) fn find(bytes: &[u8]) -> usize {
    let is_start = |at: &usize| {
        let rest = bytes.get(*at..).unwrap_or_default();
        let len = rest.len().min(MAGIC.len());
        MAGIC.get(..len) == rest.get(..len)
    };
    (0..bytes.len()).find(is_start).unwrap_or(bytes.len())
}

impl<'a> Block<'a> {
    /// Decodes a whole block; `None` if it is damaged.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        if length(bytes)? != bytes.len() {
            return None;
        }
        let (prefix, content) = bytes.split_first_chunk::<PREFIX>()?;
        let [.., l0, l1, l2, l3, s0, s1, s2, s3] = *prefix;
        if checksum([l0, l1, l2, l3], content) != u32::from_le_bytes([s0, s1, s2, s3]) {
            return None;
        }
        let (head, rest) = postcard::take_from_bytes(content).ok()?;
        Some(Self { head, rest })
    }

    /// Passes each record to `visit`, and returns how many there are.
    pub(super) fn records(&self, mut visit: impl FnMut(&Invocation<'_>)) -> u32 {
        let Head::Records(head) = &self.head else { return 0 };
        let (mut rest, mut names, mut read) = (self.rest, Vec::new(), 0);
        for _ in 0..head.names {
            let Ok((name, after)) = postcard::take_from_bytes::<&str>(rest) else { return read };
            names.push(name);
            rest = after;
        }
        let name = |index: u32| names.get((index as usize).checked_sub(1)?).copied();
        for _ in 0..head.records {
            let Ok((entry, after)) = postcard::take_from_bytes::<Entry>(rest) else { return read };
            let named = name(entry.function).unwrap_or_default();
            let (function, version) = named.split_once(VERSION).unzip();
            visit(&Invocation {
                function: function.unwrap_or(named),
                version,
                principal: name(entry.principal),
                outcome: name(entry.outcome).unwrap_or_default(),
                cause: name(entry.cause),
                ended: head.at.saturating_add(entry.ended),
                amounts: entry.amounts,
            });
            (rest, read) = (after, read + 1);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_else_is_a_block(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Block::decode(&bytes).is_none());
            prop_assert!(find(&bytes) <= bytes.len());
        }
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
    }
}
