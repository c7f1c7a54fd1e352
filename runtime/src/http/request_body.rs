//! The body of a request. It fails if its client stops sending.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::unread::Rest;
use crate::body::BodyError;
use crate::limits::stall::{StallLimits, StallTimer};

/// A request's body that fails if its client stalls.
pub(super) struct Paced {
    /// `None` only after it is dropped.
    incoming: Option<Incoming>,
    stall: StallTimer,
    /// Receives the rest if this is dropped before the end.
    rest: Option<Rest>,
}

impl Paced {
    pub(super) fn new(incoming: Incoming, stall_limits: StallLimits) -> Self {
        Self { incoming: Some(incoming), stall: StallTimer::new(stall_limits), rest: None }
    }

    /// Sends the rest to `rest` if this is dropped before the end.
    pub(super) fn with_rest(mut self, rest: Rest) -> Self {
        self.rest = Some(rest);
        self
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if let (Some(incoming), Some(rest)) = (self.incoming.take(), self.rest.take())
            && !incoming.is_end_stream()
        {
            rest.take(incoming);
        }
    }
}

/// A client stalled within a body.
#[derive(Debug)]
struct Stopped(StallLimits);

impl std::error::Error for Stopped {}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StallLimits { idle, rate } = self.0;
        write!(f, "the client stopped sending: not a byte for {idle:?}")?;
        if rate > 0 {
            write!(f, ", or fewer than {rate} bytes a second on the whole")?;
        }
        Ok(())
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { incoming, stall, rest } = &mut *self;
        let Some(incoming) = incoming else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                stall.progress(frame.data_ref().map_or(0, Bytes::len));
            } else if frame.is_none() {
                *rest = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(stall.poll_stalled(cx));
        Poll::Ready(Some(Err(Stopped(stall.limits).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
