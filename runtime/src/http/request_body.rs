//! The body of a request. It fails if its client stops sending.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::unread::Rest;
use crate::body::BodyError;
use crate::limits::stall::{StallLimits, StallTimer};

/// A request's body that fails if its client stalls.
pub(super) struct RequestBody {
    /// `None` only after it is dropped.
    incoming: Option<Incoming>,
    stall: StallTimer,
    /// Receives the rest if this is dropped before the end.
    rest: Option<Rest>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, limits: StallLimits, rest: Option<Rest>) -> Self {
        Self { incoming: Some(incoming), stall: StallTimer::new(limits), rest }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let (Some(incoming), Some(rest)) = (self.incoming.take(), self.rest.take())
            && !incoming.is_end_stream()
        {
            rest.take(incoming);
        }
    }
}

/// The error of a client that stalled within a body.
fn stalled(StallLimits { idle, rate }: StallLimits) -> BodyError {
    let mut text = format!("the client stopped sending: not a byte for {idle:?}");
    if rate > 0 {
        text += &format!(", or fewer than {rate} bytes a second on the whole");
    }
    text.into()
}

impl HttpBody for RequestBody {
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
        Poll::Ready(Some(Err(stalled(stall.limits))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
