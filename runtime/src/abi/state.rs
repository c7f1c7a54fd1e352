//! What a store holds for its guest during one invocation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use wasmtime::{Caller, Memory, ResourceLimiter};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;

use super::stdio::Stdio;
use crate::context::Context;
use crate::function::Deployed;
use crate::message::{Body, Request, Response};
use crate::outcome::Outcome;

/// The least that a tick lasts.
const TICK: Duration = Duration::from_millis(1);

/// One invocation, as its host calls see it.
pub(crate) struct State {
    pub(crate) ctx: Context,
    pub(super) function: Arc<str>,
    pub(super) started: Instant,
    grace: Duration,
    pub(super) head: Parts,
    pub(super) body: Incoming,
    pub(crate) response: Option<Response>,
    /// Why what the guest gave as a response is none.
    pub(crate) malformed: Option<String>,
    pub(crate) memory: MemoryMeter,
    pub(crate) stdio: Stdio,
    /// The instance's memory, once there is an instance.
    pub(super) linear: Option<Memory>,
    wasi: Option<Box<WasiP1Ctx>>,
}

/// The request's body on its way to the guest.
pub(super) struct Incoming {
    pub(super) body: Body,
    /// What is left of the piece that arrived last.
    pub(super) piece: Bytes,
    /// How many bytes may still come.
    pub(super) left: u64,
    /// Why the body broke off.
    pub(super) failure: Option<Outcome>,
    pub(super) limit: u64,
}

/// Bounds an instance's memory and table, and keeps the peak.
pub(crate) struct MemoryMeter {
    limit: u64,
    table_limit: u64,
    pub(crate) peak: u64,
    /// Whether the guest was last refused memory that it asked for.
    pub(crate) refused: bool,
}

impl State {
    pub(crate) fn new(
        ctx: Context,
        function: &Deployed,
        request: Request,
        started: Instant,
    ) -> Self {
        let (head, body) = request.into_parts();
        let limits = &function.limits;
        Self {
            ctx,
            function: function.name.clone(),
            started,
            grace: limits.grace,
            head,
            body: Incoming::new(body, limits.request_body),
            response: None,
            malformed: None,
            memory: MemoryMeter::new(limits.memory, function.table_limit()),
            stdio: Stdio::default(),
            linear: None,
            wasi: None,
        }
    }

    /// The state of an instance in which no guest code runs.
    pub(crate) fn idle() -> Self {
        Self {
            ctx: Context::background(),
            function: "".into(),
            started: Instant::now(),
            grace: Duration::ZERO,
            head: Request::default().into_parts().0,
            body: Incoming::new(Body::empty(), 0),
            response: None,
            malformed: None,
            memory: MemoryMeter::new(u64::MAX, u64::MAX),
            stdio: Stdio::default(),
            linear: None,
            wasi: None,
        }
    }

    /// Lets host calls find the instance's memory, of so many bytes.
    pub(crate) fn attach(&mut self, memory: Memory, size: usize) {
        self.linear = Some(memory);
        self.memory.peak = size as u64;
    }

    /// Whether nothing out of the ordinary happened: the context is not done,
    /// the request's body was read to its end, and no limit was met.
    pub(crate) fn is_ordinary(&self) -> bool {
        let body = &self.body;
        let read = body.failure.is_none() && body.piece.is_empty() && body.body.is_empty();
        read && !self.memory.refused && self.ctx.err().is_none()
    }

    /// Whether the guest has had its grace after its context was done.
    pub(crate) fn overdue(&self) -> bool {
        give_up_at(&self.ctx, self.grace).is_some_and(|at| at <= Instant::now())
    }

    /// Whether the guest has run for less than a tick.
    pub(crate) fn is_young(&self) -> bool {
        self.started.elapsed() < TICK
    }

    /// Why the request's body broke off, where it did.
    pub(crate) fn body_failure(&mut self) -> Option<Outcome> {
        self.body.failure.take()
    }

    /// WASI's own state, made when a guest first asks for something that only
    /// `wasmtime-wasi` answers.
    pub(super) fn wasi(&mut self) -> &mut WasiP1Ctx {
        self.wasi.get_or_insert_with(|| {
            // Nothing is opened for the guest, so there is nothing that it
            // could make handles from.
            Box::new(WasiCtxBuilder::new().build_p1())
        })
    }
}

/// When a guest is interrupted; `None` while its context is not done.
pub(crate) fn give_up_at(ctx: &Context, grace: Duration) -> Option<Instant> {
    let since = ctx.done_since()?;
    Some(since.checked_add(grace).unwrap_or(since))
}

impl Incoming {
    fn new(body: Body, limit: u64) -> Self {
        Self { body, piece: Bytes::new(), left: limit, failure: None, limit }
    }
}

impl MemoryMeter {
    fn new(limit: u64, table_limit: u64) -> Self {
        Self { limit, table_limit, peak: 0, refused: false }
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        let allowed = desired <= self.limit && maximum.is_none_or(|most| desired <= most as u64);
        self.refused = !allowed;
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
    ) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= self.table_limit && maximum.is_none_or(|most| desired <= most))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }
}

/// Shorthand for a host call's caller.
pub(super) type Call<'a> = Caller<'a, State>;
