//! Bodies that a closure writes.

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;

use crate::Result;

/// A closure that writes a body.
pub(crate) type Closure = Box<dyn FnOnce(&mut Writer<'_>) -> Result<()> + Send>;

/// The destination of a body's closure: see [`Body::stream`](crate::Body::stream).
///
/// Each write is sent at once as a separate piece. It blocks while the client is several pieces
/// behind. To write many small pieces, use a [`BufWriter`](io::BufWriter).
///
/// # Errors
///
/// A write fails once the context is done, and once the receiver is gone. In the first case, `?`
/// makes an [`Error`](crate::Error) that reports the context.
pub struct Writer<'a>(pub(crate) SendPiece<'a>);

/// Sends a piece, and returns the number of bytes that were accepted.
pub(crate) type SendPiece<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<usize> + Send);

/// Runs a closure and collects what it writes.
pub(crate) fn written(write: Closure) -> Result<Bytes> {
    let mut body = Vec::new();
    write(&mut Writer(&mut |piece| body.write(piece)))?;
    Ok(body.into())
}

impl Writer<'_> {
    /// Writes a server-sent event with this data, and with a name unless it is empty. The
    /// response's `content-type` must be `text/event-stream`.
    ///
    /// ```
    /// use hourglass_sdk::{Body, Response, Result};
    ///
    /// fn hello() -> Result<Response> {
    ///     let events = Body::stream(|writer| Ok(writer.event("greeting", "hello\nworld")?));
    ///     Ok(Response::builder().header("content-type", "text/event-stream").body(events)?)
    /// }
    /// # let response = hello().unwrap();
    /// # let text = response.body().text().unwrap();
    /// # assert_eq!(text, "event: greeting\ndata: hello\ndata: world\n\n");
    /// ```
    ///
    /// # Errors
    ///
    /// Those of any other write, and [`io::ErrorKind::InvalidInput`] if the name has several lines.
    pub fn event(&mut self, name: &str, data: &str) -> io::Result<()> {
        let mut text = String::with_capacity(name.len() + data.len() + 20);
        if name.contains(['\n', '\r']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an event's name is one line"));
        }
        if !name.is_empty() {
            text.extend(["event: ", name, "\n"]);
        }
        // In the event stream format, a lone carriage return also ends a line.
        for line in data.split('\n').flat_map(|line| line.trim_end_matches('\r').split('\r')) {
            text.extend(["data: ", line, "\n"]);
        }
        text.push('\n');
        self.write_all(text.as_bytes())
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}
