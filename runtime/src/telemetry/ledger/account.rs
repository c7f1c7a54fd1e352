//! The account of a ledger: what is in its files, what was removed, and what
//! was lost in which run.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::block::{Block, Carry, Ended, Head, RunEnd, RunStart};
use super::counts::{self, Counted};
use super::directory::Directory;
use super::record::Invocation;
use super::scan::{Part, Scan};
use super::totals::{Losses, Totals};
use super::{boot_id, now};
use crate::error::LedgerError;

/// The most runs that are listed. Those before are one sum.
const RUNS: usize = 100;

/// What a ledger has and lacks.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The sum of everything up to here, of removed files too.
    pub(super) sum: Carry,
    /// The begin of the first file, with the sums of those before.
    pub(crate) removed: Option<Carry>,
    /// The sum of the records in the files.
    pub(crate) present: Totals,
    /// The records that were written and are neither in the files nor removed
    /// with them. What a block at the end used is not known.
    pub(crate) damaged: Totals,
    /// The bytes that are no blocks, except at the end.
    pub(crate) damaged_bytes: u64,
    /// The bytes at the end that are no block: one that was not complete.
    pub(crate) torn_bytes: u64,
    /// The latest runs, in order.
    pub(crate) runs: VecDeque<RunAccount>,
    /// The sum of the runs before, also of those in removed files.
    pub(crate) earlier: Losses,
    /// Records that are missing before the next `Carry` block.
    gap: u64,
    /// A file was removed since the last `Carry` block.
    skipped: bool,
}

/// A run of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunAccount {
    pub(crate) run: u64,
    /// Microseconds since 1970, as far as they are known.
    pub(crate) started: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) state: RunState,
    /// The records that it wrote.
    pub(crate) written: u64,
    /// Those of them in the files.
    pub(crate) present: u64,
    pub(crate) losses: Losses,
    /// The records that a live host has not written yet.
    pub(crate) unwritten: u64,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunState {
    Live,
    Ended(Ended),
}

impl Account {
    /// Reads a ledger, and passes each record to `visit`. A host may write to
    /// it at the same time.
    pub(crate) fn read(
        dir: &Path,
        visit: &mut dyn FnMut(&Invocation<'_>),
    ) -> Result<Self, LedgerError> {
        let directory = Directory::open(dir)?;
        // In this order: a host that ends later has still written what is
        // missing here, and the counts are as new as the records or newer.
        let is_live = directory.is_locked()?;
        let mut account = Self::default();
        for number in directory.files()? {
            account.read_file(&directory, number, visit)?;
        }
        let counted = counts::read(dir).map_err(|source| directory.failed(source))?;
        account.latest(is_live, counted);
        account.damaged.invocations += account.gap;
        Ok(account)
    }

    /// Reads a file, and returns the position behind its last block. A file
    /// that was removed meanwhile is skipped; the next one has its sums.
    pub(super) fn read_file(
        &mut self,
        directory: &Directory,
        number: u64,
        visit: &mut dyn FnMut(&Invocation<'_>),
    ) -> Result<u64, LedgerError> {
        let path = directory.file(number);
        let failed = |source| LedgerError::Io { path: path.clone(), source };
        let mut scan = match Scan::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.skipped = true;
                return Ok(0);
            }
            scan => scan.map_err(failed)?,
        };
        while let Some(part) = scan.next().map_err(failed)? {
            // Damage before this is not at the end.
            self.damaged_bytes += std::mem::take(&mut self.torn_bytes);
            match part {
                Part::Block(block) => self.block(&block, visit),
                Part::Damaged(bytes) => self.torn_bytes = bytes,
            }
        }
        Ok(scan.valid)
    }

    fn block(&mut self, block: &Block<'_>, visit: &mut dyn FnMut(&Invocation<'_>)) {
        match &block.head {
            Head::Carry(carry) => self.carry(carry),
            Head::Records(head) => {
                self.enter(head.run, head.first);
                let mut totals = Totals::default();
                let read = block.records(|record| {
                    record.add_to(&mut totals);
                    visit(record);
                });
                self.present = self.present.plus(&totals);
                self.sum.totals = self.sum.totals.plus(&totals);
                self.sum.written = head.first.saturating_add(head.records.into());
                if let Some(run) = self.runs.back_mut() {
                    run.written = self.sum.written;
                    run.present += u64::from(read);
                }
            }
            Head::End(end) => self.end(end),
            Head::Run(_) => {}
        }
    }

    /// The sums of everything before a file.
    fn carry(&mut self, carry: &Carry) {
        let missing = carry.totals.minus(&self.sum.totals);
        match &mut self.removed {
            None => {
                self.removed = Some(*carry);
                self.earlier = carry.losses;
            }
            Some(removed) if self.skipped => removed.totals = removed.totals.plus(&missing),
            Some(_) => self.damaged = self.damaged.plus(&missing),
        }
        (self.sum, self.gap, self.skipped) = (*carry, 0, false);
    }

    /// A block of a run that has written `first` records before.
    fn enter(&mut self, run: u64, first: u64) {
        if self.sum.run != run {
            (self.sum.run, self.sum.written) = (run, 0);
        }
        // A block is missing.
        self.gap = self.gap.saturating_add(first.saturating_sub(self.sum.written));
        if self.runs.back().is_none_or(|last| last.run != run) {
            self.push(RunAccount {
                run,
                started: None,
                ended: None,
                state: RunState::Ended(Ended::Uncertain),
                written: first,
                present: 0,
                losses: Losses::default(),
                unwritten: 0,
            });
        }
    }

    fn push(&mut self, run: RunAccount) {
        self.runs.push_back(run);
        if self.runs.len() > RUNS
            && let Some(first) = self.runs.pop_front()
        {
            self.earlier = self.earlier.plus(&first.losses);
        }
    }

    pub(super) fn end(&mut self, end: &RunEnd) {
        self.enter(end.run, end.written);
        if let Some(run) = self.runs.back_mut() {
            run.started = Some(end.started);
            run.ended = Some(end.at);
            run.state = RunState::Ended(end.ended);
            run.written = end.written;
            run.losses = end.losses;
        }
        self.sum.losses = self.sum.losses.plus(&end.losses);
        self.sum.settled = end.run;
    }

    /// Completes the latest run, if its end is not recorded.
    fn latest(&mut self, is_live: bool, counted: Option<(RunStart, Counted)>) {
        let Some((start, counted)) = counted else { return };
        if start.run <= self.sum.settled || start.run < self.sum.run {
            return;
        }
        let end = self.unsettled(&start, &counted);
        self.enter(start.run, end.written);
        let Some(run) = self.runs.back_mut() else { return };
        run.started = Some(start.started);
        run.losses = end.losses;
        run.state = RunState::Ended(end.ended);
        if is_live {
            run.unwritten = std::mem::take(&mut run.losses.killed);
            run.state = RunState::Live;
        }
    }

    /// The end of a run that did not record it.
    pub(super) fn unsettled(&self, start: &RunStart, counted: &Counted) -> RunEnd {
        let written = if self.sum.run == start.run { self.sum.written } else { 0 };
        let Counted { accepted, buffer_full, write_failed } = *counted;
        let known = written.saturating_add(write_failed);
        let killed = accepted.saturating_sub(known);
        let is_certain = start.boot == boot_id() && known <= accepted;
        RunEnd {
            run: start.run,
            started: start.started,
            at: now(),
            written,
            losses: Losses { buffer_full, write_failed, killed },
            ended: if is_certain { Ended::Killed } else { Ended::Uncertain },
        }
    }

    /// The number of records that are missing in the files since the last
    /// `Carry` block.
    pub(super) fn gap(&self) -> u64 {
        self.gap
    }
}
