//! The runs of a schedule.

use http::{HeaderName, HeaderValue, Method};
use tokio::task::JoinHandle;

use super::Entry;
use super::schedule::Overlap;
use crate::body::{Body, REQUEST_ID, Request};
use crate::context::{Cancel, Cause, Context};
use crate::jobs::id::JobId;
use crate::jobs::job::JobState;
use crate::jobs::store::{JobQuery, StoreError};
use crate::jobs::submission::SubmitError;
use crate::jobs::time::Timestamp;
use crate::sync::lock;

/// The header with the time for which a run is scheduled, for the function.
const SCHEDULE: HeaderName = HeaderName::from_static("hourglass-schedule");

/// The most jobs that are looked at to find the last run of an earlier process.
const LOOKED_AT: usize = 1_000;

/// The last run.
pub(super) enum Previous {
    Job(JobId),
    Invocation(JoinHandle<()>, Cancel),
}

impl Entry {
    /// The time of the last run, from the store. Also finds its job, if that is
    /// still under way.
    pub(super) async fn recall(&self) -> Option<Timestamp> {
        let jobs = self.jobs.as_ref()?;
        let last = *jobs.marks().await.ok()?.get(&self.mark())?;
        let id = self.request_id(last);
        let mut found = None;
        for state in [JobState::Running, JobState::Queued] {
            let function = Some(self.schedule.function.clone());
            let query = JobQuery { function, state: Some(state), before: None, limit: LOOKED_AT };
            let page = jobs.list(query).await.ok()?;
            let is_last = |request_id: &Option<String>| request_id.as_ref() == Some(&id);
            found = found.or(page.jobs.into_iter().find(|job| is_last(&job.origin.request_id)));
        }
        let mut state = lock(&self.state);
        state.last = Some(last);
        state.previous = found.map(|job| Previous::Job(job.id));
        Some(last)
    }

    /// Starts the run of a time, unless the one before is still under way and the
    /// policy leaves it out.
    pub(super) async fn start(&self, time: Timestamp) {
        if self.is_under_way().await {
            match self.schedule.overlap {
                Overlap::Skip => {
                    lock(&self.state).skip(time);
                    self.store_last(time).await;
                    return;
                }
                Overlap::Queue => self.wait_for_previous().await,
                Overlap::CancelPrevious => self.cancel_previous().await,
            }
        }
        let started = match &self.jobs {
            Some(_) => self.submit(time).await,
            None => Ok(self.invoke(time)),
        };
        match started {
            Ok(previous) => {
                let mut state = lock(&self.state);
                state.last = Some(time);
                state.last_job = match &previous {
                    Previous::Job(id) => Some(*id),
                    Previous::Invocation(..) => None,
                };
                state.previous = Some(previous);
            }
            Err(error) => {
                let function = &self.schedule.function;
                tracing::warn!(function, %time, %error, "a scheduled run can't be started");
                return;
            }
        }
        self.store_last(time).await;
    }

    async fn is_under_way(&self) -> bool {
        let id = match &lock(&self.state).previous {
            Some(Previous::Job(id)) => *id,
            Some(Previous::Invocation(task, _)) => return !task.is_finished(),
            None => return false,
        };
        match &self.jobs {
            Some(jobs) => {
                let stored = jobs.get(id).await;
                stored.is_ok_and(|stored| stored.is_some_and(|stored| !stored.job.state.is_end()))
            }
            None => false,
        }
    }

    /// Waits for the end of an invocation. Jobs wait in their queue.
    async fn wait_for_previous(&self) {
        let previous = lock(&self.state).previous.take();
        if let Some(Previous::Invocation(task, _cancel)) = previous {
            // It has ended then, even if it has panicked.
            let _ = task.await;
        }
    }

    async fn cancel_previous(&self) {
        let cause = Cause::custom("the next run of its schedule begins");
        let previous = lock(&self.state).previous.take();
        match previous {
            Some(Previous::Job(id)) => {
                if let Some(jobs) = &self.jobs {
                    // If the store has failed, so will the next submission.
                    let _ = jobs.cancel(id, cause).await;
                }
            }
            Some(Previous::Invocation(_, cancel)) => cancel.cancel_with(cause),
            None => {}
        }
    }

    async fn submit(&self, time: Timestamp) -> Result<Previous, SubmitError> {
        let Some(jobs) = &self.jobs else { return Err(StoreError::Closed.into()) };
        // The same run is not submitted twice, even by two processes in turn.
        let key = blake3::hash(format!("schedule\0{}", self.request_id(time)).as_bytes());
        let (ctx, request) = (self.context(&Context::background(), time), self.request(time));
        let job = jobs.submit_once(&ctx, &self.schedule.function, request, key.into()).await?;
        Ok(Previous::Job(job.id))
    }

    fn invoke(&self, time: Timestamp) -> Previous {
        let (ctx, cancel) = self.context(self.runtime.context(), time).with_cancel();
        let (runtime, request) = (self.runtime.clone(), self.request(time));
        let function = self.schedule.function.clone();
        let task = tokio::spawn(async move {
            // The runtime logs its result.
            let _ = runtime.invoke_job(&ctx, &function, request).await;
        });
        Previous::Invocation(task, cancel)
    }

    fn context(&self, parent: &Context, time: Timestamp) -> Context {
        parent.with_value(&REQUEST_ID, self.request_id(time))
    }

    fn request(&self, time: Timestamp) -> Request {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::POST;
        if let Ok(uri) = format!("/{}", self.schedule.function).parse() {
            *request.uri_mut() = uri;
        }
        if let Ok(time) = HeaderValue::try_from(time.to_string()) {
            request.headers_mut().insert(SCHEDULE, time);
        }
        request
    }

    /// The id of the request of a run.
    fn request_id(&self, time: Timestamp) -> String {
        format!("schedule-{}-{}", self.schedule.function, time.0)
    }

    /// The name under which the time of the last run is stored.
    fn mark(&self) -> String {
        format!("schedule {}", self.schedule.function)
    }

    /// Stores the time of the last run, for the process after this one.
    async fn store_last(&self, time: Timestamp) {
        if let Some(jobs) = &self.jobs
            && let Err(error) = jobs.mark(self.mark(), time).await
        {
            let function = &self.schedule.function;
            tracing::warn!(function, %error, "the time of a scheduled run can't be stored");
        }
    }
}
