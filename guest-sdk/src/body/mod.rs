//! The body of a request or a response.

mod error;
mod stream;

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;

pub use self::error::BodyError;
pub(crate) use self::error::Origin;
pub use self::stream::Writer;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::stream::written;
#[cfg(target_arch = "wasm32")]
pub(crate) use self::stream::{PASSED, copy};
pub(crate) use self::stream::{Source, Stream, Unread};
use crate::{FetchError, Result};

/// The body of a request or a response.
///
/// It is made from text, bytes or nothing with `into()`:
///
/// ```
/// use hourglass_sdk::{Body, Response};
///
/// let response: Response = Response::new("some text".into());
/// assert_eq!(response.body().len(), 9);
/// assert!(Body::from(()).is_empty());
/// ```
///
/// A request's body may still be on its way. Whoever looks at it as a whole waits for all of it,
/// and if it does not come, because the client broke off, sent too much or the context is done,
/// the function ends there without a response, and the host reports why. Whoever reads it, as it
/// is a [`Read`], has each piece as soon as it is there, and never holds more than that:
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
/// The body of a [fetched](crate::Context::fetch) response is on its way too. It keeps the context
/// that it was fetched under: that context's deadline applies, and it is not canceled before the
/// body is dropped, unless by [`Cancel::cancel`](crate::Cancel::cancel). If the body breaks off,
/// reading it fails, as do [`text`](Self::text) and [`json`](Self::json); looking at it as a whole
/// in another way panics.
///
/// A response's body may be [written](Self::stream) while the client reads it; and a request's that
/// is given as a response's, or a fetched one's, goes there piece by piece.
///
/// Clones of a body that is on its way share it: what one has read is not there for the others.
#[derive(Clone)]
pub struct Body {
    content: Content,
    /// Who sent it, where that is not the client.
    origin: Option<Arc<Origin>>,
}

#[derive(Clone)]
enum Content {
    Whole(Bytes),
    Stream(Arc<Stream>),
}

impl Body {
    /// A body that `write` writes, once the response's head has gone out.
    ///
    /// The client has each piece as soon as it is written, and a client that is slow to read makes
    /// the writes wait. When `write` fails, or the context is done and the grace over, the response
    /// breaks off, so that nobody takes it for complete. In a native test, and in a request to
    /// another function, the body is written into memory by whoever looks at it first.
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
    ///
    /// # Panics
    ///
    /// Whoever looks at a body as a whole panics when `write` fails.
    #[must_use]
    pub fn stream(write: impl FnOnce(&mut Writer<'_>) -> Result<()> + Send + 'static) -> Self {
        Self::from_source(Source::Written(Box::new(write)))
    }

    /// The body of the request, of which the host has so many bytes, if it knows.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn of_request(length: Option<u64>) -> Self {
        match length {
            Some(0) => Self::default(),
            length => Self::from_source(Source::Host(length)),
        }
    }

    /// A body that comes from there.
    pub(crate) fn from_source(source: Source) -> Self {
        Self { content: Content::Stream(Arc::new(Stream::new(source))), origin: None }
    }

    /// The same body, sent by another host or function.
    pub(crate) fn sent_by(self, origin: Origin) -> Self {
        Self { origin: Some(Arc::new(origin)), ..self }
    }

    /// Where the pieces come from, for whoever hands them on; all of it where it is here.
    pub(crate) fn pieces(&self) -> std::result::Result<Source, &Bytes> {
        match &self.content {
            Content::Whole(bytes) => Err(bytes),
            Content::Stream(stream) => stream.known().map_or_else(|| Ok(stream.take()), Err),
        }
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// It was fetched, and broke off.
    pub(crate) fn try_whole(&self) -> std::result::Result<&Bytes, &FetchError> {
        match &self.content {
            Content::Whole(bytes) => Ok(bytes),
            Content::Stream(stream) => stream.whole(),
        }
    }

    fn whole(&self) -> &Bytes {
        self.try_whole().unwrap_or_else(|error| panic!("{error}"))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.whole().len()
    }

    /// Whether it has no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole().is_empty()
    }

    /// The bytes in a vector. Copies nothing when this is the only clone of the body.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.into_bytes().into()
    }

    /// The bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.content {
            Content::Whole(bytes) => bytes,
            Content::Stream(_) => self.whole().clone(),
        }
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8, or was fetched and broke off. A handler that passes the error on
    /// answers 400 where the client sent the body, and 502 or 504 where another host or function
    /// did.
    pub fn text(&self) -> Result<&str, BodyError> {
        let bytes = self.try_whole().map_err(|error| self.failed(error))?;
        std::str::from_utf8(bytes).map_err(|error| self.malformed("UTF-8 text", &error))
    }

    /// The body as a value that is encoded in JSON, whatever the `content-type` says.
    ///
    /// # Errors
    ///
    /// When it is not such a value, or was fetched and broke off; they are answered as those of
    /// [`text`](Self::text).
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        let bytes = self.try_whole().map_err(|error| self.failed(error))?;
        serde_json::from_slice(bytes).map_err(|error| self.malformed("the expected JSON", &error))
    }

    #[cold]
    fn malformed(&self, expected: &str, error: &dyn fmt::Display) -> BodyError {
        let text = format!("the body is not {expected}: {error}");
        match &self.origin {
            Some(origin) => origin.malformed(&text),
            None => BodyError::Client(text),
        }
    }

    #[cold]
    fn failed(&self, error: &FetchError) -> BodyError {
        match &self.origin {
            Some(origin) => origin.failed(error.clone()),
            // A fetched body has an origin.
            None => BodyError::Client(error.to_string()),
        }
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.whole()
    }
}

/// Reads what is left of it.
///
/// # Errors
///
/// Where it comes from the client: the context is done, or the client broke off or sent too much.
/// `?` makes an error of it that says so.
impl Read for Body {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let Content::Stream(stream) = &self.content {
            #[cfg(target_arch = "wasm32")]
            if let Some(read) = stream.read(room) {
                return read;
            }
            let whole = stream.whole().map_err(|error| io::Error::other(self.failed(error)))?;
            self.content = Content::Whole(whole.clone());
        }
        let Content::Whole(bytes) = &mut self.content else { return Ok(0) };
        let len = bytes.len().min(room.len());
        bytes.copy_to_slice(room.get_mut(..len).unwrap_or_default());
        Ok(len)
    }
}

impl Default for Body {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match &self.content {
            Content::Whole(bytes) => Some(bytes),
            Content::Stream(stream) => stream.known(),
        };
        match known {
            Some(bytes) => f.debug_tuple("Body").field(bytes).finish(),
            None => f.write_str("Body(stream)"),
        }
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), origin: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, StatusCode};

    fn fetched(content: &'static [u8]) -> Body {
        let (url, host) = ("http://a:1/b".to_owned(), "a:1".to_owned());
        Body::from(content).sent_by(Origin::Upstream { url, host, status: StatusCode::OK })
    }

    #[test]
    fn a_malformed_response_is_not_the_clients_mistake() {
        let callee = Origin::Callee { function: "f".to_owned(), status: StatusCode::CREATED };
        for (body, name) in [
            (fetched(b"[1, \xff"), "http://a:1/b: status 200 OK"),
            (Body::from("{").sent_by(callee), "`f`: status 201 Created"),
        ] {
            let error = Error::from(body.json::<Vec<u8>>().expect_err("it is malformed"));
            assert_eq!(error.status_code(), StatusCode::BAD_GATEWAY);
            assert!(error.to_string().starts_with(name), "{error}");
        }
        assert!(matches!(
            fetched(b"\xff").text(),
            Err(BodyError::Upstream { host, status: StatusCode::OK, .. }) if host == "a:1"
        ));
    }

    #[test]
    fn text_is_borrowed_from_the_body() -> Result<()> {
        assert_eq!(Body::from("grüß").text()?, "grüß");
        Ok(())
    }

    #[test]
    fn what_is_not_text_is_the_clients_mistake() {
        let body = Body::from(vec![b'a', 0xff]);
        let error = Error::from(body.text().expect_err("0xff is not UTF-8"));
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn json_is_read_into_any_type() -> Result<()> {
        assert_eq!(Body::from("[1, 2]").json::<Vec<u8>>()?, [1, 2]);
        Ok(())
    }

    #[test]
    fn what_is_not_json_is_the_clients_mistake() {
        let error = Body::from("[1, 2").json::<Vec<u8>>().expect_err("it is not closed");
        let error = Error::from(error);
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn a_body_is_read_piece_by_piece() -> Result<()> {
        let mut body = Body::from("some text");
        let (mut room, mut text) = ([0; 4], Vec::new());
        while let read @ 1.. = body.read(&mut room)? {
            text.extend_from_slice(&room[..read]);
        }
        assert_eq!(text, b"some text");
        assert!(body.is_empty());
        Ok(())
    }

    #[test]
    fn a_written_body_is_written_once() -> Result<()> {
        let mut body = Body::stream(|writer| Ok(writer.event("a", "b")?));
        assert_eq!(format!("{body:?}"), "Body(stream)");
        assert_eq!(body.clone().text()?, "event: a\ndata: b\n\n");
        assert_eq!(body.text()?, "event: a\ndata: b\n\n");
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        assert_eq!(text, "event: a\ndata: b\n\n");
        Ok(())
    }

    #[test]
    fn no_data_ends_an_event() -> Result<()> {
        let events = |name, data| Body::stream(move |writer| Ok(writer.event(name, data)?));
        let text = events("", "1\n\n2\r\n3\rid: 4");
        assert_eq!(text.text()?, "data: 1\ndata: \ndata: 2\ndata: 3\ndata: id: 4\n\n");
        let bad = std::panic::catch_unwind(|| events("a\ndata: forged", "").len());
        assert!(bad.is_err(), "a name of two lines");
        Ok(())
    }

    #[test]
    fn a_vector_comes_out_as_it_went_in() {
        assert_eq!(Body::from(vec![1, 2, 3]).into_vec(), [1, 2, 3]);
        assert!(Body::from(()).into_vec().is_empty());
    }
}
