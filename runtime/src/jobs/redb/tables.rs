//! The tables of the store, and the changes that a transaction makes.
//!
//! All indexes of a job follow from its record: a change replaces the record, and
//! with it the entries.

use std::collections::HashSet;
use std::ops::Bound;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::StoreLimits;
use crate::jobs::id::JobId;
use crate::jobs::job::{CallbackState, Job, JobFailure, JobState, StoredJob};
use crate::jobs::message::{JobRequest, JobResponse, encoded};
use crate::jobs::store::{
    Change, Claim, Claimed, JobCounts, Settlement, StoreError, Submitted, Work,
};
use crate::jobs::time::Timestamp;

pub(super) type Result<T> = std::result::Result<T, redb::Error>;

/// A place in the queue of a function: when it is due, and its id.
type Due = (&'static str, u64, u128);

/// Jobs by id.
pub(super) const JOBS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("jobs");
/// Their requests, as long as another attempt is possible.
const REQUESTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("requests");
/// Their responses.
pub(super) const RESPONSES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("responses");
/// The jobs that wait, and the callbacks.
const DUE: TableDefinition<'_, Due, ()> = TableDefinition::new("due");
/// The jobs that were taken.
const TAKEN: TableDefinition<'_, u128, ()> = TableDefinition::new("taken");
/// The jobs that have ended, by the time at which they are removed.
const EXPIRY: TableDefinition<'_, (u64, u128), ()> = TableDefinition::new("expiry");
/// The jobs that have failed.
pub(super) const DEAD: TableDefinition<'_, u128, ()> = TableDefinition::new("dead");
/// Jobs by the hashes of their idempotency keys, with those of their requests.
const KEYS: TableDefinition<'_, &[u8; 32], (u128, &[u8; 32])> = TableDefinition::new("keys");
/// The times of events.
pub(super) const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("marks");
/// The format, and the counts.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

pub(super) const COUNTS: &str = "counts";
const FORMAT: (&str, &[u8]) = ("format", &[1]);

/// The most expired jobs that one claim removes.
const SWEEP: usize = 256;

/// The message of a failure for an attempt whose process died.
const DIED: &str = "the host's process ended during the attempt";

/// The tables in a transaction.
pub(super) struct Tables<'t> {
    jobs: Table<'t, u128, &'static [u8]>,
    requests: Table<'t, u128, &'static [u8]>,
    responses: Table<'t, u128, &'static [u8]>,
    due: Table<'t, Due, ()>,
    taken: Table<'t, u128, ()>,
    expiry: Table<'t, (u64, u128), ()>,
    dead: Table<'t, u128, ()>,
    keys: Table<'t, &'static [u8; 32], (u128, &'static [u8; 32])>,
    marks: Table<'t, &'static str, u64>,
    meta: Table<'t, &'static str, &'static [u8]>,
    counts: JobCounts,
    limits: StoreLimits,
    /// Whether the disk has room for more jobs.
    has_room: bool,
    /// The function whose turn it is.
    turn: usize,
    /// Whether the transaction has changed anything.
    pub(super) is_changed: bool,
    /// The jobs that were taken and settled, in this order.
    pub(super) claims: Vec<(u128, bool)>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        limits: StoreLimits,
        (has_room, turn): (bool, usize),
    ) -> Result<Self> {
        let meta = transaction.open_table(META)?;
        let counts = meta.get(COUNTS)?.map(|bytes| record(bytes.value())).transpose()?;
        Ok(Self {
            jobs: transaction.open_table(JOBS)?,
            requests: transaction.open_table(REQUESTS)?,
            responses: transaction.open_table(RESPONSES)?,
            due: transaction.open_table(DUE)?,
            taken: transaction.open_table(TAKEN)?,
            expiry: transaction.open_table(EXPIRY)?,
            dead: transaction.open_table(DEAD)?,
            keys: transaction.open_table(KEYS)?,
            marks: transaction.open_table(MARKS)?,
            meta,
            counts: counts.unwrap_or_default(),
            limits,
            has_room,
            turn,
            is_changed: false,
            claims: Vec::new(),
        })
    }

    /// Writes the counts, as the last change of the transaction.
    pub(super) fn finish(&mut self) -> Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        self.meta.insert(COUNTS, &*encoded(&self.counts, &[]))?;
        Ok(())
    }

    /// Checks the format of the store, or sets that of a new one.
    pub(super) fn check_format(&mut self) -> Result<()> {
        let (name, format) = FORMAT;
        let known = self.meta.get(name)?.map(|known| known.value() == format);
        match known {
            Some(true) => Ok(()),
            Some(false) => Err(redb::Error::Corrupted("it has an unknown format".into())),
            None => {
                self.is_changed = true;
                self.meta.insert(name, format)?;
                Ok(())
            }
        }
    }

    /// Returns jobs that were taken to the queue, except those that this process
    /// still works on. The others ran in a process that died, or, in the middle
    /// of a process's life, were taken and never given out.
    pub(super) fn recover(&mut self, held: Option<&HashSet<u128>>) -> Result<()> {
        let taken: std::result::Result<Vec<_>, _> =
            self.taken.iter()?.map(|entry| Ok::<_, redb::Error>(entry?.0.value())).collect();
        for id in taken?.into_iter().filter(|id| held.is_none_or(|held| !held.contains(id))) {
            let Some(job) = self.job(id)? else {
                self.taken.remove(id)?;
                continue;
            };
            let mut next = job.clone();
            if job.state != JobState::Running {
                next.set_callback(CallbackState::Waiting);
            } else if held.is_some() {
                next.state = JobState::Queued;
                next.attempts = job.attempts.saturating_sub(1);
            } else {
                next.state = JobState::Queued;
                next.failures += 1;
                next.interruptions += 1;
                next.failure = Some(JobFailure {
                    outcome: crate::outcome::Outcome::Host(String::new()).name().to_owned(),
                    cause: None,
                    message: DIED.to_owned(),
                });
            }
            self.replace(Some(&job), Some(&next))?;
        }
        Ok(())
    }

    pub(super) fn submit(
        &mut self,
        (job, request, fingerprint): &(Job, Vec<u8>, [u8; 32]),
    ) -> Result<std::result::Result<Submitted, StoreError>> {
        if let Some(known) = self.job(job.id.0)? {
            // The commit before has failed, and yet has happened.
            return Ok(Ok(Submitted::New(known)));
        }
        if let Some(key) = &job.key
            && let Some(known) = self.known(key, fingerprint)?
        {
            return Ok(Ok(known));
        }
        let StoreLimits { jobs, bytes } = self.limits;
        let needed = job.stored_bytes();
        let reason = match () {
            () if !self.has_room => "the disk has too little free space".to_owned(),
            () if self.counts.total() >= jobs => format!("it has {jobs} jobs, its limit"),
            () if self.counts.bytes.saturating_add(needed) > bytes => {
                format!("its jobs take more than {bytes} bytes, its limit")
            }
            () => {
                self.requests.insert(job.id.0, &**request)?;
                if let Some(key) = &job.key {
                    self.keys.insert(key, (job.id.0, fingerprint))?;
                }
                self.replace(None, Some(job))?;
                return Ok(Ok(Submitted::New(job.clone())));
            }
        };
        Ok(Err(StoreError::Full(reason)))
    }

    /// The job with an idempotency key.
    fn known(&self, key: &[u8; 32], fingerprint: &[u8; 32]) -> Result<Option<Submitted>> {
        let Some((id, is_same)) = self.keys.get(key)?.map(|known| {
            let (id, known) = known.value();
            (id, known == fingerprint)
        }) else {
            return Ok(None);
        };
        let known = |job| if is_same { Submitted::Known(job) } else { Submitted::Conflict };
        Ok(self.job(id)?.map(known))
    }

    pub(super) fn claim(&mut self, claim: &Claim) -> Result<Claimed> {
        self.sweep(claim.now)?;
        let functions = self.waiting_functions()?;
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        for (function, due, id) in self.due(&functions, claim)? {
            let Some(job) = self.job(id)? else {
                self.due.remove((&*functions[function], due, id))?;
                continue;
            };
            bytes += job.stored_bytes();
            if bytes > claim.bytes && !jobs.is_empty() {
                break;
            }
            jobs.push(self.take(&job)?);
            self.claims.push((id, true));
        }
        let mut next = self.expiry.first()?.map(|(entry, _)| entry.value().0);
        for function in &functions {
            let due = self.queue(function, u64::MAX)?.next().transpose()?;
            next = next.into_iter().chain(due.map(|(due, _)| due)).min();
        }
        Ok(Claimed { jobs, next: next.map(Timestamp) })
    }

    /// The functions with jobs that wait, beginning with the one whose turn it
    /// is.
    fn waiting_functions(&mut self) -> Result<Vec<String>> {
        let mut functions: Vec<String> = Vec::new();
        loop {
            let start = match functions.last() {
                Some(last) => Bound::Excluded((&**last, u64::MAX, u128::MAX)),
                None => Bound::Unbounded,
            };
            let next = self.due.range::<(&str, u64, u128)>((start, Bound::Unbounded))?.next();
            let Some(entry) = next.transpose()? else { break };
            let name = entry.0.value().0.to_owned();
            functions.push(name);
        }
        let count = functions.len().max(1);
        functions.rotate_left(self.turn % count);
        self.turn = self.turn.wrapping_add(1);
        Ok(functions)
    }

    /// The jobs of a function that are due by a time, in their order.
    fn queue(
        &self,
        function: &str,
        until: u64,
    ) -> Result<impl Iterator<Item = Result<(u64, u128)>>> {
        let range = (function, 0, 0)..=(function, until, u128::MAX);
        let entries = self.due.range::<(&str, u64, u128)>(range)?;
        Ok(entries.map(|entry| {
            let (key, _) = entry?;
            let (_, due, id) = key.value();
            Ok((due, id))
        }))
    }

    /// The jobs that are due, one of each function in turn.
    fn due(&self, functions: &[String], claim: &Claim) -> Result<Vec<(usize, u64, u128)>> {
        let mut queues = Vec::with_capacity(functions.len());
        for (place, function) in functions.iter().enumerate() {
            queues.push((place, self.queue(function, claim.now.0)?));
        }
        let mut due = Vec::new();
        while !queues.is_empty() && due.len() < claim.most {
            let mut failed = None;
            queues.retain_mut(|(place, queue)| match queue.next() {
                Some(Ok((time, id))) => {
                    due.push((*place, time, id));
                    true
                }
                Some(Err(error)) => {
                    failed = Some(error);
                    false
                }
                None => false,
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        due.truncate(claim.most);
        Ok(due)
    }

    /// Marks a job as taken.
    fn take(&mut self, job: &Job) -> Result<Work> {
        let mut next = job.clone();
        let work = if job.state == JobState::Queued {
            (next.state, next.attempts) = (JobState::Running, job.attempts + 1);
            let request = self.requests.get(job.id.0)?;
            match request.and_then(|bytes| JobRequest::decode(bytes.value())) {
                Some(request) => Work::Run(next.clone(), request),
                None => Work::Damaged(next.clone()),
            }
        } else {
            next.set_callback(CallbackState::Calling);
            let response = self.responses.get(job.id.0)?;
            let response = response.and_then(|bytes| JobResponse::decode(bytes.value()));
            Work::Notify(StoredJob { job: next.clone(), response })
        };
        self.replace(Some(job), Some(&next))?;
        Ok(work)
    }

    pub(super) fn settle(
        &mut self,
        (id, attempt, settlement, now): &(JobId, u32, Settlement, Timestamp),
    ) -> Result<Option<Job>> {
        self.claims.push((id.0, false));
        let Some(job) = self.job(id.0)? else { return Ok(None) };
        let runs = job.state == JobState::Running && job.attempts == *attempt;
        let calls = job.calls(CallbackState::Calling);
        let mut next = job.clone();
        match settlement {
            Settlement::Release { due, has_run } if runs => {
                (next.state, next.due) = (JobState::Queued, *due);
                match has_run {
                    true => next.interruptions += 1,
                    false => next.attempts -= 1,
                }
            }
            Settlement::Retry { due, failure } if runs => {
                (next.state, next.due) = (JobState::Queued, *due);
                (next.failures, next.failure) = (job.failures + 1, Some(failure.clone()));
            }
            Settlement::End { state, failure, response, expires, has_run } if runs => {
                (next.state, next.failure) = (*state, failure.clone());
                (next.ended, next.expires, next.due) = (Some(*now), Some(*expires), *now);
                match has_run {
                    true => next.failures += u32::from(*state == JobState::Failed),
                    false => next.attempts -= 1,
                }
                if *state == JobState::Succeeded {
                    // There is no further attempt.
                    self.requests.remove(id.0)?;
                    next.request_bytes = 0;
                }
                next.response_bytes = self.keep_response(id.0, response.as_ref())?;
            }
            Settlement::Notified { is_delivered } if calls => {
                next.set_callback(match is_delivered {
                    true => CallbackState::Delivered,
                    false => CallbackState::GivenUp,
                })
            }
            Settlement::NotifyLater { due } if calls => {
                next.due = *due;
                next.callback.iter_mut().for_each(|callback| callback.failures += 1);
                next.set_callback(CallbackState::Waiting);
            }
            _ => return Ok(Some(job)),
        }
        self.replace(Some(&job), Some(&next))?;
        Ok(Some(next))
    }

    /// Stores a response, without its body if the store has no room for it.
    /// Returns its bytes.
    fn keep_response(&mut self, id: u128, response: Option<&JobResponse>) -> Result<u64> {
        let Some(response) = response else { return Ok(0) };
        let mut bytes = response.encode();
        let most = self.limits.bytes.saturating_mul(2);
        if !response.body.is_empty() && self.counts.bytes + bytes.len() as u64 > most {
            bytes = response.without_body().encode();
        }
        self.responses.insert(id, &*bytes)?;
        Ok(bytes.len() as u64)
    }

    pub(super) fn change(
        &mut self,
        (id, change, now): &(JobId, Change, Timestamp),
    ) -> Result<Option<(Job, bool)>> {
        let Some(job) = self.job(id.0)? else { return Ok(None) };
        let mut next = job.clone();
        match change {
            Change::Cancel { expires } if !job.state.is_end() => {
                (next.state, next.due) = (JobState::Canceled, *now);
                (next.ended, next.expires) = (Some(*now), Some(*expires));
            }
            Change::Retry { deadline }
                if matches!(job.state, JobState::Failed | JobState::Canceled) =>
            {
                (next.state, next.due, next.deadline) = (JobState::Queued, *now, *deadline);
                (next.ended, next.expires, next.failures) = (None, None, 0);
                self.responses.remove(id.0)?;
                next.response_bytes = 0;
                next.callback.iter_mut().for_each(|callback| callback.failures = 0);
                next.set_callback(CallbackState::Waiting);
            }
            Change::Remove => {
                self.replace(Some(&job), None)?;
                return Ok(Some((job, true)));
            }
            Change::Cancel { .. } | Change::Retry { .. } => return Ok(Some((job, false))),
        }
        self.replace(Some(&job), Some(&next))?;
        Ok(Some((next, true)))
    }

    pub(super) fn mark(&mut self, (name, at): &(String, Timestamp)) -> Result<()> {
        self.is_changed = true;
        self.marks.insert(&**name, at.0)?;
        Ok(())
    }

    /// Removes jobs that have expired.
    fn sweep(&mut self, now: Timestamp) -> Result<()> {
        for _ in 0..SWEEP {
            let first = self.expiry.first()?.map(|(entry, _)| entry.value());
            let Some((time, id)) = first.filter(|(time, _)| *time <= now.0) else { break };
            match self.job(id)? {
                Some(job) => self.replace(Some(&job), None)?,
                None => drop(self.expiry.remove((time, id))?),
            }
        }
        Ok(())
    }

    fn job(&self, id: u128) -> Result<Option<Job>> {
        self.jobs.get(id)?.map(|bytes| record(bytes.value())).transpose()
    }

    /// Replaces a job's record, and its entries in all indexes.
    fn replace(&mut self, old: Option<&Job>, new: Option<&Job>) -> Result<()> {
        self.is_changed = true;
        if let Some(job) = old {
            let id = job.id.0;
            self.due.remove((&*job.function, job.due.0, id))?;
            self.taken.remove(id)?;
            if let Some(expires) = job.expires {
                self.expiry.remove((expires.0, id))?;
            }
            if job.state == JobState::Failed {
                self.dead.remove(id)?;
            }
            let count = &mut self.counts.by_state[job.state as usize];
            *count = count.saturating_sub(1);
            self.counts.bytes = self.counts.bytes.saturating_sub(job.stored_bytes());
        }
        match (old, new) {
            (_, Some(job)) => self.insert(job),
            (Some(job), None) => self.forget(job),
            (None, None) => Ok(()),
        }
    }

    fn insert(&mut self, job: &Job) -> Result<()> {
        let id = job.id.0;
        if job.is_waiting() {
            self.due.insert((&*job.function, job.due.0, id), ())?;
        }
        if job.is_taken() {
            self.taken.insert(id, ())?;
        }
        if let Some(expires) = job.expires {
            self.expiry.insert((expires.0, id), ())?;
        }
        if job.state == JobState::Failed {
            self.dead.insert(id, ())?;
        }
        self.counts.by_state[job.state as usize] += 1;
        self.counts.bytes = self.counts.bytes.saturating_add(job.stored_bytes());
        self.jobs.insert(id, &*encoded(job, &[]))?;
        Ok(())
    }

    fn forget(&mut self, job: &Job) -> Result<()> {
        let id = job.id.0;
        self.jobs.remove(id)?;
        self.requests.remove(id)?;
        self.responses.remove(id)?;
        if let Some(key) = &job.key {
            self.keys.remove(key)?;
        }
        Ok(())
    }
}

/// Reads a record.
pub(super) fn record<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let damaged = |error| redb::Error::Corrupted(format!("a record can't be read: {error}"));
    postcard::from_bytes(bytes).map_err(damaged)
}

/// The entries of all indexes, sorted.
#[cfg(test)]
pub(super) fn index_keys(read: &redb::ReadTransaction) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for entry in read.open_table(DUE)?.iter()? {
        let entry = entry?;
        let (function, due, id) = entry.0.value();
        keys.push(format!("due {function} {due} {id}"));
    }
    for entry in read.open_table(EXPIRY)?.iter()? {
        let (time, id) = entry?.0.value();
        keys.push(format!("expiry {time} {id}"));
    }
    for (name, table) in [("taken", TAKEN), ("dead", DEAD)] {
        for entry in read.open_table(table)?.iter()? {
            keys.push(format!("{name} {}", entry?.0.value()));
        }
    }
    for entry in read.open_table(KEYS)?.iter()? {
        keys.push(format!("key {}", entry?.1.value().0));
    }
    for (name, table) in [("request", REQUESTS), ("response", RESPONSES)] {
        for entry in read.open_table(table)?.iter()? {
            let entry = entry?;
            keys.push(format!("{name} {} {}", entry.0.value(), entry.1.value().len()));
        }
    }
    keys.sort();
    Ok(keys)
}

/// The entries that a job should have.
#[cfg(test)]
pub(super) fn expected_keys(job: &Job) -> Vec<String> {
    let id = job.id.0;
    let mut keys = Vec::new();
    if job.is_waiting() {
        keys.push(format!("due {} {} {id}", job.function, job.due.0));
    }
    if job.is_taken() {
        keys.push(format!("taken {id}"));
    }
    keys.extend(job.expires.map(|expires| format!("expiry {} {id}", expires.0)));
    if job.state == JobState::Failed {
        keys.push(format!("dead {id}"));
    }
    keys.extend(job.key.map(|_| format!("key {id}")));
    if job.request_bytes > 0 {
        keys.push(format!("request {id} {}", job.request_bytes));
    }
    if job.response_bytes > 0 {
        keys.push(format!("response {id} {}", job.response_bytes));
    }
    keys
}
