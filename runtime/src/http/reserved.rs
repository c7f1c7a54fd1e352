//! Paths below `/-/`, which the host answers itself in place of a function.
//!
//! They are served only for functions that enable them. Otherwise such a path is
//! routed like any other.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use super::routes::Routes;
use super::server::ServerState;
use crate::body::{Request, Response};
use crate::context::Context;
use crate::telemetry::recorder::RequestSpan;

/// A response under way. Dropping it means that the client has disconnected.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What a path leads to, if that is enabled for its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved<'a> {
    kind: Kind,
    function: &'a str,
    /// The path behind the function's name: empty, or with a `/` in front.
    rest: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Batch,
    #[cfg(feature = "jobs")]
    Async,
}

/// A request to such a path.
#[cfg_attr(not(feature = "jobs"), expect(dead_code, reason = "jobs use all of it"))]
pub(super) struct Exchange {
    pub(super) state: Arc<ServerState>,
    /// The context of the request.
    pub(super) ctx: Context,
    pub(super) request: Request,
    pub(super) request_id: String,
    /// The span of the request, if it is exported.
    pub(super) span: Option<Box<RequestSpan>>,
}

impl<'a> Reserved<'a> {
    /// What a path leads to.
    #[cfg_attr(not(feature = "jobs"), expect(unused_variables, reason = "jobs use the state"))]
    pub(super) fn find(state: &ServerState, routes: &Routes, path: &'a str) -> Option<Self> {
        let (kind, path) = path.strip_prefix("/-/")?.split_once('/')?;
        let (function, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        let kind = match kind {
            "batch" if routes.allows_batch(function) => Kind::Batch,
            #[cfg(feature = "jobs")]
            "async" if state.jobs.as_ref()?.is_enabled(function) => Kind::Async,
            _ => return None,
        };
        Some(Self { kind, function, rest })
    }

    /// Begins to answer a request.
    pub(super) fn answer(self, exchange: Exchange) -> Answering {
        let (function, rest) = (self.function.to_owned(), self.rest.to_owned());
        match self.kind {
            Kind::Batch => Box::pin(ready(super::batch::answer(exchange, &function, &rest))),
            #[cfg(feature = "jobs")]
            Kind::Async => Box::pin(super::jobs::answer(exchange, function, rest)),
        }
    }
}
