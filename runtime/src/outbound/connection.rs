//! A connection to another host.
//!
//! It counts against the limits on open connections. It fails if the other side
//! accepts nothing for too long. It can be aborted: otherwise a host that
//! responds and never reads on could hold the request's body indefinitely.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::limits;
use crate::limits::stall::{Pace, Patience};

/// How long the other side may accept nothing.
const PATIENCE: Patience = Patience { idle: Duration::from_secs(30), rate: 0 };

/// The most connections of one function.
const MOST: usize = 1_024;

/// The permits for the connections of all functions.
static ALL: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(limits::quarter_of_descriptors())));

/// The connection slots of one function.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// One slot, released on drop.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "they are held")] [OwnedSemaphorePermit; 2]);

impl Places {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Takes a slot, if one is free.
    pub(super) fn take(&self) -> Option<Place> {
        let own = self.0.clone().try_acquire_owned().ok()?;
        Some(Place([own, ALL.clone().try_acquire_owned().ok()?]))
    }
}

/// Aborts a connection. Every response carries one in its extensions.
#[derive(Clone, Debug)]
pub(super) struct Cut(Arc<Notify>);

impl Cut {
    /// Aborts the connection, whatever it is doing.
    pub(super) fn cut(&self) {
        self.0.notify_one();
    }
}

/// A connection to another host.
pub(crate) struct Line {
    stream: TokioIo<TcpStream>,
    cut: Cut,
    /// Ready once the connection was aborted.
    is_cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
    pace: Pace,
    _place: Place,
}

impl Line {
    pub(super) fn new(stream: TokioIo<TcpStream>, place: Place) -> Self {
        let notify = Arc::new(Notify::new());
        let is_cut = Box::pin({
            let notify = notify.clone();
            async move { notify.notified().await }
        });
        Self {
            stream,
            cut: Cut(notify),
            is_cut,
            over: false,
            pace: Pace::new(PATIENCE),
            _place: place,
        }
    }

    /// The address of the other end.
    #[cfg(test)]
    pub(super) fn peer(&self) -> io::Result<std::net::SocketAddr> {
        self.stream.inner().peer_addr()
    }

    /// Ready once the connection was aborted, and from then on.
    fn poll_cut(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if !self.over && self.is_cut.as_mut().poll(cx).is_ready() {
            self.over = true;
        }
        if self.over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The result of a write, or a timeout if the other side stalls.
    fn patient<T>(
        &mut self,
        cx: &mut TaskContext<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.poll_cut(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if written.is_ready() {
            // The number of bytes matters only with a minimum rate.
            self.pace.came(0);
            return written;
        }
        ready!(self.pace.poll_late(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_cut(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, room)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patient(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.patient(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.patient(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.patient(cx, shut)
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.cut.clone())
    }
}
