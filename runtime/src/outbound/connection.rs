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
use hyper_util::client::legacy::connect::Connected;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::limits::stall::{StallLimits, StallTimer};

/// How long the other side may accept nothing.
const STALL: StallLimits = StallLimits { idle: Duration::from_secs(30), rate: 0 };

/// The most connections of one function.
const MAX_CONNECTIONS: usize = 1_024;

/// The connection slots of all functions: a quarter of the process's file
/// descriptors, because clients need the others.
static ALL: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20) / 4;
    Arc::new(Semaphore::new(most.min(1 << 20) as usize))
});

/// The connection slots of one function.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Semaphore>);

/// One slot of a function and one of all functions, released on drop.
type Slot = [OwnedSemaphorePermit; 2];

impl Slots {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONNECTIONS)))
    }

    /// Takes a slot, if one is free.
    pub(super) fn take(&self) -> Option<Slot> {
        let own = self.0.clone().try_acquire_owned().ok()?;
        Some([own, ALL.clone().try_acquire_owned().ok()?])
    }
}

/// Aborts a connection. Every response carries one in its extensions.
#[derive(Clone, Debug)]
pub(super) struct AbortHandle(mpsc::Sender<()>);

impl AbortHandle {
    /// Aborts the connection, whatever it is doing.
    pub(super) fn abort(&self) {
        // Sending fails if it is aborted or closed already.
        let _ = self.0.try_send(());
    }
}

/// A connection to another host.
pub(crate) struct Connection {
    stream: TokioIo<TcpStream>,
    handle: AbortHandle,
    /// Receives once the connection is aborted, and is closed then.
    aborted: mpsc::Receiver<()>,
    stall: StallTimer,
    _slot: Slot,
}

impl Connection {
    pub(super) fn new(stream: TokioIo<TcpStream>, slot: Slot) -> Self {
        let (sender, aborted) = mpsc::channel(1);
        let (handle, stall) = (AbortHandle(sender), StallTimer::new(STALL));
        Self { stream, handle, aborted, stall, _slot: slot }
    }

    /// The address of the other end.
    #[cfg(test)]
    pub(super) fn peer(&self) -> io::Result<std::net::SocketAddr> {
        self.stream.inner().peer_addr()
    }

    /// Fails once the connection was aborted, and from then on.
    fn check(&mut self, cx: &mut TaskContext<'_>) -> io::Result<()> {
        if self.aborted.poll_recv(cx).is_pending() {
            return Ok(());
        }
        self.aborted.close();
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// The result of a write, or a timeout if the other side stalls.
    fn written<T>(
        &mut self,
        cx: &mut TaskContext<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.check(cx)?;
        if written.is_ready() {
            // The number of bytes matters only with a minimum rate.
            self.stall.progress(0);
            return written;
        }
        ready!(self.stall.poll_stalled(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(cx, shut)
    }
}

impl hyper_util::client::legacy::connect::Connection for Connection {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.handle.clone())
    }
}
