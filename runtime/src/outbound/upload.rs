//! A request's body that a function writes piece by piece.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

/// The pieces. An empty one is the end: where none comes the function is gone,
/// and nobody is to take the body for complete.
pub(super) struct Upload(Option<mpsc::Receiver<Bytes>>);

#[derive(Debug, thiserror::Error)]
#[error("the function broke off")]
pub(super) struct BrokenOff;

impl Upload {
    /// The two ends of one.
    pub(super) fn new() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self(Some(receiver)))
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(pieces) = &mut self.0 else { return Poll::Ready(None) };
        pieces.poll_recv(cx).map(|piece| match piece {
            Some(piece) if !piece.is_empty() => Some(Ok(Frame::data(piece))),
            Some(_) => {
                self.0 = None;
                None
            }
            None => Some(Err(BrokenOff)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}
