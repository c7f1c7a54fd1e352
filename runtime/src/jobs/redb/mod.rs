//! The store in a directory of this machine: a database of the crate [`redb`],
//! which is one file.
//!
//! # Layout
//! - [`RedbStore`]: sends operations to the thread of the database.
//! - `writer`: that thread, and its group commit.
//! - `tables`: the tables, and the changes to them; `read`: what is read.

mod read;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;

use redb::backends::FileBackend;
use redb::{Database, ReadTransaction};
use tokio::sync::{mpsc, oneshot};

use self::tables::Tables;
use self::writer::{Command, Open, Operation, Writer, store_error};
use super::id::JobId;
use super::job::{Job, StoredJob};
use super::store::{
    Change, Claim, Claimed, JobCounts, JobPage, JobQuery, JobStore, NewJob, Settlement, StoreError,
    Stored, Submitted,
};
use super::time::Timestamp;
use crate::limits::mib;

/// The name of the file.
const FILE: &str = "jobs.redb";

/// The memory in which the database caches the file.
const CACHE: usize = mib(64) as usize;

/// The most operations that wait for the thread.
const WAITING: usize = 4_096;

/// The limits of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// The most jobs, in all states. Default 1,000,000.
    pub jobs: u64,
    /// The most bytes of jobs, in all states: their requests, their responses,
    /// and 1 KiB each. Default 1 GiB. One more job is rejected. The responses of
    /// accepted jobs may take as much again; beyond that they are kept without
    /// their bodies.
    pub bytes: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self { jobs: Self::JOBS, bytes: Self::BYTES }
    }
}

impl StoreLimits {
    pub(crate) const JOBS: u64 = 1_000_000;
    pub(crate) const BYTES: u64 = mib(1_024);
}

/// A store in a directory: the default.
///
/// One process at a time can open it. A thread does all its work; operations that
/// arrive together share one commit, with one `fdatasync`. After a process died,
/// opening reads the whole file once to verify it.
///
/// If the disk is full, new jobs are rejected, and everything that was accepted
/// stays: some space is reserved for the changes to accepted jobs, and a change
/// that fails nevertheless is made again. After any other error of the disk the
/// store rejects every operation, because the system does not tell what it has
/// written; then the process has to be started again.
///
/// The file can be twice as large as its limits say, and does not shrink.
#[derive(Debug)]
pub struct RedbStore {
    commands: mpsc::Sender<Command>,
}

impl RedbStore {
    /// Opens the store in a directory, which is created if it is missing, for its
    /// owner alone: it contains what clients have sent.
    ///
    /// It blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`], if another process has it open; the system's
    /// errors, and [`StoreError::Damaged`].
    pub fn open(dir: impl Into<PathBuf>, limits: StoreLimits) -> Result<Self, StoreError> {
        let dir = dir.into();
        let failed = |error: io::Error| store_error(&dir, error.into());
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        let folder = dir.clone();
        let store = Self::with(dir.clone(), Box::new(move || open(&folder)), limits)?;
        // The name of a new file is durable too.
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        Ok(store)
    }

    fn with(dir: PathBuf, open: Open, limits: StoreLimits) -> Result<Self, StoreError> {
        let (commands, receiver) = mpsc::channel(WAITING);
        let failed = |error| store_error(&dir, error);
        let writer = Writer::start(dir.clone(), open, limits).map_err(failed)?;
        let thread = thread::Builder::new().name("hourglass-jobs".into());
        let started = thread.spawn(move || writer.run(receiver));
        started.map_err(|error| failed(error.into()))?;
        Ok(Self { commands })
    }

    fn write<I, T>(
        &self,
        input: I,
        weight: usize,
        run: fn(&mut Tables<'_>, &I) -> tables::Result<T>,
    ) -> Stored<'_, T>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let write = Operation { input, run, weight, result: None, reply };
        Box::pin(self.ask(Command::Write(Box::new(write)), result))
    }

    fn read<I, T>(
        &self,
        input: I,
        run: fn(&ReadTransaction, &I) -> tables::Result<T>,
    ) -> Stored<'_, T>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let read = move |transaction: Result<&ReadTransaction, StoreError>| {
            let read = transaction.and_then(|transaction| {
                run(transaction, &input).map_err(|error| store_error(Path::new(FILE), error))
            });
            // An error means that nothing waits for the result.
            let _ = reply.send(read);
        };
        Box::pin(self.ask(Command::Read(Box::new(read)), result))
    }

    async fn ask<T>(
        &self,
        command: Command,
        result: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.commands.send(command).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }
}

/// Opens or creates the database.
fn open(dir: &Path) -> tables::Result<Database> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    database(FileBackend::new(options.open(dir.join(FILE))?)?)
}

fn database(backend: impl redb::StorageBackend) -> tables::Result<Database> {
    Ok(Database::builder().set_cache_size(CACHE).create_with_backend(backend)?)
}

impl JobStore for RedbStore {
    fn submit(&self, new: NewJob) -> Stored<'_, Submitted> {
        let request = new.request.encode();
        let weight = request.len();
        let job = Job { request_bytes: weight as u64, ..new.job };
        let submitted = self
            .write((job, request, new.fingerprint), weight, |tables, input| tables.submit(input));
        Box::pin(async { submitted.await? })
    }

    fn claim(&self, claim: Claim) -> Stored<'_, Claimed> {
        self.write(claim, 0, |tables, input| tables.claim(input))
    }

    fn settle(
        &self,
        id: JobId,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Stored<'_, Option<Job>> {
        let weight = match &settlement {
            Settlement::End { response: Some(response), .. } => response.body.len(),
            _ => 0,
        };
        self.write((id, attempt, settlement, now), weight, |tables, input| tables.settle(input))
    }

    fn change(&self, id: JobId, change: Change, now: Timestamp) -> Stored<'_, Option<(Job, bool)>> {
        self.write((id, change, now), 0, |tables, input| tables.change(input))
    }

    fn get(&self, id: JobId) -> Stored<'_, Option<StoredJob>> {
        self.read(id, read::get)
    }

    fn list(&self, query: JobQuery) -> Stored<'_, JobPage> {
        self.read(query, read::list)
    }

    fn counts(&self) -> Stored<'_, JobCounts> {
        self.read((), read::counts)
    }

    fn mark(&self, name: String, at: Timestamp) -> Stored<'_, ()> {
        self.write((name, at), 0, |tables, input| tables.mark(input))
    }

    fn marks(&self) -> Stored<'_, BTreeMap<String, Timestamp>> {
        self.read((), read::marks)
    }

    fn close(&self) -> Stored<'_, ()> {
        let (reply, result) = oneshot::channel();
        Box::pin(self.ask(Command::Close(reply), result))
    }
}
