//! The body of an outgoing request.
//!
//! It is sent piece by piece even if it is buffered as a whole: HTTP/2 would
//! otherwise take all of it at once, and hold it for as long as the other side
//! likes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use crate::body::Body;

/// The largest piece sent at once, in bytes.
const PIECE: usize = 64 << 10;

/// A request's body. The last field is dropped last, so [`Gone`] resolves only
/// after the content was dropped.
pub(crate) struct Upload {
    content: Content,
    /// The number of bytes left, if known.
    left: Option<u64>,
    _gone: oneshot::Sender<Infallible>,
}

enum Content {
    Whole(Bytes),
    Passed(Passed),
    /// An empty piece is the end. If the channel closes without one, the
    /// function is gone, and the body must not look complete.
    Pieces(mpsc::Receiver<Bytes>),
    Over,
}

/// The body of the function's own request, or the rest of it, passed on without
/// the function's involvement.
pub(crate) struct Passed {
    pub(crate) body: Body,
    /// The piece that had already arrived.
    pub(crate) piece: Bytes,
    /// The most bytes that may still arrive.
    pub(crate) left: u64,
}

/// Resolves, with an error, when an upload is gone.
pub(crate) type Gone = oneshot::Receiver<Infallible>;

#[derive(Debug, thiserror::Error)]
#[error("the request's body broke off, or is not as long as it may be or was said to be")]
pub(crate) struct BrokenOff;

impl Upload {
    /// A buffered body.
    pub(crate) fn whole(bytes: Bytes) -> (Self, Gone) {
        let left = Some(bytes.len() as u64);
        Self::new(if bytes.is_empty() { Content::Over } else { Content::Whole(bytes) }, left)
    }

    /// A body in pieces, with the announced length, if any.
    pub(super) fn pieces(length: Option<u64>) -> (mpsc::Sender<Bytes>, Self, Gone) {
        let (sender, receiver) = mpsc::channel(1);
        let (upload, gone) = Self::new(Content::Pieces(receiver), length);
        (sender, upload, gone)
    }

    /// The body of the function's own request.
    pub(super) fn passed(passed: Passed, length: Option<u64>) -> (Self, Gone) {
        Self::new(Content::Passed(passed), length)
    }

    fn new(content: Content, left: Option<u64>) -> (Self, Gone) {
        let (sender, gone) = oneshot::channel();
        (Self { content, left, _gone: sender }, gone)
    }

    fn count(&mut self, piece: &Bytes) -> Result<(), BrokenOff> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(piece.len() as u64).ok_or(BrokenOff)?;
        }
        Ok(())
    }
}

impl Passed {
    /// The next piece, empty at the end; `None` if the body is truncated, or
    /// longer than the function accepts.
    fn poll_piece(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Bytes>> {
        let mut piece = std::mem::take(&mut self.piece);
        while piece.is_empty() {
            piece = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return Poll::Ready(None),
                None => return Poll::Ready(Some(Bytes::new())),
            };
            match self.left.checked_sub(piece.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(piece))
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let piece = match &mut self.content {
            Content::Over => return Poll::Ready(None),
            Content::Whole(bytes) => Some(bytes.split_to(bytes.len().min(PIECE))),
            Content::Pieces(pieces) => ready!(pieces.poll_recv(cx)),
            Content::Passed(passed) => ready!(passed.poll_piece(cx)),
        };
        let Some(piece) = piece else { return Poll::Ready(Some(Err(BrokenOff))) };
        if let Err(broken) = self.count(&piece) {
            return Poll::Ready(Some(Err(broken)));
        }
        let is_end = piece.is_empty();
        if is_end || matches!(&self.content, Content::Whole(rest) if rest.is_empty()) {
            self.content = Content::Over;
        }
        Poll::Ready(match is_end {
            true if self.left.is_some_and(|left| left > 0) => Some(Err(BrokenOff)),
            true => None,
            false => Some(Ok(Frame::data(piece))),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Over)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(upload: &mut Upload) -> Option<Result<Bytes, BrokenOff>> {
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
        let (sender, mut upload, _gone) = Upload::pieces(None);
        sender.send("half".into()).await.expect("it is taken");
        assert!(matches!(next(&mut upload).await, Some(Ok(_))));
        drop(sender);
        assert!(matches!(next(&mut upload).await, Some(Err(BrokenOff))));
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_announced() {
        for (sent, is_good) in [("four", true), ("three", false), ("two", false)] {
            let (sender, mut upload, _gone) = Upload::pieces(Some(4));
            let sending = async {
                // Sending fails if the body was too long.
                let _ = sender.send(sent.into()).await;
                let _ = sender.send(Bytes::new()).await;
            };
            let reading = async move {
                while let Some(piece) = next(&mut upload).await {
                    piece?;
                }
                Ok::<(), BrokenOff>(())
            };
            let ((), read) = tokio::join!(sending, reading);
            assert_eq!(read.is_ok(), is_good, "{sent}");
        }
    }
}
