//! Schedules: runs of functions at certain times.
//!
//! With a queue, a run is a job: it is durable, retried, and kept with its
//! result, and the time of the last run outlasts the process. Without a queue, a
//! run is an invocation, and runs that were missed are not known.
//!
//! # Layout
//! - [`Schedule`]: when a function runs, and what happens in special cases.
//! - [`Schedules`]: all of them at work; `timer`: the task of one; `run`: its runs.

mod run;
mod schedule;
mod timer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use self::run::Previous;
pub use self::schedule::{Missed, Overlap, Schedule, ScheduleError};
use super::handle::Jobs;
use super::id::JobId;
use super::time::Timestamp;
use crate::context::{Cancel, Context};
use crate::runtime::Runtime;
use crate::sync::lock;

/// Schedules at work. Cheap to clone. They stop once a
/// [shutdown](Runtime::announce_shutdown) of their runtime is announced. Dropping
/// the last clone stops them too, and cancels invocations under way; jobs
/// continue.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::jobs::{Schedule, Schedules};
///
/// let nightly = Schedule::new("report", "0 3 * * *")?.zone("Europe/Berlin")?;
/// let schedules = Schedules::start(&runtime, None, [nightly]);
/// println!("{:?}", schedules.list());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Schedules {
    entries: Arc<[Arc<Entry>]>,
    /// Ends the tasks.
    _stop: Arc<(Cancel, Mutex<JoinSet<()>>)>,
}

/// A schedule with its state.
struct Entry {
    schedule: Schedule,
    runtime: Runtime,
    jobs: Option<Jobs>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: Option<Timestamp>,
    last: Option<Timestamp>,
    last_job: Option<JobId>,
    skipped: u64,
    previous: Option<Previous>,
}

impl State {
    /// Counts the run of that time as left out.
    fn skip(&mut self, time: Timestamp) {
        self.skipped += 1;
        self.last = Some(time);
    }
}

/// A schedule, as it is listed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// The function.
    pub function: String,
    /// The pattern.
    pub pattern: String,
    /// The time zone.
    pub zone: String,
    /// The time of the next run, without its jitter.
    pub next: Option<Timestamp>,
    /// The time for which the last run was scheduled. With a queue it outlasts
    /// the process.
    pub last: Option<Timestamp>,
    /// The job of the last run of this process, if there is a queue.
    pub last_job: Option<JobId>,
    /// The runs of this process that were left out because the one before was
    /// still under way.
    pub skipped: u64,
}

impl Schedules {
    /// Starts schedules on a runtime, with a queue if there is one. It must be
    /// called on a tokio runtime with time enabled.
    pub fn start(
        runtime: &Runtime,
        jobs: Option<&Jobs>,
        schedules: impl IntoIterator<Item = Schedule>,
    ) -> Self {
        let (stopping, stop) = Context::background().with_cancel();
        let entry = |schedule| {
            Arc::new(Entry {
                schedule,
                runtime: runtime.clone(),
                jobs: jobs.cloned(),
                state: Mutex::default(),
            })
        };
        let entries: Arc<[_]> = schedules.into_iter().map(entry).collect();
        let mut tasks = JoinSet::new();
        for entry in &*entries {
            tasks.spawn(timer::run(entry.clone(), stopping.clone()));
        }
        Self { entries, _stop: Arc::new((stop, Mutex::new(tasks))) }
    }

    /// Stops starting runs. Those under way continue.
    pub fn stop(&self) {
        self._stop.0.cancel();
    }

    /// The schedules, in the order in which they were given.
    pub fn list(&self) -> Vec<ScheduleInfo> {
        let info = |entry: &Arc<Entry>| {
            let Entry { schedule, state, .. } = &**entry;
            let State { next, last, last_job, skipped, .. } = &*lock(state);
            ScheduleInfo {
                function: schedule.function.clone(),
                pattern: schedule.pattern.clone(),
                zone: schedule.zone_name().to_owned(),
                next: *next,
                last: *last,
                last_job: *last_job,
                skipped: *skipped,
            }
        };
        self.entries.iter().map(info).collect()
    }
}

impl std::fmt::Debug for Schedules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// The longest sleep. The system's clock may be set, and a sleep does not notice.
const SLEEP: Duration = Duration::from_secs(60);
