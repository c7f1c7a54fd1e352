//! The request and the response of a job, in a form that outlasts a process.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::body::{Request, Response};

/// Header fields, in their order.
type Fields = Vec<(String, Vec<u8>)>;

/// The request of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub uri: Uri,
    /// The header.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// The response of a job's last attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobResponse {
    /// The status.
    pub status: StatusCode,
    /// The header.
    pub headers: HeaderMap,
    /// The whole body. It is empty if the store had no room for it.
    pub body: Bytes,
    /// Whether the store had no room for the body.
    pub is_body_dropped: bool,
}

#[derive(Serialize, Deserialize)]
struct RequestHead {
    method: String,
    uri: String,
    headers: Fields,
}

#[derive(Serialize, Deserialize)]
struct ResponseHead {
    status: u16,
    headers: Fields,
    is_body_dropped: bool,
}

impl JobRequest {
    /// The request as the function gets it.
    pub(super) fn into_request(self) -> Request {
        let mut request = Request::new(self.body.into());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }

    /// The request as bytes: its head, then its body.
    pub(super) fn encode(&self) -> Vec<u8> {
        let head = RequestHead {
            method: self.method.to_string(),
            uri: self.uri.to_string(),
            headers: fields(&self.headers),
        };
        encoded(&head, &self.body)
    }

    /// Reads what [`encode`](Self::encode) has written; `None` if it is damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, body) = postcard::take_from_bytes::<RequestHead>(bytes).ok()?;
        Some(Self {
            method: head.method.parse().ok()?,
            uri: head.uri.parse().ok()?,
            headers: header_map(head.headers)?,
            body: Bytes::copy_from_slice(body),
        })
    }
}

impl JobResponse {
    /// A response with its whole body.
    pub(super) fn new(response: &Response, body: Bytes) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body, is_body_dropped: false }
    }

    /// The same response without its body.
    pub(super) fn without_body(&self) -> Self {
        Self { body: Bytes::new(), is_body_dropped: true, ..self.clone() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let head = ResponseHead {
            status: self.status.as_u16(),
            headers: fields(&self.headers),
            is_body_dropped: self.is_body_dropped,
        };
        encoded(&head, &self.body)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, body) = postcard::take_from_bytes::<ResponseHead>(bytes).ok()?;
        Some(Self {
            status: StatusCode::from_u16(head.status).ok()?,
            headers: header_map(head.headers)?,
            body: Bytes::copy_from_slice(body),
            is_body_dropped: head.is_body_dropped,
        })
    }
}

/// A value as bytes.
pub(super) fn encoded(value: &impl Serialize, body: &[u8]) -> Vec<u8> {
    // Writing to a vector does not fail, and these types can be serialized.
    let mut bytes = postcard::to_extend(value, Vec::new()).unwrap_or_default();
    bytes.extend_from_slice(body);
    bytes
}

fn fields(headers: &HeaderMap) -> Fields {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_owned())
    };
    headers.iter().map(field).collect()
}

fn header_map(fields: Fields) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name: HeaderName = name.parse().ok()?;
        headers.try_append(name, HeaderValue::from_bytes(&value).ok()?).ok()?;
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> JobRequest {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("1"));
        headers.append("b", HeaderValue::from_bytes(b"\xff").expect("a value"));
        headers.append("a", HeaderValue::from_static("2"));
        JobRequest {
            method: Method::POST,
            uri: Uri::from_static("/f/x?y=1"),
            headers,
            body: Bytes::from_static(b"\0body"),
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        assert_eq!(JobRequest::decode(&request().encode()), Some(request()));
        let response = JobResponse {
            status: StatusCode::IM_A_TEAPOT,
            headers: request().headers,
            body: Bytes::from_static(b"tea"),
            is_body_dropped: false,
        };
        assert_eq!(JobResponse::decode(&response.encode()), Some(response.clone()));
        let read = JobResponse::decode(&response.without_body().encode()).expect("a response");
        assert!(read.is_body_dropped && read.body.is_empty());
    }

    proptest! {
        #[test]
        fn damage_is_noticed_or_harmless(mut bytes: Vec<u8>, place: usize, bit in 0..8_u32) {
            let _ = (JobRequest::decode(&bytes), JobResponse::decode(&bytes));
            bytes = request().encode();
            let place = place % bytes.len();
            bytes[place] ^= 1_u8 << bit;
            let _ = JobRequest::decode(&bytes);
        }
    }
}
