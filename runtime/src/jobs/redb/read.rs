//! What is read from the store.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable};

use super::tables::{COUNTS, DEAD, JOBS, MARKS, META, RESPONSES, Result, record};
use crate::jobs::id::JobId;
use crate::jobs::job::{Job, JobState, StoredJob};
use crate::jobs::message::JobResponse;
use crate::jobs::store::{JobCounts, JobPage, JobQuery};
use crate::jobs::time::Timestamp;

/// The most jobs that are looked at for one part of a list.
const LOOKED_AT: usize = 10_000;

pub(super) fn get(read: &ReadTransaction, id: &JobId) -> Result<Option<StoredJob>> {
    let jobs = read.open_table(JOBS)?;
    let Some(bytes) = jobs.get(id.0)? else { return Ok(None) };
    let job: Job = record(bytes.value())?;
    // Before the end it is that of an earlier attempt.
    let response = match job.state.is_end() {
        true => read.open_table(RESPONSES)?.get(id.0)?,
        false => None,
    };
    let response = response.and_then(|bytes| JobResponse::decode(bytes.value()));
    Ok(Some(StoredJob { job, response }))
}

pub(super) fn list(read: &ReadTransaction, query: &JobQuery) -> Result<JobPage> {
    let jobs = read.open_table(JOBS)?;
    let before = query.before.map_or(Bound::Unbounded, |id| Bound::Excluded(id.0));
    let range = (Bound::Unbounded, before);
    let mut page = JobPage::default();
    let mut looked_at = 0;
    let mut add = |job: Job| {
        looked_at += 1;
        let id = job.id;
        let is_listed = query.function.as_ref().is_none_or(|name| *name == job.function)
            && query.state.is_none_or(|state| state == job.state);
        if is_listed {
            page.jobs.push(job);
        }
        if page.jobs.len() >= query.limit || looked_at >= LOOKED_AT {
            page.next = Some(id);
        }
        page.next.is_none()
    };
    if query.state == Some(JobState::Failed) {
        for entry in read.open_table(DEAD)?.range::<u128>(range)?.rev() {
            let Some(bytes) = jobs.get(entry?.0.value())? else { continue };
            if !add(record(bytes.value())?) {
                break;
            }
        }
    } else {
        for entry in jobs.range::<u128>(range)?.rev() {
            if !add(record(entry?.1.value())?) {
                break;
            }
        }
    }
    Ok(page)
}

pub(super) fn counts(read: &ReadTransaction, (): &()) -> Result<JobCounts> {
    let counts = read.open_table(META)?.get(COUNTS)?.map(|bytes| record(bytes.value()));
    Ok(counts.transpose()?.unwrap_or_default())
}

pub(super) fn marks(read: &ReadTransaction, (): &()) -> Result<BTreeMap<String, Timestamp>> {
    let marks = read.open_table(MARKS)?;
    let mark = |entry: std::result::Result<
        (redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, u64>),
        _,
    >| {
        let (name, at) = entry?;
        Ok((name.value().to_owned(), Timestamp(at.value())))
    };
    marks.iter()?.map(mark).collect()
}
