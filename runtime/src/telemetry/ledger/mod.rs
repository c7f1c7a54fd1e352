//! The usage ledger: one record of each invocation that ended, in files.
//!
//! An invocation's end puts a record into the buffer of its core. A thread
//! empties the buffers ten times a second and appends blocks to a file. The
//! host never waits for the disk: a record that does not fit into its buffer is
//! dropped.
//!
//! # Exactness
//! Every record is counted, in pages that survive the process ([`counts`]). A
//! run's account is then
//!
//! > accepted = written + write failed + killed
//!
//! where `accepted` and `write failed` are counts, `written` is in the last
//! valid block (every block has the number of records that its run wrote before
//! it), and `killed` is the difference. Invocations that ended are `accepted`
//! plus `buffer full`, another count.
//!
//! `kill -9` may come between any two instructions:
//!
//! - A record is counted before it is put into the buffer, with the buffer's
//!   lock held, and the writer takes it out with that lock held. So no record is
//!   in a file that is not counted. One that is counted and not in the buffer
//!   is lost as those in the buffer are.
//! - It is counted before its invocation returns, and before the metrics count
//!   it. So a client or a scrape never saw an invocation that is not counted.
//! - A block that is not completely written fails its checksum and is not in
//!   `written`. Once it is, no further step is needed for its records.
//! - A failed write is counted after it. If the count is missing, its records
//!   are in `killed` instead; the sum is the same.
//! - A new file exists before its first block. A file without it has no
//!   records, and the next one continues.
//! - A run's end is one block. Without it the next start computes the end from
//!   the counts. It then replaces the counts by its own in one step (`rename`);
//!   if it is killed before that, the next one finds the end and adds none.
//! - Removing a file is one step. The next file has its sums.
//!
//! This holds for the end of the process. When the machine ends, the kernel has
//! not written what is younger than some 30 seconds (`vm.dirty_expire_centisecs`),
//! in any order. Blocks that are valid stay valid; the counts and the last blocks
//! may be missing. The id of the boot tells such a run, and its losses are then
//! the least and not exact. The end of a graceful run is on the disk.
//!
//! # Layout
//! - [`Ledger`]: the buffers, and what an invocation does.
//! - [`record`]: a record; [`buffer`]: those of a core.
//! - [`names`]: functions by id; [`totals`]: sums.
//! - [`counts`]: the counts of a run.
//! - [`writer`]: the thread; [`log`]: the files it appends to.
//! - [`block`]: the format of files; [`building`]: a block of records.
//! - [`scan`]: reads a file; [`account`]: reads all.
//! - [`directory`]: their names, and the lock.

pub(crate) mod account;
pub(crate) mod block;
mod buffer;
mod building;
mod counts;
mod directory;
mod log;
mod names;
pub(crate) mod record;
mod scan;
pub(crate) mod totals;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use self::buffer::Buffer;
use self::counts::Counts;
use self::log::Log;
pub(crate) use self::names::NameId;
use self::names::Names;
use self::record::VERSION;
use self::record::{Amounts, Record};
use self::writer::Writer;
use super::counters::index;
use super::snapshot::UsageMetrics;
use crate::body::PRINCIPAL;
use crate::context::{Cause, Context};
use crate::cores::PerCore;
use crate::error::LedgerError;
use crate::outcome::{Outcome, Usage};
use crate::sync::lock;

/// The most records of a core that wait: about a second of its full load, and
/// 2 MiB. Their principals are half a MiB more, and the text.
const BUFFERED: usize = 32 << 10;

/// The longest wait for the last records to be written. A disk that hangs must
/// not keep the program running.
const FLUSH: Duration = Duration::from_secs(10);

/// Where a ledger is, and how much it keeps.
#[derive(Clone, Debug)]
pub(crate) struct LedgerSettings {
    pub(crate) dir: PathBuf,
    pub(crate) size: u64,
    pub(crate) age: Duration,
}

/// The ledger of a runtime. Dropping it writes what it holds.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: Arc<LedgerState>,
    thread: Thread,
    writer: Option<JoinHandle<()>>,
    done: watch::Receiver<bool>,
}

/// What the writer's thread shares.
#[derive(Debug)]
struct LedgerState {
    opened: Instant,
    cores: PerCore<Core>,
    counts: Counts,
    names: Arc<Names>,
    /// The writer waits until there is a record.
    parked: AtomicBool,
    closed: AtomicBool,
    file_bytes: AtomicU64,
}

/// What a core writes to.
#[derive(Debug)]
struct Core {
    /// The number of its counts.
    slot: usize,
    buffer: Mutex<Buffer>,
}

impl Ledger {
    /// Opens a ledger for a new run of this process.
    pub(crate) fn open(settings: &LedgerSettings) -> Result<Self, LedgerError> {
        Self::with_buffers(settings, BUFFERED)
    }

    fn with_buffers(settings: &LedgerSettings, buffered: usize) -> Result<Self, LedgerError> {
        let log = Log::open(settings)?;
        let failed = |source| LedgerError::Io { path: settings.dir.clone(), source };
        let buffer = || Buffer::with_capacity(buffered);
        let cores = PerCore::new(|slot, _| Core { slot, buffer: Mutex::new(buffer()) });
        let counts =
            Counts::create(&settings.dir, &log.start, cores.iter().count()).map_err(failed)?;
        let state = Arc::new(LedgerState {
            opened: Instant::now(),
            cores,
            counts,
            names: Arc::default(),
            parked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            file_bytes: AtomicU64::new(log.bytes()),
        });
        let (done, ended) = watch::channel(false);
        let writer = Writer::new(state.clone(), log, buffer(), done);
        let builder = thread::Builder::new().name("hourglass-usage".into());
        let writer = builder.spawn(|| writer.run()).map_err(failed)?;
        Ok(Self { state, thread: writer.thread().clone(), writer: Some(writer), done: ended })
    }

    /// An id for the records of a function with a version, if it has one.
    pub(crate) fn register(&self, name: &str, version: Option<&str>) -> NameId {
        match version {
            Some(version) => self.state.names.register(&format!("{name}{VERSION}{version}")),
            None => self.state.names.register(name),
        }
    }

    /// Records an invocation that has ended.
    pub(crate) fn record(
        &self,
        function: &NameId,
        ctx: &Context,
        ended: Instant,
        outcome: &Outcome,
        usage: &Usage,
    ) {
        let outcome_at = match outcome {
            Outcome::Response => 0,
            _ => position(&Outcome::NAMES, outcome.name()),
        };
        let record = Record {
            function: function.id,
            outcome: outcome_at,
            cause: outcome.cause().map(|cause| position(&Cause::NAMES, cause.name())),
            has_principal: false,
            ended: self.state.since_opened(ended),
            amounts: Amounts::new(usage),
        };
        self.push(record, ctx.value(&PRINCIPAL).map(record::principal));
    }

    fn push(&self, record: Record, principal: Option<Box<str>>) {
        let Some(core) = self.state.cores.own() else { return };
        let Some(slot) = self.state.counts.slot(core.slot) else { return };
        let mut buffer = lock(&core.buffer);
        if buffer.len() == buffer.capacity() {
            slot.refuse();
            return;
        }
        slot.accept();
        buffer.push(record, principal);
        let is_half_full = buffer.len() == buffer.capacity() / 2;
        drop(buffer);
        if is_half_full || self.state.parked.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // One thread of many wakes a parked writer.
        self.state.parked.store(false, Ordering::Relaxed);
        self.thread.unpark();
    }

    /// Writes everything and the run's end, and waits until that is on disk.
    /// Nothing may be recorded afterwards.
    pub(crate) async fn close(&self) {
        self.stop();
        let mut done = self.done.clone();
        let written = tokio::time::timeout(FLUSH, done.wait_for(|done| *done)).await;
        if !written.is_ok_and(|written| written.is_ok()) {
            tracing::error!("the usage ledger is not written; its disk may hang");
        }
    }

    fn stop(&self) {
        self.state.closed.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }

    pub(crate) fn metrics(&self) -> UsageMetrics {
        let counted = self.state.counts.sum();
        UsageMetrics {
            records: counted.accepted,
            lost: vec![
                ("buffer-full", counted.buffer_full),
                ("write-failed", counted.write_failed),
            ],
            file_bytes: self.state.file_bytes.load(Ordering::Relaxed),
        }
    }
}

impl LedgerState {
    /// Nanoseconds from when the ledger was opened.
    fn since_opened(&self, at: Instant) -> i64 {
        let passed = at.saturating_duration_since(self.opened);
        i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop();
        if let Some(writer) = self.writer.take() {
            // It has no panic to propagate.
            let _ = writer.join();
        }
    }
}

/// The position of a name. All names are listed, which a test checks.
fn position(names: &[&str], name: &str) -> u8 {
    u8::try_from(index(names, name)).unwrap_or(u8::MAX)
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// The id of the machine's boot; 0 if it is not known.
fn boot_id() -> u128 {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&id.trim().replace('-', ""), 16).unwrap_or(0)
}

#[cfg(test)]
mod tests;
