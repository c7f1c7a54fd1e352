//! The thread that writes: it takes the records out of the buffers, and appends
//! them to the log.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::buffer::Buffer;
use super::building::Building;
use super::log::Log;
use super::record::Record;
use super::totals::Losses;
use super::{LedgerState, now};
use crate::sync::lock;

/// The interval at which buffers are emptied while there are records.
const INTERVAL: Duration = Duration::from_millis(100);

/// The number of intervals without a record after which the thread parks.
const LINGER: u32 = 10;

/// The interval at which files are checked for their age.
const MAINTENANCE: Duration = Duration::from_secs(1);

/// The longest time for which the thread parks, because files grow old.
const PARKED: Duration = Duration::from_secs(3_600);

/// The interval at which failures are logged.
const LOGGED: Duration = Duration::from_secs(60);

/// The writer of a ledger.
pub(super) struct Writer {
    state: Arc<LedgerState>,
    log: Log,
    /// An empty buffer, which is exchanged for a full one.
    spare: Buffer,
    building: Building,
    maintained: Instant,
    failures: Failures,
    done: watch::Sender<bool>,
}

/// Failures that are not logged yet.
#[derive(Default)]
struct Failures {
    logged: Option<Instant>,
    records: u64,
}

impl Writer {
    pub(super) fn new(
        state: Arc<LedgerState>,
        log: Log,
        spare: Buffer,
        done: watch::Sender<bool>,
    ) -> Self {
        Self {
            state,
            log,
            spare,
            building: Building::default(),
            maintained: Instant::now(),
            failures: Failures::default(),
            done,
        }
    }

    /// Writes until the ledger is closed.
    pub(super) fn run(mut self) {
        let mut idle = 0;
        loop {
            // Read before the buffers: what was recorded before it was set is
            // in them.
            let is_closed = self.state.closed.load(Acquire);
            let has_written = self.sweep();
            if is_closed {
                break;
            }
            self.maintain();
            idle = if has_written { 0 } else { idle + 1 };
            if idle >= LINGER {
                self.park();
                idle = 0;
            }
            thread::park_timeout(INTERVAL);
        }
        let counted = self.state.counts.sum();
        let losses = Losses {
            buffer_full: counted.buffer_full,
            write_failed: counted.write_failed,
            killed: 0,
        };
        if let Err(error) = self.log.finish(losses) {
            tracing::error!(%error, "the end of the usage ledger is not written");
        }
        self.state.file_bytes.store(self.log.bytes(), Relaxed);
        // Without a receiver nothing waits for it.
        let _ = self.done.send(true);
    }

    /// Writes what the buffers hold, and returns whether there was anything.
    fn sweep(&mut self) -> bool {
        let retired = self.state.names.table().take_retired();
        let (base, at) = (self.state.since_opened(Instant::now()), now());
        let state = self.state.clone();
        let mut has_any = false;
        for core in state.cores.iter() {
            std::mem::swap(&mut *lock(&core.buffer), &mut self.spare);
            let mut buffer = std::mem::take(&mut self.spare);
            has_any |= !buffer.is_empty();
            let mut left = buffer.drain();
            while self.build(&mut left, base) {
                self.write(at);
            }
            drop(left);
            self.spare = buffer;
        }
        self.write(at);
        state.names.table().free(retired);
        has_any
    }

    /// Adds records to the block until it is complete, and returns whether it
    /// is. The time of the block is `base`. The names are locked meanwhile, and
    /// not while the block is written.
    fn build(
        &mut self,
        records: &mut impl Iterator<Item = (Record, Option<Box<str>>)>,
        base: i64,
    ) -> bool {
        let table = self.state.names.table();
        while !self.building.is_complete() {
            let Some((record, principal)) = records.next() else { return false };
            let ended = record.ended.saturating_sub(base) / 1_000;
            self.building.push(&record, principal, ended, &table);
        }
        true
    }

    /// Appends the block, or counts its records as lost.
    fn write(&mut self, at: i64) {
        if self.building.records == 0 {
            return;
        }
        let block = self.building.finish(self.log.start.run, self.log.written(), at);
        if let Err(error) = self.log.append(&block, &self.building.totals) {
            let records = u64::from(self.building.records);
            self.state.counts.write_failed(records);
            self.failures.add(records, &error);
        }
        self.building.clear();
        self.state.file_bytes.store(self.log.bytes(), Relaxed);
    }

    fn maintain(&mut self) {
        if self.maintained.elapsed() < MAINTENANCE {
            return;
        }
        self.maintained = Instant::now();
        if let Err(error) = self.log.maintain() {
            self.failures.add(0, &error);
        }
        self.state.file_bytes.store(self.log.bytes(), Relaxed);
    }

    /// Parks until there is a record. A thread that adds one after this has
    /// looked into its buffer holds the buffer's lock later, and so sees that
    /// the writer is parked.
    fn park(&self) {
        self.state.parked.store(true, SeqCst);
        let is_empty = self.state.cores.iter().all(|core| lock(&core.buffer).is_empty());
        if is_empty && !self.state.closed.load(SeqCst) {
            thread::park_timeout(PARKED);
        }
        self.state.parked.store(false, SeqCst);
    }
}

impl Failures {
    /// Logs a failure, unless one was logged within the last minute.
    fn add(&mut self, records: u64, error: &std::io::Error) {
        self.records += records;
        if self.logged.is_some_and(|logged| logged.elapsed() < LOGGED) {
            return;
        }
        let lost = std::mem::take(&mut self.records);
        tracing::error!(%error, lost, "the usage ledger can't be written");
        self.logged = Some(Instant::now());
    }
}
