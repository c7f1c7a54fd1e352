//! The rest of a request's body that its function does not read.
//!
//! A function that responds without reading, and every refusal, drops the body.
//! An HTTP/1.1 connection only records this, and lingers when it is closed. In
//! HTTP/2 the body returns here, to the task of its stream, which reads and
//! drops what the client still sends, for as long as [`Linger`] allows after
//! the response. Reading gives the client its share of the connection's window
//! back. The host holds at most that window: 128 KiB for a stream and 1 MiB for
//! a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, oneshot};

use super::linger::{BYTES, Linger};
use super::socket::Inbound;

/// The receiver of a body that is dropped before its end.
pub(super) enum Rest {
    /// The task of its stream reads the rest.
    Stream(oneshot::Sender<Incoming>),
    /// Its HTTP/1.1 connection lingers when it is closed.
    Connection(Arc<Inbound>),
}

impl Rest {
    pub(super) fn take(self, body: Incoming) {
        match self {
            // Sending fails if the stream has ended.
            Self::Stream(stream) => drop(stream.send(body)),
            Self::Connection(inbound) => inbound.set_unread(true),
        }
    }
}

/// The rest of one request's body.
pub(super) struct Unread {
    /// Receives the body when it is dropped.
    dropped: oneshot::Receiver<Incoming>,
    lingering: Arc<Semaphore>,
    body: Option<Incoming>,
    /// How many more bytes are read.
    left: u64,
    /// Set once the response is complete.
    linger: Option<Linger>,
}

impl Unread {
    pub(super) fn new(lingering: Arc<Semaphore>) -> (Rest, Self) {
        let (rest, dropped) = oneshot::channel();
        (Rest::Stream(rest), Self { dropped, lingering, body: None, left: BYTES, linger: None })
    }

    /// How many more bytes are read, once the body has been dropped.
    pub(super) fn left(&self) -> Option<u64> {
        self.body.as_ref().map(|_| self.left)
    }

    /// Reads and drops what has arrived. Ready at the end of the body, or, once
    /// the response is complete, when no more is to be read.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>, answered: bool) -> Poll<()> {
        let body = match &mut self.body {
            Some(body) => body,
            None => match ready!(Pin::new(&mut self.dropped).poll(cx)) {
                Ok(body) => self.body.insert(body),
                // The function has read all of it.
                Err(_gone) => return Poll::Ready(()),
            },
        };
        if answered {
            if self.linger.is_none() {
                self.linger = Linger::begin(&self.lingering);
            }
            let Some(linger) = &mut self.linger else { return Poll::Ready(()) };
            if linger.poll_over(cx).is_ready() || self.left == 0 {
                return Poll::Ready(());
            }
        }
        while self.left > 0 {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let len = frame.data_ref().map_or(0, Bytes::len);
                    self.left = self.left.saturating_sub(len as u64);
                }
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        }
        if answered { Poll::Ready(()) } else { Poll::Pending }
    }
}
