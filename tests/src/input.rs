//! A request body that the test feeds, piece by piece, and that tells when it is asked for one: so
//! a test knows that a guest waits for input, and decides when, and whether, it gets some.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hourglass::Body;
use http_body::Frame;
use tokio::sync::{Notify, mpsc};

/// The test's end of a body. Dropping it ends the body.
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

    /// Gives the next piece. A guest that has ended does not get it.
    pub fn give(&self, piece: impl Into<Bytes>) {
        let _ = self.pieces.send(piece.into());
    }
}

/// A body, and what feeds it.
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
        // Told after the waker is in place, so that a piece given then is heard of.
        let polled = self.arriving.poll_recv(cx);
        self.asked.notify_one();
        polled.map(|piece| Some(Ok(Frame::data(piece?))))
    }
}
