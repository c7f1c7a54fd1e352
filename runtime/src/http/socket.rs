//! A client's socket: what was looked at beforehand is read again, a client that
//! takes nothing of what is written is given up, one that leaves can be seen to
//! by whoever does not read, and one that still sends gets its answer.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Buf, Bytes};
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::linger::{BYTES, Linger, Lingering};
use crate::limits::stall::{Pace, Patience};

/// What a client begins with that speaks HTTP/2 without having said so before.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection to a client.
#[derive(Debug)]
pub(super) struct Socket {
    /// Shared with who looks whether the client leaves.
    stream: Arc<TcpStream>,
    /// What was read already, and is to be read again.
    ahead: Bytes,
    pace: Pace,
    lingering: Arc<Lingering>,
    /// Whether the client may still send bytes that are not read.
    unread: Arc<AtomicBool>,
    /// Since the client has its answer and goes on sending, with how many bytes
    /// more of it are read.
    lingers: Option<(Linger, u64)>,
}

impl Socket {
    pub(super) fn new(
        stream: TcpStream,
        patience: Patience,
        lingering: Arc<Lingering>,
        unread: Arc<AtomicBool>,
    ) -> Self {
        let (stream, pace) = (Arc::new(stream), Pace::new(patience));
        Self { stream, ahead: Bytes::new(), pace, lingering, unread, lingers: None }
    }

    /// Waits until the client says that it sends nothing more, which is how it
    /// leaves, or until the connection breaks. What it sent before may be there
    /// unread: only where there is more of that than the system takes, nobody
    /// can tell.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) fn left(&self) -> impl Future<Output = ()> + use<> {
        let stream = self.stream.clone();
        async move {
            // The one thing that a socket is ready for, when nothing else than
            // urgent data is asked for, and that is never told of.
            while stream.ready(Interest::PRIORITY).await.is_ok_and(|ready| !ready.is_read_closed())
            {
            }
        }
    }

    /// Whether the client begins as one that speaks HTTP/2 does. It waits until
    /// that is known, which is at the first byte for nearly every other.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn begins_as_http2(&mut self) -> io::Result<bool> {
        let (mut begun, mut len) = ([0; PREFACE.len()], 0);
        let known = loop {
            let room = begun.get_mut(len..).unwrap_or_default();
            self.stream.readable().await?;
            let read = match self.stream.try_read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                read => read?,
            };
            len += read;
            let begun = begun.get(..len).unwrap_or_default();
            if read == 0 || !PREFACE.starts_with(begun) || len == PREFACE.len() {
                break begun;
            }
        };
        self.ahead = Bytes::copy_from_slice(known);
        Ok(known == PREFACE)
    }

    /// What became of a write, or that the client was waited for too long.
    fn written(
        &mut self,
        cx: &mut TaskContext<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.pace.came(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        ready!(self.pace.poll_late(cx));
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
                read => return Poll::Ready(read.map(drop)),
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

    /// To close a socket with something unread in it, or that something comes in
    /// afterwards, resets the connection, and a client that has not read its
    /// answer by then never will. So what it had
    /// under way is read first, for a while, and dropped.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let Self { stream, lingering, unread, lingers, .. } = &mut *self;
        let (linger, left) = match lingers {
            Some(lingers) => lingers,
            None => {
                shutdown(&*stream, Shutdown::Write)?;
                if !unread.load(Ordering::Relaxed) && !has_unread(stream) {
                    return Poll::Ready(Ok(()));
                }
                let Some(linger) = lingering.begin() else { return Poll::Ready(Ok(())) };
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

/// Whether the client has sent something that nobody has read.
fn has_unread(stream: &TcpStream) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|unread| unread > 0)
}

/// Drops a part of what the client has sent, and gives its length; `None` at the
/// end of it.
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

/// Reads as much as there is. Where that does not fill the room there is nothing
/// more, which is known without asking the system once again.
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
