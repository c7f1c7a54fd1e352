//! A request that has ended, with everything that it started.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{Method, Uri, Version};

use super::buffer::{Buffered, SpanBuffer};
use super::span::Span;
use crate::body::{PRINCIPAL, REQUEST_ID};
use crate::context::Context;
use crate::limits::fixed;
use crate::propagation::trace::Trace;
use crate::telemetry::exports::Exports;

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The invocation that the request led to.
    pub(crate) root: Span,
    /// When it ended. All other times are relative to [`Span::ended`] of the
    /// root.
    pub(crate) ended: SystemTime,
    pub(crate) method: Option<Box<str>>,
    pub(crate) path: Option<Box<str>>,
    pub(crate) request_id: Option<String>,
    pub(crate) principal: Option<String>,
    /// The request's own span, if it is exported.
    pub(crate) request: Option<Box<RequestSpan>>,
    /// The other spans, and the log lines.
    rest: Option<Arc<SpanBuffer>>,
}

/// The span of a client's request, above that of its invocation.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    pub(crate) trace: Trace,
    pub(crate) started: Instant,
    /// The method and the URL, until they are recorded.
    pub(crate) target: Option<(Method, Uri)>,
    /// The pattern of the route.
    pub(crate) route: Option<Arc<str>>,
    pub(crate) version: Version,
    pub(crate) is_encrypted: bool,
    pub(crate) client: Option<IpAddr>,
}

impl Recording {
    pub(crate) fn new(root: Span, rest: Option<Arc<SpanBuffer>>) -> Self {
        Self {
            root,
            ended: SystemTime::now(),
            method: None,
            path: None,
            request_id: None,
            principal: None,
            request: None,
            rest,
        }
    }

    /// Adds what identifies its request. Everything is cut to a fixed length.
    pub(crate) fn about(mut self, ctx: &Context, request: Option<(Method, Uri)>) -> Self {
        (self.request_id, self.principal) = (ctx.value(&REQUEST_ID), ctx.value(&PRINCIPAL));
        if let Some(principal) = &mut self.principal {
            fixed::shorten(principal, fixed::TEXT);
        }
        if let Some(target) = request {
            self.set_target(&target);
        }
        self
    }

    /// Adds the span of its request.
    pub(crate) fn of_request(mut self, request: Option<Box<RequestSpan>>) -> Self {
        self.request = request;
        if let Some(target) = self.request.as_mut().and_then(|request| request.target.take()) {
            self.set_target(&target);
        }
        self
    }

    /// Sets copies: a URL shares the memory of the whole head.
    fn set_target(&mut self, (method, uri): &(Method, Uri)) {
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        self.path = Some(fixed::cut(path, fixed::TEXT).into());
        self.method = Some(fixed::cut(method.as_str(), fixed::TEXT).into());
    }

    /// Whether anything in it has failed.
    pub(crate) fn is_failed(&self) -> bool {
        self.root.is_failed() || self.rest.as_ref().is_some_and(|rest| rest.has_failed())
    }

    /// The number of spans, with the root.
    pub(crate) fn span_count(&self) -> usize {
        1 + self.rest.as_ref().map_or(0, |rest| rest.span_count())
    }

    /// About the bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.request_id, &self.principal].into_iter().flatten().map(String::len);
        let path = self.path.as_ref().map_or(0, |path| path.len());
        let rest = self.rest.as_ref().map_or(0, |rest| rest.size());
        size_of::<Self>()
            + size_of::<RequestSpan>()
            + self.root.size()
            + texts.sum::<usize>()
            + path
            + rest
    }

    /// The other spans, to be exported. Those that end from now on are exported
    /// by themselves.
    pub(crate) fn export(&self, exports: &Arc<Exports>) -> Buffered {
        self.rest.as_ref().map(|rest| rest.export(exports)).unwrap_or_default()
    }

    /// The other spans, and the log lines.
    pub(crate) fn rest(&self) -> Buffered {
        self.rest.as_ref().map(|rest| rest.read()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_a_client_sends_is_cut() {
        let (now, long) = (Instant::now(), "x".repeat(10_000));
        let ctx = Context::background().with_value(&PRINCIPAL, long.clone());
        let uri: Uri = format!("/{long}").parse().expect("a path");
        let target = (Method::from_bytes(long.as_bytes()).expect("a method"), uri);
        let recording = || Recording::new(Span::example(1, now, now, "response"), None);
        let request = RequestSpan {
            trace: Trace::root(),
            started: now,
            target: Some(target.clone()),
            route: None,
            version: Version::HTTP_11,
            is_encrypted: false,
            client: None,
        };
        for recording in [
            recording().about(&ctx, Some(target)),
            recording().about(&ctx, None).of_request(Some(Box::new(request))),
        ] {
            assert!(recording.request.as_ref().is_none_or(|request| request.target.is_none()));
            let Recording { principal, path, method, .. } = &recording;
            let lengths = [principal.as_deref(), path.as_deref(), method.as_deref()];
            assert_eq!(lengths.map(|text| text.map(str::len)), [Some(fixed::TEXT); 3]);
            assert!(recording.size() < 4_096);
        }
    }
}
