//! The return types of a handler, and their conversion to a response.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{Body, IntoError, Response, Result};

/// A type that a handler may return.
///
/// | type | response |
/// |---|---|
/// | [`Response`] with anything that is [`Into<Body>`] | unchanged |
/// | `&'static str`, [`String`] | 200, `text/plain; charset=utf-8` |
/// | [`Vec<u8>`], [`Bytes`], [`Body`] | 200, `application/octet-stream` |
/// | [`Json`] | 200, `application/json` |
/// | `()` | 204 |
/// | [`StatusCode`] | that status, no body |
/// | `(StatusCode, T)` | that of `T`, with that status |
/// | [`Problem`](crate::Problem) | its status, `application/problem+json` |
/// | [`Result`], also `anyhow::Result` | that of its value, or the one that [`Error`](crate::Error) documents |
pub trait IntoResponse {
    /// Converts the value to a response.
    ///
    /// # Errors
    ///
    /// An error if the handler returned one, or if the value could not be encoded.
    fn into_response(self) -> Result<Response>;
}

/// A value that is sent as JSON.
///
/// ```
/// use hourglass_sdk::{Context, Json, Request};
///
/// fn lengths(_: &Context, req: Request) -> Json<Vec<usize>> {
///     Json(req.uri().path().split('/').map(str::len).collect())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<B: Into<Body>> IntoResponse for Response<B> {
    fn into_response(self) -> Result<Response> {
        Ok(self.map(Into::into))
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response> {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response> {
        let mut response = Response::default();
        *response.status_mut() = self;
        Ok(response)
    }
}

macro_rules! into_response {
    ($media_type:literal: $($Type:ty),+) => {$(
        impl IntoResponse for $Type {
            fn into_response(self) -> Result<Response> {
                Ok(typed($media_type, self))
            }
        }
    )+};
}

into_response!("text/plain; charset=utf-8": &'static str, String);
into_response!("application/octet-stream": Vec<u8>, Bytes, Body);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        Ok(typed("application/json", serde_json::to_vec(&self.0)?))
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response> {
        let mut response = self.1.into_response()?;
        *response.status_mut() = self.0;
        Ok(response)
    }
}

impl<T: IntoResponse, E: IntoError> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(IntoError::into_error)?.into_response()
    }
}

/// Creates a response with a body of this media type.
fn typed(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_type(response: &Response) -> Option<&[u8]> {
        response.headers().get("content-type").map(HeaderValue::as_bytes)
    }

    #[test]
    fn text_is_plain_text() -> Result<()> {
        let response = "hi".into_response()?;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(media_type(&response), Some(&b"text/plain; charset=utf-8"[..]));
        assert_eq!(response.body().collect()?, "hi");
        Ok(())
    }

    #[test]
    fn json_is_encoded() -> Result<()> {
        let response = Json(vec![1, 2]).into_response()?;
        assert_eq!(media_type(&response), Some(&b"application/json"[..]));
        assert_eq!(response.body().collect()?, "[1,2]");
        Ok(())
    }

    #[test]
    fn json_that_cannot_be_encoded_is_an_error() {
        let map = std::collections::BTreeMap::from([((1, 2), "a pair is no key")]);
        assert!(Json(map).into_response().is_err());
    }

    #[test]
    fn a_status_goes_with_anything() -> Result<()> {
        let response = (StatusCode::CREATED, vec![7]).into_response()?;
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.body().collect()?, [7][..]);
        assert_eq!(().into_response()?.status(), StatusCode::NO_CONTENT);
        Ok(())
    }

    #[test]
    fn a_whole_response_is_left_alone() -> Result<()> {
        let response = Response::builder().status(418).body("teapot")?.into_response()?;
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert!(response.headers().is_empty());
        Ok(())
    }

    #[test]
    fn any_error_is_taken() {
        let result: std::result::Result<(), std::num::ParseIntError> = "x".parse::<u8>().map(drop);
        assert!(result.into_response().is_err());
    }
}
