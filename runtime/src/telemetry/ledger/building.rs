//! A block of records that is being built.

use std::collections::HashMap;

use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::block::{Head, RecordsHead, sealed};
use super::names::Table;
use super::record::{Entry, Record};
use super::totals::Totals;
use crate::context::Cause;
use crate::outcome::Outcome;

/// A block of records is complete once it has this many bytes.
const COMPLETE: usize = 48 << 10;

/// A block of records that is not complete. It has each name once: at a position
/// from 1, which is 0 until a record has the name.
#[derive(Debug, Default)]
pub(super) struct Building {
    names: BlockNames,
    /// By the ids of the functions.
    functions: Vec<u32>,
    outcomes: [u32; Outcome::NAMES.len()],
    causes: [u32; Cause::NAMES.len()],
    principals: HashMap<Box<str>, u32>,
    entries: Vec<u8>,
    pub(super) records: u32,
    pub(super) totals: Totals,
}

/// The names of a block.
#[derive(Debug, Default)]
struct BlockNames {
    encoded: Vec<u8>,
    count: u32,
}

/// Appends what postcard encodes: mostly numbers of a few bytes, for which a
/// call of `memcpy` takes longer than a loop.
struct Append<'a>(&'a mut Vec<u8>);

impl Building {
    /// Adds a record that ended at `ended`, in microseconds from the time of the
    /// block.
    pub(super) fn push(
        &mut self,
        record: &Record,
        principal: Option<Box<str>>,
        ended: i64,
        table: &Table,
    ) {
        let Self { names, functions, outcomes, causes, principals, .. } = self;
        if functions.len() < table.names.len() {
            functions.resize(table.names.len(), 0);
        }
        let function = names.position(functions, &table.names, record.function as usize);
        let principal = principal.map_or(0, |name| match principals.get(&name) {
            Some(position) => *position,
            None => {
                let position = names.add(&name);
                principals.insert(name, position);
                position
            }
        });
        let outcome = names.position(outcomes, &Outcome::NAMES, record.outcome.into());
        let cause = record.cause.map_or(usize::MAX, usize::from);
        let cause = names.position(causes, &Cause::NAMES, cause);
        let amounts = record.amounts;
        let entry = Entry { function, principal, outcome, cause, ended, amounts };
        append(&mut self.entries, &entry);
        self.records += 1;
        self.totals.add(&amounts, record.outcome != 0);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.names.encoded.len() + self.entries.len() >= COMPLETE
    }

    /// The block, as the one of a run after `first` records.
    pub(super) fn finish(&self, run: u64, first: u64, at: i64) -> Vec<u8> {
        let Self { names, entries, records, .. } = self;
        let head = RecordsHead { run, first, at, names: names.count, records: *records };
        sealed(&Head::Records(head), &names.encoded, entries)
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        let Self { names, functions, principals, entries, .. } = self;
        names.encoded.clear();
        functions.clear();
        principals.clear();
        entries.clear();
        let names = BlockNames { encoded: std::mem::take(&mut names.encoded), count: 0 };
        let (functions, entries) = (std::mem::take(functions), std::mem::take(entries));
        let principals = std::mem::take(principals);
        *self = Self { names, functions, principals, entries, ..Self::default() };
    }
}

impl BlockNames {
    /// The position of the name with this index in `all`, which is added once;
    /// 0 if there is no such name.
    fn position(&mut self, known: &mut [u32], all: &[impl AsRef<str>], index: usize) -> u32 {
        let (Some(position), Some(name)) = (known.get_mut(index), all.get(index)) else { return 0 };
        if *position == 0 {
            *position = self.add(name.as_ref());
        }
        *position
    }

    /// Adds a name, and returns its position. The first one is at 1.
    fn add(&mut self, name: &str) -> u32 {
        append(&mut self.encoded, name);
        self.count += 1;
        self.count
    }
}

/// Appends a value in the encoding of postcard.
fn append(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Neither names nor entries have anything that can't be encoded.
    let _ = postcard::serialize_with_flavor(value, Append(bytes));
}

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        bytes.iter().for_each(|byte| self.0.push(*byte));
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
