//! The run of a batch: jobs in, results out, and what a signal changes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::super::signals::{Kind, Signals};
use super::concurrency::{Control, processor_time};
use super::input::Input;
use super::journal::Journal;
use super::output::{Output, Sink, Written};
use super::progress::{Progress, State, Style};
use super::resume::Resume;
use super::source::Source;
use super::tally::Tally;
use super::worker::{Shared, Worker};
use crate::batch::Parser;
use crate::context::{Cause, Context};
use crate::cores;
use crate::runtime::Runtime;
use crate::tasks::{Retry, Task};

/// The interval in which the concurrency is adjusted and a terminal is updated.
const TICK: Duration = Duration::from_millis(100);

/// What a first signal does.
const STOPPING: &str = "stopping when the jobs that run have ended; a second signal cancels them";

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
        let signals = (signals.next(), signals.next());
        let ctx = Context::background();
        let (ctx, cancel) = match self.timeout {
            Some(timeout) => ctx.with_timeout(timeout),
            None => ctx.with_cancel(),
        };
        let (source, sink) = (Arc::new(Source::new(journal)), Arc::<Sink>::default());
        let stopped = source.clone();
        ctx.after_func(move || stopped.stop());
        let limits = self.runtime.function_info(&self.function).map(|info| info.limits);
        let parser = Parser::new(&self.function, limits.unwrap_or_default().request_body);
        let (resume, read) = (Arc::new(resume), Arc::<AtomicU64>::default());
        let progress = Progress::new(self.style, input.length);
        let written = output.start(sink.clone())?;
        input.start(parser.lines(), resume.clone(), source.clone(), read.clone())?;
        let (runtime, request) = (self.runtime, http::Request::new(Bytes::new()));
        let task = Task::new(&runtime, self.function, request).retry(Retry::times(self.retries));
        let (fail_fast, concurrency) = (self.fail_fast, AtomicUsize::new(0));
        let shared =
            Shared { ctx, cancel, source, sink, parser, resume, task, fail_fast, concurrency };
        let (shared, workers) = (Arc::new(shared), JoinSet::new());
        let mut running =
            Running { shared, workers, runtime, control: self.concurrency, progress, read };
        running.set_concurrency(running.control.current());
        running.end(written, signals).await
    }
}

/// A batch that runs.
struct Running {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
    runtime: Runtime,
    control: Control,
    progress: Progress,
    /// The bytes of the input that were read.
    read: Arc<AtomicU64>,
}

impl Running {
    /// Waits for its end.
    async fn end(
        mut self,
        mut written: oneshot::Receiver<Written>,
        (first, second): (impl Future<Output = Kind>, impl Future<Output = Kind>),
    ) -> anyhow::Result<(Tally, Ending)> {
        let (mut first, mut second) = (pin!(first), pin!(second));
        let (mut signal, mut is_canceled, mut ticks) = (None, false, Ticks::new());
        loop {
            tokio::select! {
                biased;
                // Before it is closed it only ends if it can't write.
                failed = &mut written => return Err(unwritten(failed)),
                ended = self.workers.join_next() => match ended {
                    Some(ended) => ended.context("a job has failed in the host")?,
                    None => break,
                },
                kind = &mut first, if signal.is_none() => {
                    signal = Some(kind);
                    self.shared.source.stop();
                    self.progress.note(STOPPING);
                }
                _ = &mut second, if signal.is_some() && !is_canceled => {
                    is_canceled = true;
                    self.shared.cancel.cancel_with(Cause::Operator);
                }
                _ = ticks.interval.tick() => self.tick(&mut ticks),
            }
        }
        self.shared.sink.close();
        match written.await {
            Ok(Ok(())) => {}
            failed => return Err(unwritten(failed)),
        }
        let tally = self.shared.sink.tally();
        self.progress.finish(&tally);
        let is_complete = self.shared.source.finish()?;
        let ending = match signal {
            Some(kind) => Ending::Signal(kind),
            None if is_complete => {
                self.shared.source.remove_journal();
                Ending::Complete
            }
            None => Ending::Early,
        };
        Ok((tally, ending))
    }

    /// Adjusts the concurrency and shows the progress.
    fn tick(&mut self, ticks: &mut Ticks) {
        let (tally, read) = (self.shared.sink.tally(), self.read.load(Ordering::Relaxed));
        let (done, passed, load) = ticks.pass(tally.done());
        if let Some(jobs) = self.control.observe(done, passed, load) {
            self.set_concurrency(jobs);
        }
        self.progress.update(&State { tally, read, in_flight: self.runtime.in_flight() });
    }

    /// Starts the workers that are missing. If there are too many, some end.
    fn set_concurrency(&mut self, jobs: usize) {
        let before = self.shared.concurrency.swap(jobs, Ordering::Relaxed);
        for index in before..jobs {
            self.workers.spawn(Worker::run(self.shared.clone(), index));
        }
    }
}

/// Why the results are not written.
fn unwritten(ended: Result<Written, oneshot::error::RecvError>) -> anyhow::Error {
    match ended {
        Ok(Err(error)) => anyhow::Error::new(error).context("the results can't be written"),
        Ok(Ok(())) | Err(_) => anyhow::anyhow!("the thread that writes results has failed"),
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
        let (mut interval, at) = (interval(TICK), Instant::now());
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
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
