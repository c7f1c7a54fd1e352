//! What a store holds for its guest during one invocation.
//!
//! # Layout
//! - [`State`]: an instance's part; [`run`]: the part of one invocation.
//! - [`response`]: the response that the guest writes.
//! - [`handles`]: a handle table; [`contexts`], [`calls`]: what is in them;
//!   [`files`]: the open files.
//! - [`output`]: the standard streams, and the limit on log output.

pub(crate) mod calls;
pub(crate) mod contexts;
pub(crate) mod files;
pub(crate) mod handles;
pub(crate) mod output;
pub(crate) mod response;
pub(crate) mod run;

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Caller, Memory, ResourceLimiter, Result};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;

use self::output::{LogSource, Stdio};
use self::run::{Inputs, Run};
use super::capabilities::Capabilities;
use super::cgi::{Cgi, Style};
use crate::context::{Cause, Context};
use crate::log::About;

/// The shortest tick.
const TICK: Duration = Duration::from_millis(1);

/// The state of a store: a part that lives as long as the instance, and the
/// part of one invocation.
pub(crate) struct State {
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) memory: MemoryMeter,
    /// The instance's memory, once it exists.
    pub(crate) linear: Option<Memory>,
    pub(crate) run: Run,
}

/// Bounds an instance's memory and table, and records the peak.
pub(crate) struct MemoryMeter {
    pub(crate) limit: u64,
    table_limit: u64,
    /// The memory's largest size in bytes. It is also the present one: memory
    /// never shrinks.
    pub(crate) peak: u64,
    /// Whether the last growth of the memory was refused.
    pub(crate) refused: bool,
    /// Whether any growth was refused.
    limited: bool,
}

impl State {
    /// The state of an instance that runs no guest code yet.
    pub(crate) fn new(capabilities: Arc<Capabilities>) -> Self {
        let (limit, table_limit) = (capabilities.limits.memory, capabilities.table_limit);
        let memory = MemoryMeter { limit, table_limit, peak: 0, refused: false, limited: false };
        Self { capabilities, memory, linear: None, run: Run::none(Instant::now()) }
    }

    /// Starts one invocation. The state must be new or [cleared](Self::clear).
    pub(crate) fn begin(&mut self, inputs: Inputs) {
        self.run.begin(inputs);
        if self.is_cgi() {
            self.run.cgi = Some(Cgi::new(self.run.body.body.len()));
        }
        self.memory.refused = false;
        self.memory.limited = false;
    }

    /// Drops the state of the invocation: its request, its context and its
    /// handles.
    pub(crate) fn clear(&mut self) {
        self.end_work();
        self.run = Run::none(self.run.started);
    }

    /// Ends the calls and contexts that the invocation left behind. Those that
    /// it detached under a context without cancel continue for the function's
    /// `detach` period.
    fn end_work(&mut self) {
        #[cfg(feature = "server")]
        if let Some(mut fetches) = self.run.fetches.take() {
            fetches.open.drain().for_each(crate::outbound::Fetch::cancel);
        }
        let Run { contexts, calls, .. } = &mut self.run;
        if contexts.is_empty() && calls.is_empty() {
            return;
        }
        // Calls first: their cause is to be that their caller is done, not that
        // a guard was dropped.
        let (calls, guards) = (calls.cancel_all(), contexts.cancel_all());
        let detach = self.capabilities.limits.detach;
        let outlives = !detach.is_zero() && !calls.is_empty();
        let Some(tasks) = outlives.then(|| self.capabilities.tasks()).flatten() else {
            drop(calls);
            guards.iter().for_each(|guard| guard.cancel_with(Cause::ParentDone));
            return;
        };
        tasks.spawn(async move {
            let all = async {
                for call in calls {
                    call.wait().await;
                }
            };
            // If time is up, the rest is dropped, which ends it.
            let _ = tokio::time::timeout(detach, all).await;
            guards.iter().for_each(|guard| guard.cancel_with(Cause::ParentDone));
        });
    }

    /// Whether the invocation was ordinary: the context is not done, the
    /// request's body was read to its end, and no limit was reached.
    pub(crate) fn is_ordinary(&self) -> bool {
        let body = &self.run.body;
        let read = body.failure.is_none() && body.piece.is_empty() && body.body.is_empty();
        read && !self.memory.limited && self.run.ctx.err().is_none()
    }

    /// Whether the guest's standard output is its response.
    pub(crate) fn is_cgi(&self) -> bool {
        self.capabilities.style == Style::Cgi
    }

    /// Whether the grace period is over.
    pub(crate) fn overdue(&self) -> bool {
        overdue(&self.run.ctx, self.capabilities.limits.grace)
    }

    /// Whether the guest has run for less than a tick.
    pub(crate) fn is_young(&self) -> bool {
        self.run.started.elapsed() < TICK
    }

    /// Its standard streams, and the invocation that they are logged for.
    pub(crate) fn output(&mut self) -> (&mut Stdio, LogSource<'_>) {
        let Self { capabilities, run: Run { ctx, id, trace, spans, stdio, .. }, .. } = self;
        let about = About { function: &capabilities.function, ctx, step: *trace };
        (stdio, LogSource { about, rate: &capabilities.rate, spans, id: *id })
    }

    /// Logs the rest of its output. Call it when the guest has ended.
    pub(crate) fn end_output(&mut self) {
        let (stdio, source) = self.output();
        stdio.finish(&source);
    }

    /// WASI's own state, created at the first call that only `wasmtime-wasi`
    /// implements.
    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        self.run.wasi.get_or_insert_with(|| {
            // Nothing is opened for the guest, so it can't create handles from
            // anything.
            Box::new(WasiCtxBuilder::new().build_p1())
        })
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.end_output();
        self.end_work();
    }
}

/// When a guest is interrupted; `None` while its context is not done.
pub(crate) fn give_up_at(ctx: &Context, grace: Duration) -> Option<Instant> {
    let since = ctx.done_since()?;
    Some(since.checked_add(grace).unwrap_or(since))
}

/// Whether the grace period after a context was done is over.
pub(crate) fn overdue(ctx: &Context, grace: Duration) -> bool {
    give_up_at(ctx, grace).is_some_and(|at| at <= Instant::now())
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let desired = desired as u64;
        let allowed = desired <= self.limit && maximum.is_none_or(|most| desired <= most as u64);
        self.refused = !allowed;
        self.limited |= self.refused;
        if allowed {
            self.peak = self.peak.max(desired);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(desired as u64 <= self.table_limit && maximum.is_none_or(|most| desired <= most))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> Result<()> {
        self.refused = true;
        self.limited = true;
        Ok(())
    }
}

/// The caller of a host call.
pub(crate) type Call<'a> = Caller<'a, State>;

/// The result of a host call that may wait. The engine wants it boxed, so a
/// call that need not wait returns [`std::future::ready`], which is small.
pub(crate) type HostFuture<'a, T> = Box<dyn Future<Output = Result<T>> + Send + 'a>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Request;
    use crate::limits::Limits;
    use crate::telemetry::recorder::SpanRecorder;

    impl Inputs {
        /// An empty request.
        pub(crate) fn empty() -> Self {
            Self {
                ctx: Context::background(),
                started: Instant::now(),
                request: Request::default(),
                body_limit: 0,
                id: None,
                depth: 0,
                tree: None,
                spans: SpanRecorder::off(),
                trace: None,
                sender: None,
            }
        }
    }

    #[test]
    fn a_limit_that_was_met_is_not_forgotten() {
        let limits = Limits { memory: 1 << 16, ..Limits::default() };
        let mut state = State::new(Capabilities::none(limits));
        assert!(state.is_ordinary());
        for (desired, allowed) in [(2 << 16, false), (1 << 16, true)] {
            let grown = state.memory.memory_growing(1 << 16, desired, None);
            assert_eq!(grown.expect("an answer"), allowed);
            assert!(!state.is_ordinary());
        }
        state.begin(Inputs::empty());
        assert!(state.is_ordinary());
    }
}
