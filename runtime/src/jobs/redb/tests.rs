//! The store on a disk that loses what was not synchronized, and that can be
//! full.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redb::{ReadableTable, StorageBackend};

use super::*;
use crate::jobs::job::{Callback, CallbackState, JobFailure, JobState};
use crate::jobs::message::{JobRequest, JobResponse};
use crate::jobs::store::Work;
use crate::jobs::tests::job;
use crate::sync::lock;

/// A disk.
#[derive(Debug, Default)]
struct Disk {
    /// What a process reads.
    content: Vec<u8>,
    /// What a crash leaves for certain.
    durable: Vec<u8>,
    /// What has been written since: a crash leaves any part of it.
    written: Vec<(usize, Vec<u8>)>,
    /// The most bytes that it has room for.
    room: Option<usize>,
    /// The number of writes that still succeed.
    writes: Option<u32>,
}

#[derive(Clone, Debug, Default)]
struct Backend(Arc<Mutex<Disk>>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = lock(&self.0);
        let part = disk.content.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = lock(&self.0);
        disk.content.resize(len as usize, 0);
        disk.durable.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let disk = &mut *lock(&self.0);
        disk.written.clear();
        disk.durable.clone_from(&disk.content);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let disk = &mut *lock(&self.0);
        let (start, end) = (offset as usize, offset as usize + data.len());
        let full = || Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error()));
        if disk.room.is_some_and(|room| end > room) {
            return full();
        }
        if let Some(left) = &mut disk.writes {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => return full(),
            }
        }
        disk.content[start..end].copy_from_slice(data);
        disk.written.push((start, data.to_vec()));
        Ok(())
    }
}

impl Backend {
    /// The disk after a crash: each write since the last synchronization may be
    /// lost.
    fn crashed(&self, mut random: impl FnMut() -> bool) -> Self {
        let disk = lock(&self.0);
        let mut content = disk.durable.clone();
        for (start, data) in &disk.written {
            if random() {
                content[*start..*start + data.len()].copy_from_slice(data);
            }
        }
        let durable = content.clone();
        Self(Arc::new(Mutex::new(Disk { content, durable, ..Disk::default() })))
    }

    fn store(&self, limits: StoreLimits) -> RedbStore {
        let backend = self.clone();
        let open = Box::new(move || database(backend.clone()));
        RedbStore::with("/".into(), open, limits).expect("it opens")
    }
}

fn new_job(function: &str, body: &str) -> NewJob {
    let request = JobRequest {
        method: http::Method::POST,
        uri: http::Uri::from_static("/"),
        headers: http::HeaderMap::new(),
        body: body.to_owned().into(),
    };
    let job = Job { function: function.to_owned(), state: JobState::Queued, ..job(0) };
    NewJob { job, request, fingerprint: [7; 32] }
}

fn claim(now: u64, most: usize) -> Claim {
    Claim { now: Timestamp(now), most, bytes: u64::MAX }
}

fn ends(state: JobState) -> Settlement {
    let failure = JobFailure { outcome: "exit".into(), cause: None, message: String::new() };
    Settlement::End {
        state,
        failure: (state == JobState::Failed).then_some(failure),
        response: Some(JobResponse { body: "answer".into(), ..JobResponse::default() }),
        expires: Timestamp(50_000),
        has_run: true,
    }
}

fn taken(work: &Work) -> &Job {
    match work {
        Work::Run(job, _) | Work::Damaged(job) => job,
        Work::Notify(stored) => &stored.job,
    }
}

/// Checks that all indexes agree with the jobs. Returns the jobs.
async fn consistent(store: &RedbStore) -> BTreeMap<JobId, Job> {
    let jobs = store.read((), |read, (): &()| {
        let mut jobs = BTreeMap::new();
        for entry in read.open_table(tables::JOBS)?.iter()? {
            let job: Job = tables::record(entry?.1.value())?;
            jobs.insert(job.id, job);
        }
        let keys = tables::index_keys(read)?;
        let mut expected = Vec::new();
        let mut counts = JobCounts::default();
        for job in jobs.values() {
            expected.extend(tables::expected_keys(job));
            counts.by_state[job.state as usize] += 1;
            counts.bytes += job.stored_bytes();
        }
        expected.sort();
        assert_eq!(keys, expected);
        assert_eq!(read::counts(read, &())?, counts);
        Ok(jobs)
    });
    jobs.await.expect("it is read")
}

#[tokio::test]
async fn a_job_is_run_and_keeps_its_response_until_it_expires() {
    let store = Backend::default().store(StoreLimits::default());
    let new = new_job("f", "question");
    let id = new.job.id;
    assert!(matches!(store.submit(new).await, Ok(Submitted::New(_))));
    let claimed = store.claim(claim(999, 9)).await.expect("it is open");
    assert!(claimed.jobs.is_empty() && claimed.next == Some(Timestamp(1_000)));
    let claimed = store.claim(claim(1_000, 9)).await.expect("it is open");
    let [Work::Run(job, request)] = &*claimed.jobs else { panic!("{claimed:?}") };
    assert_eq!((job.attempts, &*request.body, claimed.next), (1, &b"question"[..], None));
    assert!(store.claim(claim(2_000, 9)).await.expect("it is open").jobs.is_empty());
    let now = Timestamp(2_000);
    let settled = store.settle(id, 1, ends(JobState::Succeeded), now).await.expect("it is open");
    assert_eq!(settled.expect("it exists").state, JobState::Succeeded);
    // A second end of the same attempt changes nothing.
    let again = store.settle(id, 1, ends(JobState::Failed), now).await.expect("it is open");
    assert_eq!(again.expect("it exists").state, JobState::Succeeded);
    let stored = store.get(id).await.expect("it is open").expect("it exists");
    assert_eq!(stored.response.expect("it has one").body, "answer");
    consistent(&store).await;
    let claimed = store.claim(claim(49_999, 9)).await.expect("it is open");
    assert_eq!(claimed.next, Some(Timestamp(50_000)));
    store.claim(claim(50_000, 9)).await.expect("it is open");
    assert!(store.get(id).await.expect("it is open").is_none());
    assert!(consistent(&store).await.is_empty());
}

#[tokio::test]
async fn functions_take_turns() {
    let store = Backend::default().store(StoreLimits::default());
    for function in ["a", "a", "a", "a", "b", "c", "c"] {
        store.submit(new_job(function, "")).await.expect("it has room");
    }
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let claimed = store.claim(claim(1_000, 3)).await.expect("it is open");
        let names = claimed.jobs.iter().map(|work| taken(work).function.clone());
        let mut names: Vec<_> = names.collect();
        names.sort();
        rounds.push(names.concat());
    }
    assert_eq!(rounds, ["abc", "aac", "a"]);
}

#[tokio::test]
async fn a_claim_has_a_bound_of_bytes() {
    let store = Backend::default().store(StoreLimits::default());
    for _ in 0..3 {
        store.submit(new_job("f", &"x".repeat(5_000))).await.expect("it has room");
    }
    let small = Claim { bytes: 1, ..claim(1_000, 9) };
    assert_eq!(store.claim(small).await.expect("it is open").jobs.len(), 1);
    let large = Claim { bytes: 13_000, ..claim(1_000, 9) };
    assert_eq!(store.claim(large).await.expect("it is open").jobs.len(), 2);
}

#[tokio::test]
async fn a_key_leads_to_one_job() {
    let store = Backend::default().store(StoreLimits::default());
    let keyed = |fingerprint| {
        let mut new = new_job("f", "x");
        new.job.key = Some([1; 32]);
        NewJob { fingerprint: [fingerprint; 32], ..new }
    };
    let first = keyed(1);
    let id = first.job.id;
    // Both at once, so that they share a transaction.
    let (one, two) = tokio::join!(store.submit(first), store.submit(keyed(1)));
    assert!(matches!(one, Ok(Submitted::New(_))));
    assert!(matches!(two, Ok(Submitted::Known(job)) if job.id == id));
    assert!(matches!(store.submit(keyed(2)).await, Ok(Submitted::Conflict)));
    let removed = store.change(id, Change::Remove, Timestamp(0)).await.expect("it is open");
    assert!(removed.is_some());
    assert!(matches!(store.submit(keyed(2)).await, Ok(Submitted::New(_))));
}

#[tokio::test]
async fn a_store_has_a_bound_of_jobs_and_of_bytes() {
    let limits = StoreLimits { jobs: 2, bytes: 100_000 };
    let store = Backend::default().store(limits);
    store.submit(new_job("f", "")).await.expect("it has room");
    let large = store.submit(new_job("f", &"x".repeat(100_000))).await;
    assert!(matches!(large, Err(StoreError::Full(reason)) if reason.contains("bytes")));
    store.submit(new_job("f", "")).await.expect("it has room");
    let third = store.submit(new_job("f", "")).await;
    assert!(matches!(third, Err(StoreError::Full(reason)) if reason.contains("2 jobs")));
    // A response that is too large keeps its head.
    let claimed = store.claim(claim(1_000, 1)).await.expect("it is open");
    let id = taken(&claimed.jobs[0]).id;
    let mut end = ends(JobState::Succeeded);
    if let Settlement::End { response, .. } = &mut end {
        *response = Some(JobResponse { body: vec![0; 200_000].into(), ..JobResponse::default() });
    }
    store.settle(id, 1, end, Timestamp(2_000)).await.expect("it is open");
    let stored = store.get(id).await.expect("it is open").expect("it exists");
    assert!(stored.response.expect("it has one").is_body_dropped);
    consistent(&store).await;
}

#[tokio::test]
async fn a_canceled_job_runs_again_only_if_it_is_asked_for() {
    let store = Backend::default().store(StoreLimits::default());
    let new = new_job("f", "question");
    let id = new.job.id;
    store.submit(new).await.expect("it has room");
    store.claim(claim(1_000, 1)).await.expect("it is open");
    let cancel = Change::Cancel { expires: Timestamp(9_000) };
    let changed = store.change(id, cancel, Timestamp(2_000)).await.expect("it is open");
    assert!(matches!(changed, Some((job, true)) if job.state == JobState::Canceled));
    let changed = store.change(id, cancel, Timestamp(2_000)).await.expect("it is open");
    assert!(matches!(changed, Some((_, false))));
    let retry = Change::Retry { deadline: Timestamp(99_000) };
    store.change(id, retry, Timestamp(3_000)).await.expect("it is open");
    let claimed = store.claim(claim(3_000, 1)).await.expect("it is open");
    let [Work::Run(job, request)] = &*claimed.jobs else { panic!("{claimed:?}") };
    assert_eq!((job.attempts, &*request.body), (2, &b"question"[..]));
    // The end of the first attempt comes late, and is not that of the second.
    store.settle(id, 1, ends(JobState::Succeeded), Timestamp(4_000)).await.expect("it is open");
    let stored = store.get(id).await.expect("it is open").expect("it exists");
    assert_eq!(stored.job.state, JobState::Running);
    consistent(&store).await;
}

#[tokio::test]
async fn a_callback_waits_for_the_end_and_is_repeated() {
    let store = Backend::default().store(StoreLimits::default());
    let mut new = new_job("f", "");
    let url = "https://a.example/".to_owned();
    new.job.callback = Some(Callback { url, failures: 0, state: CallbackState::Waiting });
    let id = new.job.id;
    store.submit(new).await.expect("it has room");
    store.claim(claim(1_000, 1)).await.expect("it is open");
    store.settle(id, 1, ends(JobState::Succeeded), Timestamp(2_000)).await.expect("it is open");
    let claimed = store.claim(claim(2_000, 1)).await.expect("it is open");
    let [Work::Notify(stored)] = &*claimed.jobs else { panic!("{claimed:?}") };
    assert_eq!(stored.response.as_ref().expect("it has one").body, "answer");
    let later = Settlement::NotifyLater { due: Timestamp(3_000) };
    store.settle(id, 1, later, Timestamp(2_000)).await.expect("it is open");
    consistent(&store).await;
    assert!(store.claim(claim(2_999, 1)).await.expect("it is open").jobs.is_empty());
    assert_eq!(store.claim(claim(3_000, 1)).await.expect("it is open").jobs.len(), 1);
    let delivered = Settlement::Notified { is_delivered: true };
    let job = store.settle(id, 1, delivered, Timestamp(3_000)).await.expect("it is open");
    let callback = job.expect("it exists").callback.expect("it has one");
    assert_eq!((callback.state, callback.failures), (CallbackState::Delivered, 1));
    assert!(store.claim(claim(9_000, 1)).await.expect("it is open").jobs.is_empty());
}

#[tokio::test]
async fn a_list_has_parts() {
    let store = Backend::default().store(StoreLimits::default());
    let mut ids = Vec::new();
    for at in 0..5_u64 {
        let mut new = new_job(if at % 2 == 0 { "a" } else { "b" }, "");
        new.job.id = JobId::new(Timestamp(at)).expect("random numbers");
        ids.push(new.job.id);
        store.submit(new).await.expect("it has room");
    }
    let query = JobQuery { limit: 2, function: Some("a".to_owned()), ..JobQuery::default() };
    let page = store.list(query.clone()).await.expect("it is open");
    let listed: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
    assert_eq!((listed, page.next), (vec![ids[4], ids[2]], Some(ids[2])));
    let page = store.list(JobQuery { before: page.next, ..query }).await.expect("it is open");
    let listed: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
    assert_eq!((listed, page.next), (vec![ids[0]], None));
    let failed = JobQuery { limit: 9, state: Some(JobState::Failed), ..JobQuery::default() };
    assert!(store.list(failed.clone()).await.expect("it is open").jobs.is_empty());
    store.claim(claim(1_000, 9)).await.expect("it is open");
    store.settle(ids[3], 1, ends(JobState::Failed), Timestamp(9)).await.expect("it is open");
    let page = store.list(failed).await.expect("it is open");
    assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[3]]);
}

/// What was acknowledged about a job.
#[derive(Clone, Copy, Debug)]
struct Known {
    attempts: u32,
    is_running: bool,
    ended: bool,
}

/// Makes random changes until the disk fails at a random write, crashes, and
/// checks that everything acknowledged is there.
#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let mut random = fastrand::Rng::with_seed(16);
    let (mut disk, mut known) = (Backend::default(), HashMap::<JobId, Known>::new());
    let (mut kept, mut again, mut failed) = (0, 0, 0);
    for round in 0..60 {
        let store = disk.store(StoreLimits::default());
        let jobs = consistent(&store).await;
        for (id, known) in &mut known {
            let job = jobs.get(id).unwrap_or_else(|| panic!("round {round}: {id} is lost"));
            kept += 1;
            assert!(job.attempts >= known.attempts, "round {round}: an attempt is forgotten");
            assert!(job.state.is_end() || !known.ended, "round {round}: an end is forgotten");
            assert_ne!(job.state, JobState::Running);
            if known.is_running && !job.state.is_end() {
                assert!(job.interruptions > 0, "round {round}: a repetition is not marked");
                again += 1;
            }
            *known = Known { attempts: job.attempts, is_running: false, ended: job.state.is_end() };
        }
        lock(&disk.0).writes = Some(random.u32(5..600));
        let mut running = Vec::new();
        for at in 0..40 {
            let result = match random.u8(0..4) {
                0 | 1 => {
                    let new = new_job(
                        ["a", "b"][usize::from(random.bool())],
                        &"x".repeat(random.usize(0..9_000)),
                    );
                    let id = new.job.id;
                    store.submit(new).await.map(|_| {
                        known.insert(id, Known { attempts: 0, is_running: false, ended: false });
                    })
                }
                2 => store.claim(claim(2_000 + at, random.usize(1..5))).await.map(|claimed| {
                    for work in &claimed.jobs {
                        let job = taken(work);
                        let entry = known.entry(job.id);
                        let one =
                            entry.or_insert(Known { attempts: 0, is_running: true, ended: false });
                        assert!(job.attempts > one.attempts, "two attempts have one number");
                        (one.attempts, one.is_running) = (job.attempts, true);
                        running.push((job.id, job.attempts));
                    }
                }),
                _ if running.is_empty() => Ok(()),
                _ => {
                    let (id, attempt) = running.swap_remove(random.usize(0..running.len()));
                    let state = [JobState::Succeeded, JobState::Failed][usize::from(random.bool())];
                    let mut end = ends(state);
                    if let Settlement::End { expires, .. } = &mut end {
                        *expires = Timestamp(u64::MAX);
                    }
                    let settled = store.settle(id, attempt, end, Timestamp(3_000)).await;
                    settled.map(|_| {
                        if let Some(one) = known.get_mut(&id) {
                            (one.is_running, one.ended) = (false, true);
                        }
                    })
                }
            };
            if let Err(error) = result {
                assert!(matches!(error, StoreError::Full(_)), "{error}");
                failed += 1;
                break;
            }
        }
        disk = disk.crashed(|| random.bool());
    }
    assert!(kept > 1_000 && again > 30 && failed > 20, "{kept} {again} {failed}");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_work_continues_when_there_is_room() {
    let disk = Backend::default();
    let store = disk.store(StoreLimits::default());
    let mut accepted = Vec::new();
    let rejected = loop {
        let new = new_job("f", &"x".repeat(50_000));
        let id = new.job.id;
        if accepted.len() == 8 {
            let len = lock(&disk.0).content.len();
            lock(&disk.0).room = Some(len);
        }
        match store.submit(new).await {
            Ok(_) => accepted.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(rejected, StoreError::Full(_)), "{rejected}");
    // Smaller changes may still fit; none of them is lost either way.
    let claimed = store.claim(claim(2_000, 4)).await;
    lock(&disk.0).room = None;
    let claimed = match claimed {
        Ok(claimed) => claimed,
        Err(_) => store.claim(claim(2_000, 4)).await.expect("there is room"),
    };
    assert_eq!(claimed.jobs.len(), 4);
    for work in &claimed.jobs {
        let (id, attempt) = (taken(work).id, taken(work).attempts);
        let settled = store.settle(id, attempt, ends(JobState::Succeeded), Timestamp(3_000)).await;
        assert_eq!(settled.expect("there is room").expect("it exists").attempts, 1);
    }
    let jobs = consistent(&store).await;
    assert!(accepted.iter().all(|id| jobs.contains_key(id)));
    store.submit(new_job("f", "")).await.expect("there is room");
}

#[tokio::test]
async fn a_directory_has_one_user_and_keeps_its_jobs() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("jobs");
    let open = || RedbStore::open(&path, StoreLimits::default());
    let store = open().expect("it opens");
    assert!(matches!(open(), Err(StoreError::InUse(_))));
    let new = new_job("f", "question");
    let id = new.job.id;
    store.submit(new).await.expect("it has room");
    store.mark("schedule".to_owned(), Timestamp(5)).await.expect("it is open");
    store.close().await.expect("it closes");
    assert!(matches!(store.get(id).await, Err(StoreError::Closed)));
    let store = open().expect("it opens again");
    assert!(store.get(id).await.expect("it is open").is_some());
    let marks = store.marks().await.expect("it is open");
    assert_eq!(marks.get("schedule"), Some(&Timestamp(5)));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(path.join(FILE)).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o77, 0, "other users can read it");
}

#[tokio::test]
async fn operations_that_arrive_together_share_a_commit() {
    let disk = Backend::default();
    let store = Arc::new(disk.store(StoreLimits::default()));
    let submit = |_| {
        let store = store.clone();
        tokio::spawn(async move { store.submit(new_job("f", "")).await })
    };
    let all: Vec<_> = (0..500).map(submit).collect();
    for one in all {
        tokio::time::timeout(Duration::from_secs(60), one)
            .await
            .expect("in time")
            .expect("no panic")
            .expect("it has room");
    }
    assert_eq!(consistent(&store).await.len(), 500);
}
