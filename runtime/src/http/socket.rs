//! A client's socket: what was looked at beforehand is read again, and a client
//! that takes nothing of what is written is given up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::pace::{Pace, Patience};

/// What a client begins with that speaks HTTP/2 without having said so before.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection to a client.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// What was read already, and is to be read again.
    ahead: Bytes,
    pace: Pace,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, patience: Patience) -> Self {
        Self { stream, ahead: Bytes::new(), pace: Pace::new(patience) }
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
            let read = self.stream.read(room).await?;
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
        Pin::new(&mut self.stream).poll_read(cx, room)
    }
}

impl AsyncWrite for Socket {
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
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
