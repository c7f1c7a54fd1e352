//! A request that has ended, with everything that it started.

use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, Uri};

use super::buffer::{Buffered, SpanBuffer};
use super::span::Span;
use crate::body::{PRINCIPAL, REQUEST_ID};
use crate::context::Context;
use crate::limits::fixed;

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The invocation that the request led to.
    pub(crate) root: Span,
    /// When it ended. All other times are relative to [`Span::ended`] of the
    /// root.
    pub(crate) ended: SystemTime,
    pub(crate) method: Option<Method>,
    pub(crate) path: Option<Box<str>>,
    pub(crate) request_id: Option<String>,
    pub(crate) principal: Option<String>,
    /// The other spans, and the log lines.
    rest: Option<Arc<SpanBuffer>>,
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
            rest,
        }
    }

    /// Adds what identifies its request. The path and the principal are cut to a
    /// fixed length.
    pub(crate) fn about(mut self, ctx: &Context, request: Option<(Method, Uri)>) -> Self {
        (self.request_id, self.principal) = (ctx.value(&REQUEST_ID), ctx.value(&PRINCIPAL));
        if let Some(principal) = &mut self.principal {
            fixed::shorten(principal, fixed::TEXT);
        }
        if let Some((method, uri)) = request {
            let path = uri.path_and_query().map_or("", |path| path.as_str());
            self.path = Some(fixed::cut(path, fixed::TEXT).into());
            self.method = Some(method);
        }
        self
    }

    /// Whether anything in it has failed.
    pub(crate) fn is_failed(&self) -> bool {
        self.root.is_failed() || self.rest.as_ref().is_some_and(|rest| rest.has_failed())
    }

    /// The number of spans, with the root.
    pub(crate) fn span_count(&self) -> usize {
        1 + self.rest.as_ref().map_or(0, |rest| rest.span_count())
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
        let uri = format!("/{long}").parse().expect("a path");
        let recording = Recording::new(Span::example(1, now, now, "response"), None);
        let recording = recording.about(&ctx, Some((Method::GET, uri)));
        assert_eq!(recording.principal.map(|principal| principal.len()), Some(fixed::TEXT));
        assert_eq!(recording.path.map(|path| path.len()), Some(fixed::TEXT));
    }
}
