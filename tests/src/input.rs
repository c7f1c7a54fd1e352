//! A request body that the test feeds piece by piece, and that notifies the test when it is polled.
//! A test thus knows when a guest waits for input, and decides when it gets some.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hourglass::Body;
use http_body::Frame;
use tokio::sync::{Notify, mpsc};

/// The sending half of a body. Dropping it ends the body.
#[derive(Debug)]
pub struct Feed {
    pieces: mpsc::UnboundedSender<Bytes>,
    asked: Arc<Notify>,
}

impl Feed {
    /// Waits until the guest has asked for input.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Sends the next piece. It is discarded if the guest has ended.
    pub fn give(&self, piece: impl Into<Bytes>) {
        let _ = self.pieces.send(piece.into());
    }
}

/// A body and its sending half.
pub fn fed() -> (Feed, Body) {
    let (pieces, arriving) = mpsc::unbounded_channel();
    let asked = Arc::new(Notify::new());
    let body = Fed { arriving, asked: asked.clone() };
    (Feed { pieces, asked }, Body::stream(body))
}

struct Fed {
    arriving: mpsc::UnboundedReceiver<Bytes>,
    asked: Arc<Notify>,
}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Notified after the waker is registered, so that a piece sent then wakes the task.
        let polled = self.arriving.poll_recv(cx);
        self.asked.notify_one();
        polled.map(|piece| Some(Ok(Frame::data(piece?))))
    }
}
