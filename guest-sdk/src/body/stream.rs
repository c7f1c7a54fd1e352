//! Bodies that are not here yet: a request's, which the client may still be sending, and those that
//! a closure writes once somebody takes them.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;

#[cfg(target_arch = "wasm32")]
use crate::abi::exchange;
use crate::fetch::Fetched;
use crate::{FetchError, Result};

/// How much of a body that comes from elsewhere is handed on at once.
#[cfg(target_arch = "wasm32")]
pub(crate) const PASSED: usize = 64 << 10;

/// What writes a body.
pub(crate) type Closure = Box<dyn FnOnce(&mut Writer<'_>) -> Result<()> + Send>;

/// A body that is read or written once, by the first who asks for it.
pub(crate) struct Stream {
    source: Mutex<Source>,
    /// All of it, where somebody has asked for all of it.
    whole: OnceLock<std::result::Result<Bytes, FetchError>>,
}

/// Where the pieces come from.
pub(crate) enum Source {
    /// The host, which has so many bytes, if it knows.
    #[cfg(target_arch = "wasm32")]
    Host(Option<u64>),
    /// Another host, by way of this one, which has so many bytes to come, if it knows.
    Fetched(Fetched, Option<u64>),
    /// A closure.
    Written(Closure),
    /// Somebody has taken them.
    Gone,
}

/// Where a body's closure writes to: see [`Body::stream`](crate::Body::stream).
///
/// Each write goes out as a piece of its own, at once, and waits while the client is some pieces
/// behind: wrap it in a [`BufWriter`](std::io::BufWriter) to write many small ones.
///
/// # Errors
///
/// A write fails when the context is done, with an error that `?` turns into one that says so, and
/// when nobody takes the response any more.
pub struct Writer<'a>(Sink<'a>);

enum Sink<'a> {
    /// The client.
    #[cfg(target_arch = "wasm32")]
    Client,
    /// Another host, and whether that has refused to take any more.
    #[cfg(target_arch = "wasm32")]
    Fetch(&'a Fetched, bool),
    /// Memory.
    Memory(&'a mut Vec<u8>),
}

impl Stream {
    pub(super) fn new(source: Source) -> Self {
        Self { source: Mutex::new(source), whole: OnceLock::new() }
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// It comes from another host, and broke off.
    pub(super) fn whole(&self) -> std::result::Result<&Bytes, &FetchError> {
        let collect = || match self.take() {
            #[cfg(target_arch = "wasm32")]
            Source::Host(length) => Ok(crate::serve::collect(length)),
            Source::Fetched(fetched, length) => fetched.collect(length),
            Source::Written(write) => {
                Ok(written(write).unwrap_or_else(|error| panic!("the body broke off: {error:?}")))
            }
            Source::Gone => Ok(Bytes::new()),
        };
        self.whole.get_or_init(collect).as_ref()
    }

    /// All of it, where somebody has asked for all of it and got it.
    pub(crate) fn known(&self) -> Option<&Bytes> {
        self.whole.get()?.as_ref().ok()
    }

    /// Where it comes from, for whoever takes it from there.
    pub(crate) fn take(&self) -> Source {
        // Nothing under the lock can panic half-way through a change.
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut source, Source::Gone)
    }

    /// Reads the next piece from the host; `None` where it comes from nowhere else.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn read(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        // What is left is not counted: the host tells the end.
        match &mut *source {
            Source::Host(length) | Source::Fetched(_, length) => *length = None,
            Source::Written(_) | Source::Gone => return None,
        }
        Some(match &*source {
            _ if room.is_empty() => Ok(0),
            Source::Fetched(fetched, _) => fetched.read(room),
            _ => exchange::read(room).map_err(unread),
        })
    }
}

/// Writes a body's pieces to where they go next.
#[cfg(target_arch = "wasm32")]
pub(crate) fn copy(body: &mut super::Body, writer: &mut Writer<'_>) -> io::Result<()> {
    use std::io::Read;
    let mut room = vec![0; PASSED];
    while let read @ 1.. = body.read(&mut room)? {
        writer.write_all(room.get(..read).unwrap_or_default())?;
    }
    Ok(())
}

/// Runs a closure whose body nobody takes piece by piece.
pub(crate) fn written(write: Closure) -> Result<Bytes> {
    let mut body = Vec::new();
    write(&mut Writer(Sink::Memory(&mut body)))?;
    Ok(body.into())
}

impl Writer<'static> {
    /// The one that writes to the client, once the response's head was committed.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn client() -> Self {
        Self(Sink::Client)
    }
}

#[cfg(target_arch = "wasm32")]
impl<'a> Writer<'a> {
    /// The one that writes the body of a fetch's request.
    pub(crate) fn fetch(fetched: &'a Fetched) -> Self {
        Self(Sink::Fetch(fetched, false))
    }

    /// Whether the other host takes no more, which its response explains.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.0, Sink::Fetch(_, true))
    }
}

impl Writer<'_> {
    /// Writes a server-sent event with this data, and a name unless that is empty. The response's
    /// `content-type` must be `text/event-stream`.
    ///
    /// ```
    /// use hourglass_sdk::{Body, Response, Result};
    ///
    /// fn hello() -> Result<Response> {
    ///     let events = Body::stream(|writer| Ok(writer.event("greeting", "hello\nworld")?));
    ///     Ok(Response::builder().header("content-type", "text/event-stream").body(events)?)
    /// }
    /// # let text = hello().unwrap().body().text().unwrap().to_owned();
    /// # assert_eq!(text, "event: greeting\ndata: hello\ndata: world\n\n");
    /// ```
    ///
    /// # Errors
    ///
    /// As those of any other write. [`io::ErrorKind::InvalidInput`] for a name of several lines.
    pub fn event(&mut self, name: &str, data: &str) -> io::Result<()> {
        let mut text = String::with_capacity(name.len() + data.len() + 20);
        if name.contains(['\n', '\r']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an event's name is one line"));
        }
        if !name.is_empty() {
            text.extend(["event: ", name, "\n"]);
        }
        // A lone carriage return would end a line as well.
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
            // An empty piece would be the end.
            #[cfg(target_arch = "wasm32")]
            Sink::Fetch(..) if bytes.is_empty() => Ok(0),
            #[cfg(target_arch = "wasm32")]
            Sink::Fetch(fetched, refused) => fetched.write(bytes).map_err(|code| {
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

/// What a code of the host's means for whoever reads or writes.
#[cfg(target_arch = "wasm32")]
fn failed(code: i32) -> io::Error {
    match crate::abi::done(code) {
        Some(done) => io::Error::other(done),
        None => io::Error::new(io::ErrorKind::ConnectionAborted, Broken),
    }
}

/// What a code of the host's means for a handler that reads its request.
#[cfg(target_arch = "wasm32")]
fn unread(code: i32) -> io::Error {
    match crate::abi::done(code) {
        Some(done) => io::Error::other(done),
        None => io::Error::new(io::ErrorKind::ConnectionAborted, Unread),
    }
}

/// A request's body that the host could not read to its end. The host knows why, and whether the
/// client is to blame: an invocation that ends without a response is answered as that says.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a host makes it"))]
pub(crate) struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body broke off, is malformed, or is too large")
    }
}

impl std::error::Error for Unread {}

/// A body that broke off.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
struct Broken;

#[cfg(target_arch = "wasm32")]
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side of the body is gone")
    }
}

#[cfg(target_arch = "wasm32")]
impl std::error::Error for Broken {}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}
