//! The run of a batch: jobs in, results out, and what a signal changes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::super::signals::{Kind, Signals};
use super::concurrency::{Control, processor_time};
use super::input::{Entries, Input};
use super::journal::Journal;
use super::output::{Output, Written};
use super::progress::{Progress, State, Style};
use super::resume::Resume;
use super::tally::Tally;
use crate::batch::Entry;
use crate::context::{Cause, Context};
use crate::cores;
use crate::runtime::Runtime;
use crate::sync::lock;
use crate::tasks::{GroupEnd, Policy, Results, Retry, Task, TaskGroup};

/// The results that are taken at once.
const TAKEN: usize = 256;

/// The interval in which the concurrency is adjusted and a terminal is updated.
const TICK: Duration = Duration::from_millis(100);

/// A batch that is ready to run.
pub(super) struct Batch {
    pub(super) runtime: Runtime,
    pub(super) function: String,
    pub(super) concurrency: Control,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: u32,
    pub(super) fail_fast: bool,
    pub(super) style: Style,
}

/// How a batch ended.
pub(super) enum Ending {
    /// Every job has a result.
    Complete,
    /// It was stopped by a failure, or by its timeout.
    Early,
    Signal(Kind),
}

impl Batch {
    pub(super) async fn run(
        self,
        input: Input,
        output: Output,
        journal: Journal,
        resume: Resume,
        signals: &Signals,
    ) -> anyhow::Result<(Tally, Ending)> {
        let (first, second) = (signals.next(), signals.next());
        let ctx = Context::background();
        let (ctx, _cancel) = match self.timeout {
            Some(timeout) => ctx.with_timeout(timeout),
            None => ctx.with_cancel(),
        };
        let group = self.group(&ctx);
        let mut progress = Progress::new(self.style, input.length);
        let (known, resume) = resume.split();
        let limits = self.runtime.function_info(&self.function).map(|info| info.limits);
        let body = limits.unwrap_or_default().request_body;
        let entries = input.start(&self.function, body, known)?;
        let read = entries.read.clone();
        let writer = output.start()?;
        let tally = Arc::<Mutex<Tally>>::default();
        let submitter = Submitter {
            retry: Retry::times(self.retries),
            fail_fast: self.fail_fast,
            runtime: self.runtime,
            function: self.function,
            group: group.clone(),
            sender: writer.sender.clone(),
            tally: tally.clone(),
            resume,
            journal,
        };
        let mut submitting = tokio::spawn(submitter.run(entries));
        let collector = collect(group.results(), writer.sender.clone(), tally.clone());
        let mut collecting = tokio::spawn(collector);
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        let (mut signal, mut submitted, mut canceled) = (None, None, false);
        let (mut ticks, mut control) = (Ticks::new(), self.concurrency);
        ticks.interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let not_begun = loop {
            tokio::select! {
                biased;
                ended = &mut collecting => break ended?,
                ended = &mut submitting, if submitted.is_none() => submitted = Some(ended?),
                kind = &mut first, if signal.is_none() => {
                    signal = Some(kind);
                    submitting.abort();
                    submitted = Some(Ok(None));
                    group.withdraw();
                    progress.note("stopping when the jobs that run have ended; a second signal cancels them");
                }
                _ = &mut second, if signal.is_some() && !canceled => {
                    canceled = true;
                    group.cancel_with(Cause::Operator);
                }
                _ = ticks.interval.tick() => {
                    let tally = lock(&tally).clone();
                    let (done, passed, load) = ticks.pass(tally.done());
                    if let Some(tasks) = control.observe(done, passed, load) {
                        group.set_parallelism(tasks);
                    }
                    let read = read.load(Ordering::Relaxed);
                    progress.update(&State { tally, read, unfinished: group.unfinished() });
                }
            }
        };
        // If the results can't be written, jobs still run and wait.
        group.cancel_with(Cause::ParentDone);
        drop(group);
        let submitted = match submitted {
            Some(submitted) => submitted,
            None => submitting.await?,
        };
        writer.finish().await?;
        let journal = submitted?;
        let tally = lock(&tally).clone();
        progress.finish(&tally);
        let ending = match (signal, journal) {
            (Some(kind), _) => Ending::Signal(kind),
            (None, Some(journal)) if not_begun == 0 => {
                journal.remove();
                Ending::Complete
            }
            (None, _) => Ending::Early,
        };
        Ok((tally, ending))
    }

    fn group(&self, ctx: &Context) -> TaskGroup {
        let policy = if self.fail_fast { Policy::FailFast } else { Policy::Collect };
        let unread = self.concurrency.most().saturating_mul(2).saturating_add(TAKEN);
        TaskGroup::new(ctx).parallelism(self.concurrency.current()).policy(policy).unread(unread)
    }
}

/// Submits the jobs of the input.
struct Submitter {
    runtime: Runtime,
    function: String,
    retry: Retry,
    fail_fast: bool,
    group: TaskGroup,
    sender: mpsc::Sender<Written>,
    tally: Arc<Mutex<Tally>>,
    resume: Resume,
    journal: Journal,
}

impl Submitter {
    /// Returns the journal if the whole input was submitted.
    async fn run(mut self, mut entries: Entries) -> anyhow::Result<Option<Journal>> {
        let is_whole = self.submit_all(&mut entries).await;
        self.group.close();
        Ok(is_whole?.then_some(self.journal))
    }

    async fn submit_all(&mut self, entries: &mut Entries) -> anyhow::Result<bool> {
        while let Some(piece) = entries.next().await {
            for entry in piece? {
                if !self.submit(entry).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Submits an entry. False means that no more are accepted.
    async fn submit(&mut self, entry: Entry) -> anyhow::Result<bool> {
        let (line, job) = match entry {
            Entry::Job { line, job } => (line, job),
            Entry::Rejected(rejected) => {
                lock(&self.tally).add_failure(rejected.outcome.name().to_owned());
                // It fails if the results can't be written, which is reported.
                let sent = self.sender.send(Written::Rejected(rejected)).await;
                if self.fail_fast {
                    self.group.cancel_with(Cause::custom(GroupEnd::Failed));
                }
                return Ok(sent.is_ok() && !self.fail_fast);
            }
        };
        self.journal.start(line)?;
        let task = Task::new(&self.runtime, &*self.function, job.request)
            .label(job.id.label(line))
            .retry(self.retry)
            .earlier_attempts(self.resume.earlier_attempts(line));
        Ok(self.group.submit(task).await.is_ok())
    }
}

/// Passes results on to be written. Returns the number of jobs that have not
/// begun: a resumed batch runs them.
async fn collect(
    mut results: Results,
    sender: mpsc::Sender<Written>,
    tally: Arc<Mutex<Tally>>,
) -> u64 {
    let mut not_begun = 0;
    loop {
        let mut ended = results.next_many(TAKEN).await;
        if ended.is_empty() {
            return not_begun;
        }
        let all = ended.len();
        ended.retain(|ended| ended.attempts > 0);
        not_begun += (all - ended.len()) as u64;
        lock(&tally).add_all(&ended);
        if sender.send(Written::Results(ended)).await.is_err() {
            // The results can't be written. Without its results the group ends.
            return not_begun;
        }
    }
}

/// What has passed since the last tick.
struct Ticks {
    interval: tokio::time::Interval,
    at: Instant,
    processor: Duration,
    done: u64,
}

impl Ticks {
    fn new() -> Self {
        let (interval, at) = (interval(TICK), Instant::now());
        Self { interval, at, processor: processor_time(), done: 0 }
    }

    /// The jobs that have ended since the last call, the time, and the share of all
    /// cores that this process has used.
    fn pass(&mut self, done: u64) -> (u64, Duration, f64) {
        let (now, processor) = (Instant::now(), processor_time());
        let passed = now - self.at;
        let used = processor.saturating_sub(self.processor).as_secs_f64();
        let load = used / (passed.as_secs_f64() * cores::count() as f64).max(f64::MIN_POSITIVE);
        let ended = done.saturating_sub(self.done);
        (self.at, self.processor, self.done) = (now, processor, done);
        (ended, passed, load)
    }
}
