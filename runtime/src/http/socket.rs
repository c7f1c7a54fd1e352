//! A client's socket. It replays bytes that were peeked, disconnects a client
//! that accepts nothing of what is written, reports a disconnect without
//! reading, and lingers on close so that a client that still sends gets its
//! response.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Buf, Bytes};
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::linger::{BYTES, Linger};
use crate::limits::stall::{StallLimits, StallTimer};

/// The connection preface of an HTTP/2 client with prior knowledge.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection to a client.
#[derive(Debug)]
pub(super) struct Socket {
    /// Shared with the future that watches for a disconnect.
    stream: Arc<TcpStream>,
    /// Bytes that were read already, to be read again.
    ahead: Bytes,
    stall: StallTimer,
    lingering: Arc<Semaphore>,
    inbound: Arc<Inbound>,
    /// Set once the client has its response and keeps sending, with the number
    /// of bytes still to be read.
    lingers: Option<(Linger, u64)>,
}

/// What arrives from a client. Only the event loop of its connection writes.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// Whether the client may still send bytes that are not read.
    unread: AtomicBool,
    /// The number of reads.
    reads: AtomicU32,
}

impl Inbound {
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    pub(super) fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    fn read(&self) {
        self.reads.store(self.reads().wrapping_add(1), Ordering::Relaxed);
    }
}

impl Socket {
    pub(super) fn new(
        stream: TcpStream,
        stall_limits: StallLimits,
        lingering: Arc<Semaphore>,
        inbound: Arc<Inbound>,
    ) -> Self {
        let (stream, stall) = (Arc::new(stream), StallTimer::new(stall_limits));
        Self { stream, ahead: Bytes::new(), stall, lingering, inbound, lingers: None }
    }

    /// Waits until the client shuts down its sending side, which is how it
    /// disconnects, or until the connection breaks. Earlier bytes may still be
    /// unread: a disconnect goes unnoticed only if there are more of those than
    /// the system buffers.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) fn left(&self) -> impl Future<Output = ()> + use<> {
        let stream = self.stream.clone();
        async move {
            // The only readiness that a socket reports for an interest in
            // urgent data alone, which itself is never reported.
            while stream.ready(Interest::PRIORITY).await.is_ok_and(|ready| !ready.is_read_closed())
            {
            }
        }
    }

    /// Whether the client begins with the HTTP/2 preface. Waits until this is
    /// known, for nearly all other clients at the first byte.
    ///
    /// # Errors
    /// The system's error.
    pub(super) async fn begins_as_http2(&mut self) -> io::Result<bool> {
        let (mut begun, mut len) = ([0; PREFACE.len()], 0);
        let known = loop {
            let room = begun.get_mut(len..).unwrap_or_default();
            self.stream.readable().await?;
            let read = match self.stream.try_read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                read => read?,
            };
            self.inbound.read();
            len += read;
            let begun = begun.get(..len).unwrap_or_default();
            if read == 0 || !PREFACE.starts_with(begun) || len == PREFACE.len() {
                break begun;
            }
        };
        self.ahead = Bytes::copy_from_slice(known);
        Ok(known == PREFACE)
    }

    /// The result of a write, or a timeout if the client stalled for too long.
    fn written(
        &mut self,
        cx: &mut TaskContext<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.stall.progress(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        ready!(self.stall.poll_stalled(cx));
        let reason = "the client does not take what is written";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let len = self.ahead.len().min(room.remaining());
            room.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        let stream = &*self.stream;
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match read(stream, room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => {
                    self.inbound.read();
                    return Poll::Ready(read.map(drop));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = poll_write(&self.stream, cx, || self.stream.try_write(bytes));
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = poll_write(&self.stream, cx, || self.stream.try_write_vectored(parts));
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closing a socket with unread data, or data that arrives afterwards,
    /// resets the connection, and a client that has not read its response by
    /// then never will. So data in flight is read first, for a while, and
    /// dropped.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let Self { stream, lingering, inbound, lingers, .. } = &mut *self;
        let (linger, left) = match lingers {
            Some(lingers) => lingers,
            None => {
                shutdown(&*stream, Shutdown::Write)?;
                if !inbound.unread.load(Ordering::Relaxed) && !has_unread(stream) {
                    return Poll::Ready(Ok(()));
                }
                let Some(linger) = Linger::begin(lingering) else { return Poll::Ready(Ok(())) };
                lingers.insert((linger, BYTES))
            }
        };
        while *left > 0 && linger.poll_over(cx).is_pending() {
            ready!(stream.poll_read_ready(cx))?;
            match drop_some(stream) {
                Some(len) => *left = left.saturating_sub(len),
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the client has sent bytes that are not read yet.
fn has_unread(stream: &TcpStream) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|unread| unread > 0)
}

/// Drops some of what the client has sent and returns its length; `None` at the
/// end of input.
fn drop_some(stream: &TcpStream) -> Option<u64> {
    match stream.try_read(&mut [0; 16 << 10]) {
        Ok(0) => None,
        Ok(len) => Some(len as u64),
        Err(error) => (error.kind() == ErrorKind::WouldBlock).then_some(0),
    }
}

fn poll_write(
    stream: &TcpStream,
    cx: &mut TaskContext<'_>,
    attempt: impl Fn() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

/// Reads what is available. A read that does not fill the buffer has drained
/// the socket, so no second system call is needed to find out.
fn read(stream: &TcpStream, room: &mut ReadBuf<'_>) -> io::Result<usize> {
    let (most, mut part) = (room.remaining(), None);
    let done = stream.try_io(Interest::READABLE, || match stream.try_read_buf(room) {
        Ok(len @ 1..) if len < most => {
            part = Some(len);
            Err(ErrorKind::WouldBlock.into())
        }
        done => done,
    });
    part.map_or(done, Ok)
}
