//! What the users of the queue hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::builder::JobsBuilder;
use super::id::JobId;
use super::job::{Job, StoredJob};
use super::policy::JobPolicy;
use super::store::{Change, JobCounts, JobPage, JobQuery, JobStore, NewJob, StoreError, Submitted};
use super::submission::{self, SubmitError};
use super::time::Timestamp;
use super::waiters::Waiters;
use crate::body::{Body, Request};
use crate::context::{Cancel, Cause, Context};
use crate::limits::bytes::ByteBudget;
use crate::runtime::Runtime;
use crate::runtime::queue::{Queue, Submitting};
use crate::sync::lock;

/// A queue of jobs. Cheap to clone; the clones are one queue.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::Context;
/// use hourglass::jobs::{JobPolicy, Jobs};
///
/// let jobs = Jobs::builder(&runtime).policy("report", JobPolicy::default()).open("/var/lib/jobs")?;
/// let request = http::Request::new("input");
/// let job = jobs.submit(&Context::background(), "report", request).await?;
/// let ended = jobs.wait(job.id).await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping the last clone stops it, as [`stop`](Self::stop) does.
#[derive(Clone)]
pub struct Jobs {
    pub(super) shared: Arc<Shared>,
    _stop: Arc<Cancel>,
}

/// The state that the clones, the worker and the attempts share.
pub(super) struct Shared {
    pub(super) runtime: Runtime,
    pub(super) store: Arc<dyn JobStore>,
    pub(super) policies: HashMap<String, JobPolicy>,
    pub(super) policy: JobPolicy,
    /// The slots of attempts and callbacks.
    pub(super) slots: Arc<Semaphore>,
    pub(super) most: u32,
    /// The bytes of requests whose attempts are under way.
    pub(super) memory: Arc<ByteBudget>,
    /// The bytes of submissions that are not stored yet.
    pub(super) submissions: Arc<ByteBudget>,
    /// Wakes the worker: a job may be due earlier than it knows.
    pub(super) wake: Notify,
    pub(super) waiters: Waiters,
    /// The attempts under way.
    pub(super) running: Mutex<HashMap<JobId, Cancel>>,
    /// Done once the queue is stopped.
    pub(super) stopping: Context,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Jobs {
    /// Begins to build a queue that runs jobs on a runtime. [`JobsBuilder`] lists
    /// the defaults.
    pub fn builder(runtime: &Runtime) -> JobsBuilder {
        JobsBuilder::new(runtime.clone())
    }

    pub(super) fn start(mut shared: Shared) -> Self {
        let (stopping, stop) = Context::background().with_cancel();
        shared.stopping = stopping;
        let shared = Arc::new(shared);
        let worker = tokio::spawn(super::worker::run(shared.clone()));
        *lock(&shared.worker) = Some(worker);
        let queue: Weak<dyn Queue> = Arc::downgrade(&shared) as Weak<Shared>;
        shared.runtime.set_queue(queue);
        Self { shared, _stop: Arc::new(stop) }
    }

    /// Stores a job that invokes a function with a request, and returns it. It is
    /// durable once this returns. With an idempotency key that was used before,
    /// this is the job that has it.
    ///
    /// The body is collected first; at most the function's
    /// [`request_body`](crate::Limits::request_body). Two headers of the request
    /// are not for the function: [`IDEMPOTENCY_KEY`](super::IDEMPOTENCY_KEY) and
    /// [`CALLBACK`](super::CALLBACK). The function gets
    /// [`ATTEMPT`](super::ATTEMPT) and [`JOB`](super::JOB) in their place.
    ///
    /// Of `ctx` the job keeps the values, up to 16 KiB, and with them the
    /// principal and the trace: each attempt is a child of the span in `ctx`, or
    /// of one new root. The job does not end with `ctx`.
    ///
    /// # Errors
    /// [`SubmitError`]. After [`StoreError::Full`] the job is not stored, except
    /// if the disk failed in the middle of it.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not prevent the submission.
    pub async fn submit<B: Into<Body>>(
        &self,
        ctx: &Context,
        function: &str,
        request: http::Request<B>,
    ) -> Result<Job, SubmitError> {
        self.shared.submit(ctx, function, request.map(Into::into)).await
    }

    /// The job of that id with its response; `None` if it has expired or never
    /// existed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, id: JobId) -> Result<Option<StoredJob>, StoreError> {
        self.shared.store.get(id).await
    }

    /// Waits until a job has ended, and returns it; `None` if no such job is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait(&self, id: JobId) -> Result<Option<StoredJob>, StoreError> {
        let waiter = self.shared.waiters.enter(id);
        loop {
            let ended = waiter.ended.notified();
            match self.get(id).await? {
                Some(stored) if !stored.job.state.is_end() => ended.await,
                stored => return Ok(stored),
            }
        }
    }

    /// Cancels a job that has not ended. An attempt under way is canceled with
    /// this cause, and has its grace period. Returns the job, and whether this
    /// has canceled it; `None` if no such job is stored.
    ///
    /// An attempt that begins in the same moment may run to its end; its result
    /// is dropped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel(&self, id: JobId, cause: Cause) -> Result<Option<(Job, bool)>, StoreError> {
        let now = Timestamp::now();
        let Some(stored) = self.get(id).await? else { return Ok(None) };
        let expires = now.after(self.shared.policy(&stored.job.function).keep);
        self.change(id, Change::Cancel { expires }, cause).await
    }

    /// Queues a job that has failed or was canceled again, with all its attempts
    /// and a new deadline. The number of its attempts continues. Returns the job,
    /// and whether this has queued it; `None` if no such job is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, id: JobId) -> Result<Option<(Job, bool)>, StoreError> {
        let now = Timestamp::now();
        let Some(stored) = self.get(id).await? else { return Ok(None) };
        let deadline = now.after(self.shared.policy(&stored.job.function).deadline);
        self.change(id, Change::Retry { deadline }, Cause::Operator).await
    }

    /// Removes a job, whatever its state. An attempt under way is canceled.
    /// Returns the job as it was; `None` if no such job is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let removed = self.change(id, Change::Remove, Cause::Operator).await?;
        Ok(removed.map(|(job, _)| job))
    }

    async fn change(
        &self,
        id: JobId,
        change: Change,
        cause: Cause,
    ) -> Result<Option<(Job, bool)>, StoreError> {
        let changed = self.shared.store.change(id, change, Timestamp::now()).await?;
        if let Some((job, true)) = &changed {
            if !matches!(change, Change::Retry { .. })
                && let Some(attempt) = lock(&self.shared.running).remove(&id)
            {
                attempt.cancel_with(cause);
            }
            if job.is_waiting() {
                self.shared.wake.notify_one();
            }
            self.shared.waiters.wake(id);
        }
        Ok(changed)
    }

    /// Lists jobs, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, query: JobQuery) -> Result<JobPage, StoreError> {
        self.shared.store.list(query).await
    }

    /// The number of jobs by state, and their bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn counts(&self) -> Result<JobCounts, StoreError> {
        self.shared.store.counts().await
    }

    /// Stores a job, unless one with this key is stored. Returns either.
    pub(super) async fn submit_once(
        &self,
        ctx: &Context,
        function: &str,
        request: Request,
        key: [u8; 32],
    ) -> Result<Job, SubmitError> {
        let mut new = submission::prepare(&self.shared, ctx, function, request).await?;
        new.job.key = Some(key);
        self.shared.store(new).await
    }

    /// Stores the time of an event under a name.
    pub(super) async fn mark(&self, name: String, at: Timestamp) -> Result<(), StoreError> {
        self.shared.store.mark(name, at).await
    }

    /// The stored times of events.
    pub(super) async fn marks(&self) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        self.shared.store.marks().await
    }

    /// Stops starting attempts. Those under way continue, and submissions are
    /// still stored. A queue also stops once a
    /// [shutdown](Runtime::announce_shutdown) of its runtime is announced.
    pub fn stop(&self) {
        self._stop.cancel();
    }

    /// Waits until the queue is stopped.
    #[cfg(feature = "server")]
    pub(crate) async fn stopped(&self) {
        self.shared.stopping.done().await;
    }

    /// Stops, waits until no attempt is under way, and closes the store. Attempts
    /// end on their own, or when [`Runtime::shutdown`] cancels them: their jobs
    /// then return to the queue, and the attempt does not count as a failure.
    ///
    /// # Errors
    /// [`StoreError`], if the store can't be closed. Nothing that was accepted is
    /// lost.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue stopped. Call it again to continue.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.stop();
        let worker = lock(&self.shared.worker).take();
        if let Some(worker) = worker {
            // It has ended then, even if it has panicked.
            let _ = worker.await;
        }
        let _all = self.shared.slots.acquire_many(self.shared.most).await;
        match self.shared.store.close().await {
            Err(StoreError::Closed) => Ok(()),
            closed => closed,
        }
    }
}

impl Shared {
    pub(super) fn new(builder: JobsBuilder, store: Arc<dyn JobStore>) -> Self {
        let JobsBuilder { runtime, policies, default_policy, in_flight, .. } = builder;
        let half = runtime.capacity().in_flight / 2;
        let most = in_flight.unwrap_or(half).clamp(1, Semaphore::MAX_PERMITS.min(1 << 20));
        Self {
            runtime,
            store,
            policies,
            policy: default_policy,
            slots: Arc::new(Semaphore::new(most)),
            most: most as u32,
            memory: ByteBudget::new(super::builder::MEMORY),
            submissions: ByteBudget::new(super::builder::MEMORY),
            wake: Notify::new(),
            waiters: Waiters::default(),
            running: Mutex::default(),
            stopping: Context::background(),
            worker: Mutex::default(),
        }
    }

    async fn submit(
        &self,
        ctx: &Context,
        function: &str,
        request: Request,
    ) -> Result<Job, SubmitError> {
        self.store(submission::prepare(self, ctx, function, request).await?).await
    }

    /// Stores a job, or finds the one with its key.
    async fn store(&self, new: NewJob) -> Result<Job, SubmitError> {
        match self.store.submit(new).await? {
            Submitted::New(job) => {
                self.wake.notify_one();
                Ok(job)
            }
            Submitted::Known(job) => Ok(job),
            Submitted::Conflict => Err(SubmitError::Conflict),
        }
    }

    /// The policy for the jobs of a function.
    pub(super) fn policy(&self, function: &str) -> JobPolicy {
        self.policies.get(function).unwrap_or(&self.policy).clone()
    }
}

impl Queue for Shared {
    fn enqueue(self: Arc<Self>, ctx: Context, function: Arc<str>, request: Request) -> Submitting {
        Box::pin(async move {
            let submitted = self.submit(&ctx, &function, request).await;
            Ok(submitted.map_err(|error| error.outcome())?.id.to_string())
        })
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("most", &self.shared.most).finish_non_exhaustive()
    }
}
