//! The body of an outgoing request.
//!
//! It is sent piece by piece even if it is buffered as a whole: HTTP/2 would
//! otherwise take all of it at once, and hold it for as long as the other side
//! likes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use hourglass_abi::failure;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::error::FetchError;
use crate::body::Body;

/// The largest piece sent at once, in bytes.
const PIECE: usize = 64 << 10;

/// A request's body. The last field is dropped last, so [`Gone`] resolves only
/// after the content was dropped.
pub(crate) struct Upload {
    source: UploadSource,
    /// The number of bytes left, if known.
    left: Option<u64>,
    _gone: oneshot::Sender<Infallible>,
}

enum UploadSource {
    Body(Body),
    /// Pieces that the function writes. An empty piece is the end. If the
    /// channel closes without one, the function is gone, and the body must not
    /// look complete.
    Written(mpsc::Receiver<Bytes>),
}

/// Resolves, with an error, when an upload is gone.
pub(crate) type Gone = oneshot::Receiver<Infallible>;

impl Upload {
    /// A buffered body.
    pub(crate) fn whole(bytes: Bytes) -> (Self, Gone) {
        let length = bytes.len() as u64;
        Self::of_body(bytes.into(), Some(length))
    }

    /// A body with the announced length, if any.
    pub(super) fn of_body(body: Body, length: Option<u64>) -> (Self, Gone) {
        Self::new(UploadSource::Body(body), length)
    }

    /// A body that the function writes, with the announced length, if any.
    pub(super) fn written(length: Option<u64>) -> (mpsc::Sender<Bytes>, (Self, Gone)) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self::new(UploadSource::Written(receiver), length))
    }

    fn new(source: UploadSource, left: Option<u64>) -> (Self, Gone) {
        let (sender, gone) = oneshot::channel();
        (Self { source, left, _gone: sender }, gone)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let Self { source, left, .. } = &mut *self;
        // Empty at the end; `None` if the body is truncated.
        let piece = match source {
            UploadSource::Body(body) => match ready!(body.poll_piece(cx, PIECE)) {
                Some(piece) => piece.ok(),
                None => Some(Bytes::new()),
            },
            UploadSource::Written(pieces) => ready!(pieces.poll_recv(cx)),
        };
        let as_announced = |piece: &Bytes| match left {
            Some(left) if piece.is_empty() => *left == 0,
            Some(left) => {
                let rest = left.checked_sub(piece.len() as u64);
                rest.map(|rest| *left = rest).is_some()
            }
            None => true,
        };
        Poll::Ready(match piece.filter(as_announced) {
            Some(piece) if piece.is_empty() => None,
            Some(piece) => Some(Ok(Frame::data(piece))),
            None => Some(Err(FetchError::new(
                failure::REQUEST_BODY,
                "the request's body broke off, or is not as long as it may be or was said to be",
            ))),
        })
    }

    fn is_end_stream(&self) -> bool {
        let is_complete = self.left.is_none_or(|left| left == 0);
        is_complete && matches!(&self.source, UploadSource::Body(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(upload: &mut Upload) -> Option<Result<Bytes, FetchError>> {
        let frame = poll_fn(|cx| Pin::new(&mut *upload).poll_frame(cx)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }

    #[tokio::test]
    async fn a_whole_body_goes_in_pieces() {
        let (mut upload, gone) = Upload::whole(vec![7; PIECE + 1].into());
        assert_eq!(upload.size_hint().exact(), Some(PIECE as u64 + 1));
        for expected in [PIECE, 1] {
            let piece = next(&mut upload).await.expect("a piece").expect("no error");
            assert_eq!(piece.len(), expected);
        }
        assert!(upload.is_end_stream() && next(&mut upload).await.is_none());
        drop(upload);
        assert!(gone.await.is_err());
        assert!(Upload::whole(Bytes::new()).0.is_end_stream());
    }

    #[tokio::test]
    async fn only_what_has_an_end_is_complete() {
        let (sender, (mut upload, _gone)) = Upload::written(None);
        sender.send("half".into()).await.expect("it is taken");
        assert!(matches!(next(&mut upload).await, Some(Ok(_))));
        drop(sender);
        assert!(matches!(next(&mut upload).await, Some(Err(_))));
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_announced() {
        for (sent, is_good) in [("four", true), ("three", false), ("two", false)] {
            let (sender, (mut upload, _gone)) = Upload::written(Some(4));
            let sending = async {
                // Sending fails if the body was too long.
                let _ = sender.send(sent.into()).await;
                let _ = sender.send(Bytes::new()).await;
            };
            let reading = async move {
                while let Some(piece) = next(&mut upload).await {
                    piece?;
                }
                Ok::<(), FetchError>(())
            };
            let ((), read) = tokio::join!(sending, reading);
            assert_eq!(read.is_ok(), is_good, "{sent}");
        }
    }
}
