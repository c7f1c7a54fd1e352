//! One request, as the access log shows it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Uri, Version};

use crate::body::{CLIENT_ADDRESS, PRINCIPAL};
use crate::context::{Cause, Context};
use crate::limits::fixed;
use crate::outcome::Outcome;
use crate::propagation::trace::{TRACE, Trace};

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct AccessRecord {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) protocol: Version,
    started: Instant,
    pub(super) request_id: HeaderValue,
    /// The pattern of the route.
    pub(super) route: Option<Arc<str>>,
    /// The function that the request led to.
    pub(super) function: Option<Arc<str>>,
    /// The version of that function.
    pub(super) version: Option<Arc<str>>,
    /// The outcome's name.
    pub(super) outcome: Option<&'static str>,
    pub(super) cause: Option<&'static str>,
    /// The length of a document of the host itself.
    pub(crate) document: Option<u64>,
    pub(super) trace: Option<Trace>,
    pub(super) principal: Option<String>,
    pub(super) client: Option<IpAddr>,
}

impl AccessRecord {
    pub(crate) fn new<B>(request: &http::Request<B>, client: &Context, id: &HeaderValue) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            protocol: request.version(),
            started: Instant::now(),
            request_id: id.clone(),
            route: None,
            function: None,
            version: None,
            outcome: None,
            cause: None,
            document: None,
            trace: None,
            principal: None,
            client: client.value(&CLIENT_ADDRESS),
        }
    }

    /// Sets what is known once the request is routed.
    pub(crate) fn set_context(&mut self, ctx: &Context, route: Option<&Arc<str>>) {
        self.route = route.cloned();
        (self.trace, self.principal) = (ctx.value(&TRACE), ctx.value(&PRINCIPAL));
        // It may come from a header, which may be long.
        if let Some(principal) = &mut self.principal {
            fixed::shorten(principal, fixed::TEXT);
        }
    }

    /// Sets the function that the request led to.
    pub(super) fn set_function(&mut self, name: &Arc<str>, version: &Arc<str>) {
        (self.function, self.version) = (Some(name.clone()), Some(version.clone()));
    }

    /// Sets how the request ended.
    pub(crate) fn set_outcome(&mut self, outcome: &Outcome) {
        self.outcome = Some(outcome.name());
        self.cause = outcome.cause().map(Cause::name);
    }

    /// Whether the request failed, so that it is always logged.
    pub(super) fn is_failed(&self, status: u16) -> bool {
        status >= 500 || self.outcome.is_some_and(|outcome| outcome != Outcome::Response.name())
    }

    /// The time since the request arrived.
    pub(super) fn wall(&self) -> Duration {
        self.started.elapsed()
    }

    /// The path, with the query.
    pub(super) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("*", |path| path.as_str())
    }
}
