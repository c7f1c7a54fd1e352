//! The files that a host appends to: blocks at a known position, new files, and
//! the removal of old ones.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::block::{self, Carry, Ended, Head, RunEnd, RunStart};
use super::counts;
use super::directory::Directory;
use super::totals::{Losses, Totals};
use super::{LedgerSettings, boot_id, now};
use crate::error::LedgerError;

/// A ledger consists of about this many files, so that little is removed at
/// once.
const FILES: u64 = 64;

/// The limits on the size of a file. A host reads the last one when it starts.
const SMALLEST: u64 = 128 << 10;
const LARGEST: u64 = 64 << 20;

/// The files of a ledger, as the host that writes them sees them.
#[derive(Debug)]
pub(super) struct Log {
    directory: Directory,
    /// Held for its lock.
    _lock: File,
    limits: Limits,
    /// The file that is appended to, if it could be created.
    current: Option<Current>,
    /// The number of the latest file.
    number: u64,
    /// The files before it, oldest first.
    closed: VecDeque<Closed>,
    /// The sum of everything that was written.
    sum: Carry,
    pub(super) start: RunStart,
}

#[derive(Debug)]
struct Limits {
    /// The size of all files.
    total: u64,
    /// The size of one file.
    file: u64,
    age: Duration,
}

#[derive(Debug)]
struct Current {
    file: File,
    /// The position of the next block.
    end: u64,
    /// The length of the first block.
    begin: u64,
    since: SystemTime,
}

#[derive(Debug)]
struct Closed {
    number: u64,
    bytes: u64,
    /// Its last change.
    at: SystemTime,
}

impl Log {
    /// Opens the files for a new run, and records the end of the former one if
    /// it did not.
    pub(super) fn open(settings: &LedgerSettings) -> Result<Self, LedgerError> {
        let directory = Directory::create(&settings.dir)?;
        let lock = directory.lock()?;
        let failed = |source| directory.failed(source);
        let files = directory.files()?;
        let (account, last) = latest(&directory, &files)?;
        let sum = account.sum;
        // Counts that are older than the files are of no use.
        let counted = counts::read(&directory.path).map_err(failed)?;
        let counted = counted.filter(|(start, _)| start.run >= sum.run);
        let former = counted.map_or(0, |(start, _)| start.run);
        let run = former.max(sum.run).max(sum.settled) + 1;
        let start = RunStart { run, started: now(), boot: boot_id(), pid: std::process::id() };
        let mut log = Self {
            _lock: lock,
            limits: Limits::new(settings),
            current: None,
            number: files.last().copied().unwrap_or(0),
            closed: VecDeque::new(),
            sum,
            start,
            directory,
        };
        log.sum.totals.invocations = log.sum.totals.invocations.saturating_add(account.gap());
        log.adopt(&files, last).map_err(|source| log.directory.failed(source))?;
        let unsettled = match counted {
            Some((start, counted)) => Some(account.unsettled(&start, &counted)),
            // The counts are missing, so that a run of the files has no end.
            None if sum.run > sum.settled => Some(RunEnd {
                run: sum.run,
                started: sum.at,
                at: now(),
                written: sum.written,
                losses: Losses::default(),
                ended: Ended::Uncertain,
            }),
            None => None,
        };
        if let Some(end) = unsettled.filter(|end| end.run > sum.settled) {
            log.append_end(&end).map_err(|source| log.directory.failed(source))?;
        }
        (log.sum.run, log.sum.written) = (run, 0);
        Ok(log)
    }

    /// Continues the file with the number and the length of `last`, if there is
    /// one, and lists the others as closed.
    fn adopt(&mut self, files: &[u64], last: Option<(u64, u64)>) -> io::Result<()> {
        for &number in files {
            let metadata = fs::metadata(self.directory.file(number))?;
            let at = metadata.modified()?;
            match last {
                Some((latest, end)) if latest == number => {
                    let file = self.directory.open_file(number)?;
                    // Removes a block that is not complete.
                    file.set_len(end)?;
                    let begun = u64::try_from(self.sum.at).unwrap_or(0);
                    let since = UNIX_EPOCH + Duration::from_micros(begun);
                    self.current = Some(Current { file, end, begin: 0, since });
                }
                _ => self.closed.push_back(Closed { number, bytes: metadata.len(), at }),
            }
        }
        Ok(())
    }

    /// Appends a block of records. On an error none of it is in the file, as
    /// far as a reader is concerned.
    pub(super) fn append(&mut self, block: &[u8], totals: &Totals) -> io::Result<()> {
        self.write(block)?;
        self.sum.totals = self.sum.totals.plus(totals);
        self.sum.written = self.sum.written.saturating_add(totals.invocations);
        Ok(())
    }

    /// The number of records that this run has written.
    pub(super) fn written(&self) -> u64 {
        self.sum.written
    }

    /// Appends the end of a run.
    fn append_end(&mut self, end: &RunEnd) -> io::Result<()> {
        self.write(&block::encode(&Head::End(*end)))?;
        self.sum.losses = self.sum.losses.plus(&end.losses);
        self.sum.settled = end.run;
        Ok(())
    }

    /// Records the end of this run, and waits until the disk has everything.
    pub(super) fn finish(&mut self, losses: Losses) -> io::Result<()> {
        let RunStart { run, started, .. } = self.start;
        let written = self.sum.written;
        let ended = Ended::Complete;
        self.append_end(&RunEnd { run, started, at: now(), written, losses, ended })?;
        self.current.as_ref().map_or(Ok(()), |current| current.file.sync_data())
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        let len = block.len() as u64;
        if self.current.as_ref().is_none_or(|current| self.limits.is_full(current, len)) {
            self.rotate()?;
        }
        let current = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if let Err(error) = current.file.write_all_at(block, current.end) {
            // What was written of it is no block; the next one replaces it in
            // any case.
            let _ = current.file.set_len(current.end);
            return Err(error);
        }
        current.end += len;
        Ok(())
    }

    /// Begins a new file, and removes old ones to make room for it.
    fn rotate(&mut self) -> io::Result<()> {
        if let Some(former) = self.current.take() {
            let at = SystemTime::now();
            self.closed.push_back(Closed { number: self.number, bytes: former.end, at });
        }
        self.remove_old();
        let file = self.directory.create_file(self.number + 1)?;
        let carry = block::encode(&Head::Carry(Carry { at: now(), ..self.sum }));
        if let Err(error) = file.write_all_at(&carry, 0) {
            let _ = fs::remove_file(self.directory.file(self.number + 1));
            return Err(error);
        }
        self.number += 1;
        let end = carry.len() as u64;
        self.current = Some(Current { file, end, begin: end, since: SystemTime::now() });
        Ok(())
    }

    /// Closes the file if it is old enough or was deleted, and removes files
    /// that are too old.
    pub(super) fn maintain(&mut self) -> io::Result<()> {
        let is_over = |current: &Current| {
            let is_old = is_past(current.since, self.limits.age / FILES as u32);
            let is_gone = current.file.metadata().is_ok_and(|file| file.nlink() == 0);
            is_gone || is_old && current.end > current.begin
        };
        if self.current.as_ref().is_some_and(is_over) {
            self.rotate()?;
        }
        self.remove_old();
        Ok(())
    }

    /// Removes the oldest files until the others and a full one are within the
    /// limits. Their sums are in the first block of the next file.
    fn remove_old(&mut self) {
        while let Some(oldest) = self.closed.front() {
            let total = self.closed.iter().map(|file| file.bytes).sum::<u64>() + self.limits.file;
            if total <= self.limits.total && !is_past(oldest.at, self.limits.age) {
                break;
            }
            // One that is already gone is not an error. Another failure leaves
            // a file that the next start finds.
            let _ = fs::remove_file(self.directory.file(oldest.number));
            self.closed.pop_front();
        }
    }

    /// The size of all files.
    pub(super) fn bytes(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|file| file.bytes).sum();
        closed + self.current.as_ref().map_or(0, |current| current.end)
    }
}

impl Limits {
    fn new(settings: &LedgerSettings) -> Self {
        let file = (settings.size / FILES).clamp(SMALLEST, LARGEST);
        Self { total: settings.size, file, age: settings.age }
    }

    fn is_full(&self, current: &Current, more: u64) -> bool {
        current.end > current.begin && current.end + more > self.file
    }
}

/// Whether a time is longer ago than a period.
fn is_past(at: SystemTime, period: Duration) -> bool {
    at.elapsed().is_ok_and(|elapsed| elapsed > period)
}

/// The account of the latest files, and the number of the last file and the end
/// of its blocks if it can be continued.
///
/// It reads from the last file that begins with the sums of those before, which
/// is the last one unless a host was killed while it created it.
fn latest(
    directory: &Directory,
    files: &[u64],
) -> Result<(Account, Option<(u64, u64)>), LedgerError> {
    for first in (0..files.len()).rev() {
        let mut account = Account::default();
        let mut end = None;
        for &number in files.get(first..).unwrap_or_default() {
            let had_sums = account.removed.is_some();
            let valid = account.read_file(directory, number, &mut |_| ())?;
            let is_ours = valid > 0 && (had_sums || account.removed.is_some());
            end = is_ours.then_some((number, valid));
        }
        if account.removed.is_some() {
            return Ok((account, end));
        }
    }
    Ok((Account::default(), None))
}
