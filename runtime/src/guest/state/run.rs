//! One invocation, as its host calls see it.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use wasmtime_wasi::p1::WasiP1Ctx;

use super::calls::Calls;
use super::contexts::Contexts;
#[cfg(feature = "server")]
use super::fetches::{self, Fetches};
use super::files::Files;
use super::response::{Outgoing, Outlet};
use super::stdio::Stdio;
use crate::admission::CallTree;
use crate::body::{Body, Request, Response};
use crate::context::Context;
use crate::guest::Misuse;
use crate::guest::capabilities::Reach;
use crate::guest::cgi::Cgi;
use crate::outcome::Outcome;
use crate::propagation::trace::{TRACE, Trace};

/// One invocation, as its host calls see it.
pub(crate) struct Run {
    pub(crate) ctx: Context,
    pub(crate) started: Instant,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) response: Option<Response>,
    pub(crate) outgoing: Outgoing,
    /// Why nothing more is taken of its response.
    pub(crate) overflow: Option<Outcome>,
    /// Where its response may go before it has ended.
    pub(crate) outlet: Option<Outlet>,
    /// Why what the guest gave as a response is none.
    pub(crate) malformed: Option<String>,
    pub(crate) stdio: Stdio,
    pub(crate) files: Files,
    /// Where the guest is one of that style.
    pub(crate) cgi: Option<Box<Cgi>>,
    /// Its id, where it is listed.
    pub(crate) id: Option<u64>,
    /// How many callers it has, one above the other.
    pub(crate) depth: u32,
    /// The call tree that it is part of, once there is one.
    pub(crate) tree: Option<Arc<CallTree>>,
    pub(crate) contexts: Contexts,
    pub(crate) calls: Calls,
    /// Made with the first: most invocations begin none.
    #[cfg(feature = "server")]
    pub(crate) fetches: Option<Box<Fetches>>,
    /// Its step of a trace, once somebody has asked.
    pub(crate) trace: Option<Trace>,
    /// Processor time that its callees took while it was counted as its own.
    pub(crate) lent: Duration,
    pub(crate) wasi: Option<Box<WasiP1Ctx>>,
}

/// The request's body on its way to the guest.
pub(crate) struct Incoming {
    pub(crate) body: Body,
    /// What is left of the piece that arrived last.
    pub(crate) piece: Bytes,
    /// How many bytes may still come.
    pub(crate) left: u64,
    /// Why the body broke off.
    pub(crate) failure: Option<Outcome>,
    pub(crate) limit: u64,
}

impl Run {
    pub(crate) fn new(ctx: Context, request: Request, body_limit: u64, started: Instant) -> Self {
        let (head, body) = request.into_parts();
        Self {
            ctx,
            started,
            head,
            body: Incoming::new(body, body_limit),
            response: None,
            outgoing: Outgoing::None,
            overflow: None,
            outlet: None,
            malformed: None,
            stdio: Stdio::default(),
            files: Files::default(),
            cgi: None,
            id: None,
            depth: 0,
            tree: None,
            contexts: Contexts::default(),
            calls: Calls::default(),
            #[cfg(feature = "server")]
            fetches: None,
            trace: None,
            lent: Duration::ZERO,
            wasi: None,
        }
    }

    /// When it was admitted.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Says which invocation it is, how many callers it has, and which step of
    /// a trace it is, where that is not what its context says.
    pub(crate) fn named(mut self, id: Option<u64>, depth: u32, trace: Option<Trace>) -> Self {
        (self.id, self.depth, self.trace) = (id, depth, trace);
        self
    }

    /// Makes it part of a call tree, where a function called it.
    pub(crate) fn within(mut self, tree: Option<Arc<CallTree>>) -> Self {
        self.tree = tree;
        self
    }

    /// Lets its response go out before it has ended.
    pub(crate) fn through(mut self, outlet: Option<Outlet>) -> Self {
        self.outlet = outlet;
        self
    }

    /// The response that the guest gave, as far as it has not gone out.
    pub(crate) fn take_response(&mut self) -> Option<Response> {
        let mut response = self.response.take()?;
        if let Some(body) = std::mem::take(&mut self.outgoing).whole() {
            *response.body_mut() = body.into();
        }
        Some(response)
    }

    /// Its step of the trace that its request is part of, or of one of its own.
    pub(crate) fn trace(&mut self) -> Trace {
        let ctx = &self.ctx;
        *self.trace.get_or_insert_with(|| ctx.value(&TRACE).unwrap_or_else(Trace::root))
    }

    /// The call tree that its calls are part of. A root's begins with its first.
    pub(crate) fn tree(&mut self) -> Arc<CallTree> {
        self.tree.get_or_insert_default().clone()
    }

    /// The context of a handle.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn context(&self, handle: u32) -> Result<&Context, Misuse> {
        match handle {
            0 => Ok(&self.ctx),
            handle => self.contexts.get(handle).map(|derived| &derived.ctx),
        }
    }

    /// Its requests to other hosts.
    #[cfg(feature = "server")]
    pub(crate) fn fetches(&mut self) -> &mut Fetches {
        self.fetches.get_or_insert_default()
    }

    /// Whether there is a call, or a fetch, of that handle.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn known(&mut self, handle: u32) -> Result<(), Misuse> {
        #[cfg(feature = "server")]
        if fetches::is_one(handle) {
            return self.fetches().get(handle).map(drop);
        }
        self.calls.get(handle).map(drop)
    }

    /// Goes on with the call of a handle, or the fetch; ready once there is a
    /// result.
    pub(crate) fn poll_one(
        &mut self,
        handle: u32,
        cx: &mut TaskContext<'_>,
        reach: &Reach,
    ) -> Poll<()> {
        #[cfg(feature = "server")]
        if fetches::is_one(handle) {
            return self.fetches().poll(handle, cx);
        }
        self.calls.poll(handle, cx, reach)
    }

    /// Whether the invocation's end does not end the context of a handle.
    pub(crate) fn is_free(&self, handle: u32) -> bool {
        handle != 0 && self.contexts.get(handle).is_ok_and(|derived| derived.free)
    }

    /// That of an instance which is nobody's at the moment.
    pub(crate) fn none(started: Instant) -> Self {
        Self::new(Context::background(), Request::default(), 0, started)
    }
}

impl Incoming {
    fn new(body: Body, limit: u64) -> Self {
        Self { body, piece: Bytes::new(), left: limit, failure: None, limit }
    }
}
