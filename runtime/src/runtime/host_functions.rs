//! Host functions: code of the embedder, which functions call by name as they
//! call each other.
//!
//! A guest uses them to reach what only its host can do, such as a store, or a
//! function on another machine, always under the guest's own context.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use super::invoke::CallInfo;
use super::{Runtime, Shared};
use crate::body::{Body, Request, Response};
use crate::context::{Cause, Context};
use crate::error::{DeployError, InvokeError};
use crate::function::Function;
use crate::guest::too_long;
use crate::limits::fixed;
use crate::log::Rate;
use crate::outcome::{Outcome, Usage};
use crate::telemetry::recorder::{SpanKind, SpanRecorder};
use crate::telemetry::{FunctionCounters, NameId, Start, Trail, spans};

/// The handler of a host function.
type Handler = dyn Fn(Context, Request) -> Answering + Send + Sync;

type Answering = Pin<Box<dyn Future<Output = Result<Response, Outcome>> + Send>>;

/// A host function.
pub(super) struct Provided {
    pub(super) name: Arc<str>,
    pub(super) timeout: Duration,
    /// The rate of log records of its failures.
    pub(super) failures: Rate,
    counters: Arc<FunctionCounters>,
    /// Its id in the usage ledger, if there is one.
    usage_id: Option<NameId>,
    handler: Box<Handler>,
}

/// All host functions, by name.
#[derive(Default)]
pub(super) struct Catalogue(RwLock<HashMap<Arc<str>, Arc<Provided>>>);

impl Runtime {
    /// Lets functions call code of the embedder under a name. It replaces a
    /// host function of that name. A deployed function of the same name takes
    /// precedence. As with a deployed function, a caller must name it in its
    /// [`calls`](Function::calls), and its calls count as in flight. Clients of
    /// a front can't reach it.
    ///
    /// The context is the call's own: a child of the caller's, with `timeout`
    /// as its latest deadline. Once the context is done the future is dropped,
    /// so the handler may wait for anything and need not check the context. A
    /// streaming response body is collected before the caller gets the
    /// response. A response with headers of more than 64 KiB is an
    /// [`Outcome::BadResponse`].
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(runtime: hourglass::Runtime) -> Result<(), hourglass::DeployError> {
    /// runtime.provide("time", Duration::from_secs(1), async |_ctx, _request| {
    ///     let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    ///     Ok(http::Response::new(now.as_secs().to_string()))
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`DeployError::Name`] if the name is not valid for a function.
    pub fn provide<H, F, B>(
        &self,
        name: &str,
        timeout: Duration,
        handler: H,
    ) -> Result<(), DeployError>
    where
        H: Fn(Context, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<http::Response<B>, Outcome>> + Send + 'static,
        B: Into<Body>,
    {
        // `Function` checks the name.
        let name: Arc<str> = Function::from_bytes(name, [])?.name().into();
        let handler = Box::new(move |ctx, request| -> Answering {
            let answering = handler(ctx, request);
            Box::pin(async move { Ok(answering.await?.map(Into::into)) })
        });
        let counters = self.0.telemetry.list(&FunctionCounters::new(name.clone()));
        let provided = Arc::new(Provided {
            name: name.clone(),
            timeout,
            counters,
            usage_id: self.0.telemetry.usage_id(&name, None),
            failures: Rate::of_failures(),
            handler,
        });
        let mut all = self.0.provided.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name, provided);
        Ok(())
    }
}

impl Runtime {
    /// Removes a host function, and returns whether there was one. Calls in flight
    /// run to their end.
    pub fn withdraw(&self, name: &str) -> bool {
        let Shared { functions, provided, telemetry, .. } = &*self.0;
        let mut all = provided.0.write().unwrap_or_else(PoisonError::into_inner);
        let removed = all.remove(name).is_some();
        // A deployed function of that name has the same counters.
        if removed && functions.current(name).is_none() {
            telemetry.remove(name);
        }
        removed
    }
}

impl Catalogue {
    /// The names with their timeouts, sorted.
    #[cfg(feature = "server")]
    pub(super) fn list(&self) -> Vec<(Arc<str>, Duration)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = all.values().map(|one| (one.name.clone(), one.timeout)).collect();
        list.sort_unstable();
        list
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Provided>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Shared {
    /// Runs a host function under a context of its own, which the caller
    /// cancels afterwards.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handler's future.
    pub(super) async fn run_provided(
        &self,
        provided: &Provided,
        ctx: &Context,
        request: Request,
        info: CallInfo,
    ) -> Result<(Response, Usage), InvokeError> {
        let Provided { name, handler, .. } = provided;
        let (admitted, waiting) = self.admit(&info, ctx).await;
        let CallInfo { parent, trace, call, spans, .. } = info;
        let (started, id, kind) = (Instant::now(), self.listing.id(), SpanKind::HostFunction);
        let queue = waiting.map_or(Duration::ZERO, |since| started - since);
        let start = Start {
            name,
            version: None,
            usage_id: provided.usage_id.as_ref(),
            ctx,
            kind,
            id,
            parent,
            call,
            request: None,
            started,
        };
        let _permit = match admitted {
            Ok(permit) => permit,
            Err(outcome) => return Err(self.refuse_start(start, queue, (trace, spans), outcome)),
        };
        let live = self.telemetry.begin(&provided.counters, start);
        let _listed = self.listing.enter(id, name, parent, ctx, started);
        let span = spans::invocation(kind, name, id, ctx, trace);
        let answer = tokio::select! {
            biased;
            answer = answer(handler, ctx, request).instrument(span.clone()) => answer,
            done = ctx.done() => Err(Outcome::Done(done, ctx.cause().unwrap_or(Cause::Canceled))),
        };
        // Processor time is counted for guests only.
        let usage = Usage { wall: started.elapsed(), queue, ..Usage::default() };
        let (failure, status) = (answer.as_ref().err(), answer.as_ref().ok().map(Response::status));
        let (spans, status) = (SpanRecorder::within(spans), status.map(|s| s.as_u16()));
        let trail = Trail::new(spans, trace, (failure.is_some(), usage.wall), || None);
        spans::ended(&span, failure.unwrap_or(&Outcome::Response), status);
        live.end(failure.unwrap_or(&Outcome::Response), status, &usage, trail);
        match answer {
            Ok(response) => Ok((response, usage)),
            Err(outcome) => Err(InvokeError::new(name.clone(), outcome, usage)),
        }
    }
}

/// The handler's response, collected.
async fn answer(handler: &Handler, ctx: &Context, request: Request) -> Result<Response, Outcome> {
    let (head, body) = handler(ctx.clone(), request).await?.into_parts();
    let len = fixed::headers_len(&head.headers);
    if len > fixed::HEAD {
        return Err(Outcome::BadResponse(too_long(len)));
    }
    let failed = |error| Outcome::BadResponse(fixed::display(&error, fixed::MESSAGE));
    let body = body.bytes().await.map_err(failed)?;
    Ok(Response::from_parts(head, body.into()))
}
