//! Bodies that a closure writes.

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;

use crate::Result;
#[cfg(target_arch = "wasm32")]
use crate::abi::{exchange, fetch};

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
pub struct Writer<'a>(Sink<'a>);

enum Sink<'a> {
    /// The client.
    #[cfg(target_arch = "wasm32")]
    Client,
    /// Another host, by the fetch's handle, and whether it has stopped accepting the body.
    #[cfg(target_arch = "wasm32")]
    Fetch(i32, bool),
    /// Memory.
    Memory(&'a mut Vec<u8>),
}

/// Runs a closure and collects what it writes.
pub(crate) fn written(write: Closure) -> Result<Bytes> {
    let mut body = Vec::new();
    write(&mut Writer(Sink::Memory(&mut body)))?;
    Ok(body.into())
}

#[cfg(target_arch = "wasm32")]
impl Writer<'_> {
    /// Creates a writer to the client. The response's head must be committed.
    pub(crate) fn client() -> Self {
        Self(Sink::Client)
    }

    /// Creates a writer of the body of a fetch's request.
    pub(crate) fn fetch(handle: i32) -> Self {
        Self(Sink::Fetch(handle, false))
    }

    /// Whether the other host has stopped accepting the body. Its response says why.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.0, Sink::Fetch(_, true))
    }
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
        match &mut self.0 {
            #[cfg(target_arch = "wasm32")]
            Sink::Client => exchange::write(bytes).map_err(failed),
            // An empty piece would end the body.
            #[cfg(target_arch = "wasm32")]
            Sink::Fetch(..) if bytes.is_empty() => Ok(0),
            #[cfg(target_arch = "wasm32")]
            Sink::Fetch(handle, refused) => fetch::write(*handle, bytes).map_err(|code| {
                *refused = true;
                failed(code)
            }),
            Sink::Memory(body) => body.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the error for a write that failed with this code from the host.
#[cfg(target_arch = "wasm32")]
fn failed(code: i32) -> io::Error {
    match crate::abi::done(code) {
        Some(done) => io::Error::other(done),
        None => io::Error::new(io::ErrorKind::ConnectionAborted, Disconnected),
    }
}

/// The receiver of a body is gone.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
struct Disconnected;

#[cfg(target_arch = "wasm32")]
impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver of the body is gone")
    }
}

#[cfg(target_arch = "wasm32")]
impl std::error::Error for Disconnected {}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}
