//! The whole body of a request or a response.

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The whole body of a request or a response: bytes that are cheap to clone.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes in a vector. Copies nothing when this is the only clone of the body.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0.into()
    }

    /// The bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8: an error that answers 400 and says at which byte.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.0).map_err(|error| {
            let text = format!("the body is not UTF-8 text: {error}");
            Error::status(StatusCode::BAD_REQUEST, text)
        })
    }

    /// The body as a value that is encoded in JSON, whatever the `content-type` says.
    ///
    /// # Errors
    ///
    /// When it is not such a value: an error that answers 400 and says in which line.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let text = format!("the body is not the expected JSON: {error}");
            Error::status(StatusCode::BAD_REQUEST, text)
        })
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_borrowed_from_the_body() -> Result<()> {
        assert_eq!(Body::from("grüß").text()?, "grüß");
        Ok(())
    }

    #[test]
    fn what_is_not_text_is_the_clients_mistake() {
        let body = Body::from(vec![b'a', 0xff]);
        let error = body.text().expect_err("0xff is not UTF-8");
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
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn a_vector_comes_out_as_it_went_in() {
        assert_eq!(Body::from(vec![1, 2, 3]).into_vec(), [1, 2, 3]);
        assert!(Body::from(()).into_vec().is_empty());
    }
}
