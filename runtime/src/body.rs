//! Requests and responses of functions: those of the [`http`] crate with a
//! [`Body`].
//!
//! A body is whole ([`Body::from`] a string or bytes) or arrives in pieces
//! ([`Body::stream`]). A front can therefore forward a body while the client
//! still sends it, and the guest waits for input under its own deadline.

mod pieces;

use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Bytes, BytesMut};
use hourglass_abi::key;
pub(crate) use hourglass_abi::key::{FUNCTION, ROUTE_PREFIX, is_reserved as is_hosts_own};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

pub(crate) use self::pieces::Pieces;
use crate::context::Key;

/// A request to a function.
pub type Request = http::Request<Body>;

/// A function's response.
pub type Response = http::Response<Body>;

/// The error of a streamed body that broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The context value of the request's id, under the wire name `request-id`.
pub const REQUEST_ID: Key<String> = Key::protected(key::REQUEST_ID);

/// The context value of the client's address, under the wire name
/// `client-address`: the peer of the connection, which may be a proxy.
pub const CLIENT_ADDRESS: Key<IpAddr> = Key::protected(key::CLIENT_ADDRESS);

/// The context value of the principal that the request is made for, if it was
/// established, under the wire name `principal`.
pub const PRINCIPAL: Key<String> = Key::protected(key::PRINCIPAL);

/// The length that a head announces; `None` if it has no `content-length`, more
/// than one, or an invalid one.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (Some(length), None) = (lengths.next(), lengths.next()) else { return None };
    let length = length.to_str().ok().filter(|length| !length.starts_with('+'))?;
    length.parse().ok()
}

/// The body of a [`Request`] or a [`Response`].
///
/// It is an [`http_body::Body`], so servers and clients of the `http` family
/// accept it.
#[derive(Default)]
pub struct Body {
    /// The bytes that are here: the whole body, or the part that precedes the
    /// stream.
    ready: Bytes,
    stream: Option<UnsyncBoxBody<Bytes, BodyError>>,
}

impl Body {
    /// An empty body.
    pub const fn empty() -> Self {
        Self { ready: Bytes::new(), stream: None }
    }

    /// A body that arrives in pieces. Trailers are dropped.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BodyError>> + Send + 'static,
    {
        Self { ready: Bytes::new(), stream: Some(body.map_err(Into::into).boxed_unsync()) }
    }

    /// The same body behind a piece that precedes it.
    #[cfg(feature = "server")]
    pub(crate) fn after(self, piece: Bytes) -> Self {
        debug_assert!(self.ready.is_empty());
        Self { ready: piece, ..self }
    }

    /// The number of bytes left, if it is known.
    pub fn len(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// The whole body, if it does not stream.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        self.stream.is_none().then(|| self.ready.clone())
    }

    /// Its bytes, if it is whole.
    #[cfg(feature = "server")]
    pub(crate) fn whole_mut(&mut self) -> Option<&mut Bytes> {
        self.stream.is_none().then_some(&mut self.ready)
    }

    /// Whether the body is known to be at its end. A stream that may still
    /// yield bytes is not empty.
    pub fn is_empty(&self) -> bool {
        self.is_end_stream() || self.len() == Some(0)
    }

    /// Waits for the next piece. Returns `None` at the end.
    ///
    /// # Errors
    /// The error of the stream's source. A whole body never fails.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call returns the piece.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_piece(cx, usize::MAX)).await
    }

    /// Polls for the next piece, of at most `most` bytes and never empty.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut TaskContext<'_>,
        most: usize,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        while self.ready.is_empty() {
            let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
            match ready!(Pin::new(stream).poll_frame(cx)) {
                Some(Ok(frame)) => self.ready = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.stream = None,
            }
        }
        Poll::Ready(Some(Ok(self.ready.split_to(most.min(self.ready.len())))))
    }

    /// Collects the whole body. There is no limit on its length.
    ///
    /// # Errors
    /// The error of the stream's source.
    ///
    /// # Cancel safety
    /// Not cancel safe: pieces already collected are lost with the future.
    pub async fn bytes(mut self) -> Result<Bytes, BodyError> {
        if self.stream.is_none() {
            return Ok(self.ready);
        }
        // Copied into one buffer: each separate piece costs more than a byte.
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole.freeze())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_piece(cx, usize::MAX).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.stream.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.ready.len() as u64;
        let Some(stream) = &self.stream else { return SizeHint::with_exact(ready) };
        let (stream, mut hint) = (stream.size_hint(), SizeHint::new());
        hint.set_lower(stream.lower().saturating_add(ready));
        if let Some(upper) = stream.upper() {
            hint.set_upper(upper.saturating_add(ready));
        }
        hint
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            Some(len) => write!(f, "Body({len} bytes)"),
            None => f.write_str("Body(stream)"),
        }
    }
}

macro_rules! from {
    ($($Whole:ty),+) => {
        $(impl From<$Whole> for Body {
            fn from(whole: $Whole) -> Self {
                Self { ready: whole.into(), stream: None }
            }
        })+
    };
}
from!(Bytes, Vec<u8>, String, &'static str);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told() {
        assert_eq!(Body::empty().len(), Some(0));
        assert_eq!(Body::from("four").len(), Some(4));
        assert!(Body::from("").is_empty());
        assert!(!Body::from("x").is_empty());
    }

    #[tokio::test]
    async fn a_whole_body_is_one_piece() {
        let mut body = Body::from("piece");
        let piece = body.next().await.expect("a piece").expect("no error");
        assert_eq!(piece, "piece");
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_piece_precedes_a_stream_and_is_split() {
        let mut body = Body::stream(Body::from("stream")).after("first".into());
        assert_eq!((body.len(), body.whole()), (Some(11), None));
        let mut pieces = Vec::new();
        while let Some(piece) = poll_fn(|cx| body.poll_piece(cx, 4)).await {
            pieces.push(piece.expect("no error"));
        }
        assert_eq!(pieces, ["firs", "t", "stre", "am"]);
        assert!(body.is_end_stream());
    }
}
