//! The body of a request or a response.

mod error;
mod stream;
mod writer;

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;

pub use self::error::BodyError;
pub(crate) use self::error::Origin;
pub(crate) use self::stream::Source;
use self::stream::Stream;
pub use self::writer::Writer;
use crate::Result;

/// The body of a request or a response.
///
/// `into()` converts text, bytes or `()`:
///
/// ```
/// use hourglass_sdk::{Body, Response};
///
/// let response: Response = Response::new("some text".into());
/// assert_eq!(response.body().size_hint(), Some(9));
/// assert_eq!(Body::from(()).size_hint(), Some(0));
/// ```
///
/// A request's body may still be arriving when the handler is called. Two ways of reading wait for
/// it, and both can fail:
///
/// - [`collect`](Self::collect), [`text`](Self::text) and [`json`](Self::json) read the whole body.
///   Later calls return the same result.
/// - [`Read`] returns each piece as soon as it has arrived, and buffers no more than that.
///
/// No other method waits. An error returned with `?` ends the handler with the right status: see
/// [`BodyError`].
///
/// ```
/// use hourglass_sdk::{Context, Request, Result};
///
/// fn count(_: &Context, req: Request) -> Result<String> {
///     let bytes = std::io::copy(&mut req.into_body(), &mut std::io::sink())?;
///     Ok(format!("{bytes} bytes\n"))
/// }
/// # let ctx = Context::background();
/// # assert_eq!(count(&ctx, Request::new("1234".into())).unwrap(), "4 bytes\n");
/// ```
///
/// The body of a [fetched](crate::Context::fetch) response also arrives later. It keeps the context
/// of the fetch: that context's deadline applies, and the context is not canceled before the body
/// is dropped, except by [`Cancel::cancel`](crate::Cancel::cancel).
///
/// A response's body may be [written](Self::stream) while the client reads it. A request's body or
/// a fetched body that becomes the response's is forwarded piece by piece.
///
/// Clones of a body that has not arrived share it: a piece that one clone has read is gone for the
/// others.
#[derive(Clone)]
pub struct Body {
    content: Content,
    /// The sender, unless it is the client.
    origin: Option<Arc<Origin>>,
}

#[derive(Clone)]
enum Content {
    Whole(Bytes),
    Stream(Arc<Stream>),
}

impl Body {
    /// Creates a body that `write` writes once the response's head is sent.
    ///
    /// The client gets each piece as soon as it is written, and a slow client makes the writes
    /// block. If `write` fails, or runs past the end of the grace period, the response breaks off
    /// and the client sees that it is incomplete. In a native test, and in a request to another
    /// function, the body is written to memory when it is first read.
    ///
    /// ```
    /// use std::io::Write;
    /// use std::time::Duration;
    ///
    /// use hourglass_sdk::{Body, Context, Request, Response};
    ///
    /// fn ticker(ctx: &Context, _: Request) -> Response {
    ///     let ctx = ctx.clone();
    ///     Response::new(Body::stream(move |writer| {
    ///         for tick in 1..=3 {
    ///             ctx.sleep(Duration::from_millis(1))?;
    ///             writeln!(writer, "tick {tick}")?;
    ///         }
    ///         Ok(())
    ///     }))
    /// }
    /// # let ticks = ticker(&Context::background(), Request::default());
    /// # assert_eq!(ticks.body().text().unwrap(), "tick 1\ntick 2\ntick 3\n");
    /// ```
    #[must_use]
    pub fn stream(write: impl FnOnce(&mut Writer<'_>) -> Result<()> + Send + 'static) -> Self {
        Self::from_source(Source::Written(Box::new(write)))
    }

    /// Creates a body with this source.
    pub(crate) fn from_source(source: Source) -> Self {
        Self { content: Content::Stream(Arc::new(Stream::new(source))), origin: None }
    }

    /// Sets the host or the function that sent the body.
    pub(crate) fn sent_by(self, origin: Origin) -> Self {
        Self { origin: Some(Arc::new(origin)), ..self }
    }

    /// Takes the source of the pieces, or returns the whole body if it has arrived.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn pieces(&self) -> Result<Source, &Bytes> {
        match (&self.content, self.known()) {
            (_, Some(Ok(bytes))) | (Content::Whole(bytes), _) => Err(bytes),
            (Content::Stream(stream), _) => Ok(stream.take()),
        }
    }

    /// Checks whether reading the whole body failed before.
    ///
    /// # Errors
    ///
    /// The error of that read.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn check(&self) -> Result<(), BodyError> {
        self.known().map_or(Ok(()), |known| known.map(drop).map_err(Clone::clone))
    }

    /// Returns the result of reading the whole body, without reading it.
    fn known(&self) -> Option<Result<&Bytes, &BodyError>> {
        match &self.content {
            Content::Whole(bytes) => Some(Ok(bytes)),
            Content::Stream(stream) => stream.known(),
        }
    }

    fn whole(&self) -> Result<&Bytes, BodyError> {
        match &self.content {
            Content::Whole(bytes) => Ok(bytes),
            Content::Stream(stream) => stream.whole().map_err(Clone::clone),
        }
    }

    /// Returns the remaining length of the body in bytes, if it is known without reading. It is
    /// never known for a [streamed](Self::stream) body, nor for a body that was partly read.
    ///
    /// The length is the sender's announcement, so the body may still break off earlier.
    #[must_use]
    pub fn size_hint(&self) -> Option<u64> {
        match (self.known(), &self.content) {
            (Some(known), _) => known.ok().map(|bytes| bytes.len() as u64),
            (None, Content::Stream(stream)) => stream.length(),
            (None, Content::Whole(_)) => None,
        }
    }

    /// Reads the whole body. Clones of the result share its memory.
    ///
    /// # Errors
    ///
    /// [`BodyError`] if the body does not arrive: the sender broke it off, it is too large, or the
    /// context is done.
    pub fn collect(&self) -> Result<Bytes, BodyError> {
        self.whole().cloned()
    }

    /// Reads the whole body as text.
    ///
    /// # Errors
    ///
    /// Those of [`collect`](Self::collect), and one if the body is not UTF-8.
    pub fn text(&self) -> Result<&str, BodyError> {
        let text = std::str::from_utf8(self.whole()?);
        text.map_err(|error| self.malformed("UTF-8 text", &error))
    }

    /// Reads the whole body as a value in JSON, regardless of the `content-type`.
    ///
    /// # Errors
    ///
    /// Those of [`collect`](Self::collect), and one if the body is not such a value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        let value = serde_json::from_slice(self.whole()?);
        value.map_err(|error| self.malformed("the expected JSON", &error))
    }

    #[cold]
    fn malformed(&self, expected: &str, error: &dyn fmt::Display) -> BodyError {
        let text = format!("the body is not {expected}: {error}");
        match &self.origin {
            Some(origin) => origin.malformed(&text),
            None => BodyError::Client(text),
        }
    }
}

/// Reads the rest of the body. Blocks until a piece has arrived.
///
/// # Errors
///
/// Those of [`Body::collect`], as the inner error of an [`io::Error`]. In a handler, `?` treats it
/// like a [`BodyError`].
impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Content::Stream(stream) = &self.content {
            #[cfg(target_arch = "wasm32")]
            if let Some(read) = stream.read(buffer) {
                return read.map_err(BodyError::into_io);
            }
            let whole = stream.whole().map_err(|error| error.clone().into_io())?;
            self.content = Content::Whole(whole.clone());
        }
        let Content::Whole(bytes) = &mut self.content else { return Ok(0) };
        let len = bytes.len().min(buffer.len());
        bytes.copy_to_slice(buffer.get_mut(..len).unwrap_or_default());
        Ok(len)
    }
}

impl Default for Body {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(Ok(bytes)) => f.debug_tuple("Body").field(bytes).finish(),
            Some(Err(_)) | None => f.write_str("Body(stream)"),
        }
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), origin: None }
    }
}

macro_rules! from {
    ($($Type:ty),+) => {$(
        impl From<$Type> for Body {
            fn from(content: $Type) -> Self {
                Bytes::from(content).into()
            }
        }
    )+};
}

from!(&'static str, &'static [u8], String, Vec<u8>);

#[cfg(test)]
mod tests;
