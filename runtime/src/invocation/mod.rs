//! One invocation: a guest's run, raced against its context.
//!
//! A guest that spins is never inside a host call, and one that waits is never
//! inside Wasm. The race therefore has two arms, and both end the guest at the
//! same moment, when the grace period after *done* is over:
//!
//! - Every tick the engine's epoch stops a running guest for a moment. After
//!   its grace period the guest is interrupted; before that it yields, so that
//!   other invocations, timers and connections make progress.
//! - Concurrently with the call, a timer waits for the context and then for the
//!   grace period. If it completes first, the call is dropped together with
//!   everything that the call waits for.
//!
//! The call is polled first: one that completes at once never registers a
//! timer.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Trap as TrapCode, WasmBacktrace};

use crate::body::Response;
use crate::context::Context;
use crate::engine::Engine;
use crate::engine::faults::FaultWatch;
use crate::engine::ticker::{Alarms, Ticking};
use crate::function::{Deployed, Instance};
use crate::guest::{Exit, Inputs, Misuse, State, give_up_at, overdue};
use crate::limits::fixed;
use crate::outcome::{Outcome, Trap, Usage};
use crate::telemetry::Trail;

/// The maximum number of frames of a backtrace, and the maximum length of a
/// name that is demangled, in bytes.
const FRAMES: usize = 20;
const SYMBOL: usize = 2 << 10;

/// An invocation that has its instance and is ready to run.
pub(crate) struct Invocation<'a> {
    function: &'a Deployed,
    ctx: &'a Context,
    /// Its instance, until that is returned to the pool or discarded.
    instance: Option<Box<Instance>>,
    started: Instant,
    /// The time to get its instance.
    checkout: Duration,
    alarms: &'a Alarms,
    _ticking: Ticking<'a>,
}

/// An invocation that has ended.
pub(crate) struct Finished {
    pub(crate) result: Result<Response, Outcome>,
    pub(crate) usage: Usage,
    /// What is recorded of it besides.
    pub(crate) trail: Option<Box<Trail>>,
}

impl<'a> Invocation<'a> {
    /// Checks out an instance of `function` for a run under `ctx`. The context
    /// belongs to this invocation alone: it has the deadline, and the code that
    /// derived it ends it afterwards.
    pub(crate) fn start(
        engine: &'a Engine,
        function: &'a Deployed,
        ctx: &'a Context,
        inputs: Inputs,
    ) -> Result<Self, Outcome> {
        let started = inputs.started;
        let ticking = engine.ticker.keep_running();
        let instance = function.check_out(inputs).map_err(|error| not_made(&error))?;
        let checkout = started.elapsed();
        let alarms = engine.ticker.alarms();
        let instance = Some(instance);
        Ok(Self { function, ctx, instance, started, checkout, alarms, _ticking: ticking })
    }

    /// Runs the guest until it ends or is stopped.
    ///
    /// # Cancel safety
    /// Dropping the future ends the guest at once, without a grace period.
    pub(crate) async fn finish(mut self) -> Finished {
        let Self { function, ctx, started, checkout, .. } = self;
        let Some(instance) = &mut self.instance else {
            let result = Err(Outcome::Host("it has no instance".into()));
            return Finished { result, usage: Usage::default(), trail: None };
        };
        let (mut meter, grace) = (Meter::default(), function.limits.grace);
        let ended = tokio::select! {
            biased;
            ended = in_time(instance.run(), (ctx, grace), started, &mut meter) => ended,
            () = overrun(self.alarms, ctx, grace) => None,
        };
        if is_interruption(&ended)
            && let Some(at) = give_up_at(ctx, grace)
        {
            function.counters.interrupted(at.elapsed());
        }
        let state = instance.state();
        let ordinary = matches!(ended, Some(Ok(()))) && state.is_ordinary();
        let (request_bytes, response_bytes) = state.run.body_bytes();
        let (calls, fetches) = state.run.made();
        let peak_memory = state.memory.peak;
        let cpu = meter.cpu.saturating_sub(state.run.callee_cpu);
        let result = conclude(state, ended, function);
        let is_failed =
            result.as_ref().map_or(true, |response| response.status().is_server_error());
        let trail = state.run.trail(is_failed, started.elapsed());
        let (faults, mut used) = (&mut meter.faults, self.instance.take());
        if ordinary && result.is_ok() {
            used = used.and_then(|instance| function.check_in(instance, started, faults).err());
        }
        if let Some(discarding) = used.and_then(|instance| instance.discard(faults)) {
            // The instance holds a slot until then. An error is a panic, which
            // is logged.
            let _ = discarding.await;
        }
        let usage = Usage {
            wall: started.elapsed(),
            queue: Duration::ZERO,
            checkout,
            grace: ctx.done_since().map_or(Duration::ZERO, |since| since.elapsed()),
            cpu,
            peak_memory,
            request_bytes,
            response_bytes,
            calls,
            fetches,
        };
        Finished { result, usage, trail }
    }
}

impl Drop for Invocation<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.discard(&mut FaultWatch::unknown());
        }
    }
}

/// The cost of a run.
#[derive(Default)]
struct Meter {
    cpu: Duration,
    /// Whether the run was polled.
    polled: bool,
    faults: FaultWatch,
}

/// This thread's processor time.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Polls a guest's run as long as its time is not up, and measures the
/// processor time of the polls. The first begins just after `started`.
///
/// A preempted guest has a whole tick before the epoch interrupts it again. If
/// thousands of guests spin, each would have that tick after its grace period,
/// and the last of them would end seconds late.
///
/// The first poll is measured by the wall clock: most invocations end within
/// it, no guest runs for longer than a tick in it, and asking the system for
/// processor time would cost a short one a tenth of its run. All further polls
/// are measured by the thread's own clock, which excludes the time in which
/// another thread had the processor.
async fn in_time<T>(
    run: impl Future<Output = T>,
    (ctx, grace): (&Context, Duration),
    started: Instant,
    meter: &mut Meter,
) -> Option<T> {
    let mut run = pin!(run);
    poll_fn(|cx| {
        let first = !std::mem::replace(&mut meter.polled, true);
        if !first && overdue(ctx, grace) {
            return Poll::Ready(None);
        }
        let before = if first { None } else { Some(thread_time()) };
        meter.faults.begin();
        let polled = run.as_mut().poll(cx);
        if polled.is_pending() {
            meter.faults.end();
        }
        meter.cpu += match before {
            Some(before) => thread_time().saturating_sub(before),
            None => started.elapsed(),
        };
        polled.map(Some)
    })
    .await
}

/// Waits until the guest's grace period is over.
async fn overrun(alarms: &Alarms, ctx: &Context, grace: Duration) {
    if ctx.err().is_none() {
        match ctx.deadline().and_then(|deadline| deadline.checked_add(grace)) {
            Some(at) => tokio::select! {
                biased;
                () = ctx.ended() => {}
                () = alarms.at(at) => {}
            },
            None => ctx.ended().await,
        }
    }
    if let Some(at) = give_up_at(ctx, grace) {
        alarms.at(at).await;
    }
}

/// Whether the guest was ended from outside.
fn is_interruption(ended: &Option<wasmtime::Result<()>>) -> bool {
    match ended {
        Some(Ok(())) => false,
        Some(Err(error)) => error.downcast_ref() == Some(&TrapCode::Interrupt),
        None => true,
    }
}

/// Determines the outcome of the guest; `None` means that its call was dropped.
fn conclude(
    state: &mut State,
    ended: Option<wasmtime::Result<()>>,
    function: &Deployed,
) -> Result<Response, Outcome> {
    state.end_output();
    let failure = match ended {
        Some(ended) if Exit::is_success(&ended) => None,
        Some(ended) => ended.err(),
        None => Some(wasmtime::Error::from(TrapCode::Interrupt)),
    };
    if failure.is_none()
        && state.run.overflow.is_none()
        && let Some(response) = state.run.take_response()
    {
        return Ok(response);
    }
    // Once the context is done, the guest's result is only its reaction to
    // that; and a guest is not at fault if its request was cut off.
    if let (Some(done), Some(cause)) = (state.run.ctx.err(), state.run.ctx.cause()) {
        return Err(Outcome::Done(done, cause));
    }
    if let Some(outcome) = state.run.body.failure.take().or_else(|| state.run.overflow.take()) {
        return Err(outcome);
    }
    if let Some(reason) = state.run.malformed.take() {
        return Err(Outcome::BadResponse(reason));
    }
    Err(match failure {
        Some(error) => failed(state, &error, function.limits.memory),
        None => Outcome::BadResponse("it ended without one".into()),
    })
}

fn not_made(error: &wasmtime::Error) -> Outcome {
    match error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>() {
        Some(_) => Outcome::Busy,
        None => Outcome::Host(chain(error)),
    }
}

/// An error with all its causes, which may quote the guest.
fn chain(error: &wasmtime::Error) -> String {
    fixed::display(&format_args!("{error:#}"), fixed::MESSAGE)
}

fn failed(state: &State, error: &wasmtime::Error, limit: u64) -> Outcome {
    let reason = if let Some(Exit(code)) = error.downcast_ref() {
        return Outcome::Exit(*code);
    } else if let Some(misuse) = error.downcast_ref::<Misuse>() {
        misuse.to_string()
    } else if let Some(code) = error.downcast_ref::<TrapCode>() {
        // A guest that was refused memory ends with `unreachable`.
        if *code == TrapCode::UnreachableCodeReached && state.memory.refused {
            return Outcome::OutOfMemory { limit };
        }
        code.to_string()
    } else if error.is::<WasmBacktrace>() {
        // An import raised it, and every argument of an import comes from the
        // guest. The WASI library has many such errors and no type for them: a
        // bad pointer, too much to copy, a full table.
        fixed::display(&error.root_cause(), fixed::TEXT)
    } else {
        // Raised outside of the guest: the host's own.
        return Outcome::Host(chain(error));
    };
    Outcome::Trap(Trap { reason, backtrace: backtrace(error), stderr: state.run.stdio.tail() })
}

fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frames = backtrace.frames().iter();
    frames.filter_map(|frame| frame.func_name()).take(FRAMES).map(symbol).collect()
}

/// A function's name, demangled. The guest chose it, so only the start of it is
/// read.
fn symbol(name: &str) -> String {
    if name.len() > SYMBOL {
        return fixed::cut(name, fixed::TEXT).into_owned();
    }
    fixed::display(&format_args!("{:#}", rustc_demangle::demangle(name)), fixed::TEXT)
}
