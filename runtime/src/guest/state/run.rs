//! The state of one invocation, for its host calls.

use std::mem::take;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use wasmtime_wasi::p1::WasiP1Ctx;

use super::calls::Calls;
#[cfg(feature = "server")]
use super::calls::{Fetches, is_fetch};
use super::contexts::Contexts;
use super::files::Files;
use super::output::Stdio;
use super::response::{Outgoing, ResponseSender};
use crate::admission::CallTree;
use crate::body::{Body, Request, Response};
use crate::context::Context;
use crate::guest::Misuse;
use crate::guest::capabilities::Capabilities;
use crate::guest::cgi::Cgi;
use crate::outcome::Outcome;
use crate::propagation::trace::{TRACE, Trace};
use crate::telemetry::Trail;
#[cfg(feature = "server")]
use crate::telemetry::recorder::SpanParent;
use crate::telemetry::recorder::SpanRecorder;

/// The state of one invocation, for its host calls.
pub(crate) struct Run {
    pub(crate) ctx: Context,
    pub(crate) started: Instant,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) response: Option<Response>,
    pub(crate) outgoing: Outgoing,
    /// The reason why no more of its response is accepted.
    pub(crate) overflow: Option<Outcome>,
    /// The sender for a response that starts before the invocation has ended.
    pub(crate) sender: Option<ResponseSender>,
    /// What is wrong with the response, if it is malformed.
    pub(crate) malformed: Option<String>,
    pub(crate) stdio: Stdio,
    pub(crate) files: Files,
    /// The state of a CGI guest.
    pub(crate) cgi: Option<Box<Cgi>>,
    /// Its id, if it is listed.
    pub(crate) id: Option<u64>,
    /// The number of callers above it.
    pub(crate) depth: u32,
    /// Its call tree, once there is one.
    pub(crate) tree: Option<Arc<CallTree>>,
    pub(crate) contexts: Contexts,
    pub(crate) calls: Calls,
    /// Created with the first fetch: most invocations make none.
    #[cfg(feature = "server")]
    pub(crate) fetches: Option<Box<Fetches>>,
    /// Its span of a trace, once it was needed.
    pub(crate) trace: Option<Trace>,
    /// Records what it starts and what it logs.
    pub(crate) spans: SpanRecorder,
    /// Processor time of its callees that was counted as its own.
    pub(crate) callee_cpu: Duration,
    pub(crate) wasi: Option<Box<WasiP1Ctx>>,
}

/// The inputs of an invocation.
pub(crate) struct Inputs {
    pub(crate) ctx: Context,
    /// The time of its admission.
    pub(crate) started: Instant,
    pub(crate) request: Request,
    /// The maximum length of the request's body in bytes.
    pub(crate) body_limit: u64,
    /// Its id, if it is listed.
    pub(crate) id: Option<u64>,
    /// The number of callers above it.
    pub(crate) depth: u32,
    /// Its call tree, if a function called it.
    pub(crate) tree: Option<Arc<CallTree>>,
    /// Its span, if a function called it.
    pub(crate) trace: Option<Trace>,
    pub(crate) spans: SpanRecorder,
    /// The sender for a response that starts before the invocation has ended.
    pub(crate) sender: Option<ResponseSender>,
}

/// The request's body on its way to the guest.
pub(crate) struct Incoming {
    pub(crate) body: Body,
    /// The unread part of the last piece.
    pub(crate) piece: Bytes,
    /// The bytes that the body may still have.
    pub(crate) left: u64,
    /// The reason why the body broke off.
    pub(crate) failure: Option<Outcome>,
    pub(crate) limit: u64,
}

impl Run {
    /// The state of an instance that runs no invocation.
    pub(crate) fn none(started: Instant) -> Self {
        let (head, body) = Request::default().into_parts();
        Self {
            ctx: Context::background(),
            started,
            head,
            body: Incoming::new(body, 0),
            response: None,
            outgoing: Outgoing::None,
            overflow: None,
            sender: None,
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
            spans: SpanRecorder::off(),
            callee_cpu: Duration::ZERO,
            wasi: None,
        }
    }

    /// Sets the inputs of an invocation. Everything else must be as in
    /// [`none`](Self::none). It sets each field in place, because this state is
    /// large and a move copies it.
    pub(super) fn begin(&mut self, inputs: Inputs) {
        let Inputs { ctx, started, request, body_limit, id, depth, tree, trace, spans, sender } =
            inputs;
        let (head, body) = request.into_parts();
        (self.ctx, self.started) = (ctx, started);
        (self.head, self.body) = (head, Incoming::new(body, body_limit));
        (self.id, self.depth, self.tree, self.trace) = (id, depth, tree, trace);
        (self.spans, self.sender) = (spans, sender);
    }

    /// The response of the guest, unless it was already sent.
    pub(crate) fn take_response(&mut self) -> Option<Response> {
        let mut response = self.response.take()?;
        if let Some(body) = take(&mut self.outgoing).whole() {
            *response.body_mut() = body.into();
        }
        Some(response)
    }

    /// The bytes of the request's body that have arrived, and of the response's
    /// body that the guest has written.
    pub(crate) fn body_bytes(&self) -> (u64, u64) {
        let written = self.outgoing.written().or_else(|| self.response.as_ref()?.body().len());
        (self.body.limit - self.body.left, written.unwrap_or(0))
    }

    /// The number of its calls, and of its fetches.
    pub(crate) fn made(&self) -> (u32, u32) {
        #[cfg(feature = "server")]
        let fetches = self.fetches.as_ref().map_or(0, |fetches| fetches.made);
        #[cfg(not(feature = "server"))]
        let fetches = 0;
        (self.calls.made, fetches)
    }

    /// What is recorded of it besides its outcome. Call it when it has ended.
    pub(crate) fn trail(&mut self, is_failed: bool, wall: Duration) -> Option<Box<Trail>> {
        let spans = std::mem::replace(&mut self.spans, SpanRecorder::off());
        let head = &mut self.head;
        Trail::new(spans, self.trace, (is_failed, wall), || {
            (self.depth == 0).then(|| (take(&mut head.method), take(&mut head.uri)))
        })
    }

    /// Where the spans of what it starts are recorded.
    #[cfg(feature = "server")]
    pub(crate) fn span_parent(&self) -> Option<SpanParent> {
        self.spans.buffer().map(|buffer| SpanParent { buffer: buffer.clone(), id: self.id })
    }

    /// Its span of the request's trace, or of a trace of its own.
    pub(crate) fn trace(&mut self) -> Trace {
        let ctx = &self.ctx;
        *self.trace.get_or_insert_with(|| ctx.value(&TRACE).unwrap_or_else(Trace::root))
    }

    /// The call tree of its calls. That of a root starts with its first call.
    pub(crate) fn tree(&mut self) -> Arc<CallTree> {
        self.tree.get_or_insert_default().clone()
    }

    /// The context of a handle.
    ///
    /// # Errors
    /// The handle is not known.
    pub(crate) fn context(&self, handle: u32) -> Result<&Context, Misuse> {
        match handle {
            0 => Ok(&self.ctx),
            handle => self.contexts.derived.get(handle).map(|derived| &derived.ctx),
        }
    }

    /// Its requests to other hosts.
    #[cfg(feature = "server")]
    pub(crate) fn fetches(&mut self) -> &mut Fetches {
        self.fetches.get_or_insert_default()
    }

    /// Checks that there is a call or a fetch with that handle.
    ///
    /// # Errors
    /// The handle is not known.
    pub(crate) fn check(&mut self, handle: u32) -> Result<(), Misuse> {
        #[cfg(feature = "server")]
        if is_fetch(handle) {
            return self.fetches().open.get(handle).map(drop);
        }
        self.calls.open.get(handle).map(drop)
    }

    /// Polls the call or the fetch of a handle. Ready once it has a result.
    pub(crate) fn poll(
        &mut self,
        handle: u32,
        cx: &mut TaskContext<'_>,
        capabilities: &Capabilities,
    ) -> Poll<()> {
        #[cfg(feature = "server")]
        if is_fetch(handle) {
            let fetch = self.fetches().open.get_mut(handle);
            return fetch.map_or(Poll::Pending, |fetch| fetch.poll_head(cx));
        }
        let call = self.calls.open.get_mut(handle);
        call.map_or(Poll::Pending, |call| call.poll(cx, capabilities))
    }

    /// Whether the context of a handle may outlive the invocation.
    pub(crate) fn is_free(&self, handle: u32) -> bool {
        handle != 0 && self.contexts.derived.get(handle).is_ok_and(|derived| derived.free)
    }
}

impl Incoming {
    fn new(body: Body, limit: u64) -> Self {
        Self { body, piece: Bytes::new(), left: limit, failure: None, limit }
    }
}
