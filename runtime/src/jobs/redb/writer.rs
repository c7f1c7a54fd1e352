//! The thread that owns the database.
//!
//! It takes all operations that have arrived, makes their changes in one
//! transaction, and answers them once that is durable (group commit). While one
//! commit waits for the disk the next operations arrive, so the number of
//! operations per second does not depend on the latency of the disk.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase as _};
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};

use super::StoreLimits;
use super::tables::{Result, Tables};
use crate::jobs::store::StoreError;

/// The most operations in one transaction, and the bytes after which no more are
/// added.
const MOST: usize = 1_024;
const BYTES: usize = 32 << 20;

/// The free space below which no more jobs are accepted: that of the changes to
/// jobs which were accepted before. On a small disk it is a sixteenth.
const RESERVE: u64 = 64 << 20;

/// An operation that has not been answered.
pub(super) enum Command {
    Write(Box<dyn Write>),
    Read(Read),
    Close(oneshot::Sender<std::result::Result<(), StoreError>>),
}

/// What is done with a transaction that reads.
pub(super) type Read = Box<dyn FnOnce(std::result::Result<&ReadTransaction, StoreError>) + Send>;

/// A change.
pub(super) trait Write: Send {
    /// Makes the change. It is repeated if its transaction fails.
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<()>;

    /// Answers, once the change is durable or has failed.
    fn answer(self: Box<Self>, committed: std::result::Result<(), StoreError>);

    /// The bytes that it adds.
    fn weight(&self) -> usize;
}

/// A change as a function of its input.
pub(super) struct Operation<I, T> {
    pub(super) input: I,
    pub(super) run: fn(&mut Tables<'_>, &I) -> Result<T>,
    pub(super) weight: usize,
    pub(super) result: Option<T>,
    pub(super) reply: oneshot::Sender<std::result::Result<T, StoreError>>,
}

impl<I: Send, T: Send> Write for Operation<I, T> {
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<()> {
        self.result = Some((self.run)(tables, &self.input)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: std::result::Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        // An error means that nothing waits for the result.
        let _ = reply.send(committed.and_then(|()| result.ok_or(StoreError::Closed)));
    }

    fn weight(&self) -> usize {
        self.weight
    }
}

/// Opens the database. Called again after the disk was full.
pub(super) type Open = Box<dyn Fn() -> Result<Database> + Send>;

/// The state of the thread.
pub(super) struct Writer {
    pub(super) dir: PathBuf,
    pub(super) open: Open,
    pub(super) limits: StoreLimits,
    database: Option<Database>,
    /// Why the store can't be used any more.
    broken: Option<StoreError>,
    /// The jobs that were given out and not settled.
    held: HashSet<u128>,
    turn: usize,
}

impl Writer {
    /// Opens the database, and returns jobs of a process that died to the queue.
    ///
    /// # Errors
    /// The database can't be opened or changed.
    pub(super) fn start(dir: PathBuf, open: Open, limits: StoreLimits) -> Result<Self> {
        let mut writer =
            Self { dir, open, limits, database: None, broken: None, held: HashSet::new(), turn: 0 };
        let database = (writer.open)()?;
        writer.commit(&database, |tables| {
            tables.check_format()?;
            tables.recover(None)
        })?;
        writer.database = Some(database);
        Ok(writer)
    }

    /// Executes operations until the store is closed or has no user.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        while let Some(first) = commands.blocking_recv() {
            let (mut next, mut bytes, mut close) = (Some(first), 0, None);
            while let Some(command) = next {
                match command {
                    Command::Write(write) => {
                        bytes += write.weight();
                        writes.push(write);
                    }
                    Command::Read(read) => reads.push(read),
                    Command::Close(reply) => {
                        close = Some(reply);
                        break;
                    }
                }
                let is_full = writes.len() >= MOST || reads.len() >= MOST || bytes >= BYTES;
                next = if is_full { None } else { commands.try_recv().ok() };
            }
            self.write(&mut writes);
            self.read(&mut reads);
            if let Some(reply) = close {
                // Released before the answer, so that the next process can open it.
                self.database = None;
                let _ = reply.send(Ok(()));
                return;
            }
        }
    }

    /// Makes changes in one transaction, and answers them.
    fn write(&mut self, writes: &mut Vec<Box<dyn Write>>) {
        if writes.is_empty() {
            return;
        }
        let mut committed = self.try_write(writes);
        if matches!(committed, Err(StoreError::Full(_))) {
            // Whether it has happened is unknown: the changes are made again.
            committed = self.try_write(writes);
        }
        for write in writes.drain(..) {
            write.answer(committed.clone());
        }
    }

    fn try_write(&mut self, writes: &mut [Box<dyn Write>]) -> std::result::Result<(), StoreError> {
        let database = self.database()?;
        let committed = self.commit(&database, |tables| {
            writes.iter_mut().try_for_each(|write| write.apply(tables))
        });
        match committed {
            Ok(()) => {
                self.database = Some(database);
                Ok(())
            }
            Err(error) => {
                let error = self.error(error);
                if !matches!(error, StoreError::Full(_)) {
                    // The system may have dropped what it could not write, and
                    // reading it would not tell.
                    tracing::error!(%error, "the store of jobs is not used any more");
                    self.broken = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    /// The database, which is opened again if its last commit has failed.
    fn database(&mut self) -> std::result::Result<Database, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if let Some(database) = self.database.take() {
            return Ok(database);
        }
        let opened = (self.open)().map_err(|error| self.error(error))?;
        let held = self.held.clone();
        let recovered = self.commit(&opened, |tables| tables.recover(Some(&held)));
        recovered.map_err(|error| self.error(error))?;
        Ok(opened)
    }

    /// Makes changes in one transaction, if there are any.
    fn commit(
        &mut self,
        database: &Database,
        change: impl FnOnce(&mut Tables<'_>) -> Result<()>,
    ) -> Result<()> {
        let transaction = database.begin_write()?;
        self.turn = self.turn.wrapping_add(1);
        let mut tables = Tables::open(&transaction, self.limits, (has_room(&self.dir), self.turn))?;
        let changed = change(&mut tables).and_then(|()| tables.finish());
        let (claims, is_changed) = (std::mem::take(&mut tables.claims), tables.is_changed);
        drop(tables);
        changed?;
        if is_changed {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        for (id, is_taken) in claims {
            if is_taken {
                self.held.insert(id)
            } else {
                self.held.remove(&id)
            };
        }
        Ok(())
    }

    fn read(&mut self, reads: &mut Vec<Read>) {
        if reads.is_empty() {
            return;
        }
        let transaction = self.database().and_then(|database| {
            let begun = database.begin_read().map_err(Into::into);
            self.database = Some(database);
            begun.map_err(|error| self.error(error))
        });
        for read in reads.drain(..) {
            read(transaction.as_ref().map_err(StoreError::clone));
        }
    }

    fn error(&self, error: redb::Error) -> StoreError {
        store_error(&self.dir, error)
    }
}

/// The error of the store for one of the database.
pub(super) fn store_error(dir: &std::path::Path, error: redb::Error) -> StoreError {
    let full = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG];
    match error {
        redb::Error::Io(error)
            if full.iter().any(|full| error.raw_os_error() == Some(full.raw_os_error())) =>
        {
            StoreError::Full(format!("the disk of {} is full", dir.display()))
        }
        redb::Error::Io(error) => StoreError::Io(Arc::new(error)),
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse(dir.display().to_string()),
        redb::Error::DatabaseClosed => StoreError::Closed,
        redb::Error::PreviousIo => StoreError::Io(Arc::new(io::Error::other("an earlier failure"))),
        error => StoreError::Damaged(error.to_string()),
    }
}

/// Whether the disk has room for more jobs. If the system does not say, it has.
fn has_room(dir: &std::path::Path) -> bool {
    let Ok(space) = rustix::fs::statvfs(dir) else { return true };
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    bytes(space.f_bavail) >= RESERVE.min(bytes(space.f_blocks) / 16)
}
