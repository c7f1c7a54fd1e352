//! The encoding of the data that crosses [`abi`](crate::abi): pure functions, compiled for the
//! guest and for their own tests.
//!
//! Decoding any bytes returns a value or [`Malformed`], and never panics. No allocation is larger
//! than the bytes actually present allow.

use bytes::{Buf, Bytes};
use hourglass_abi::UNKNOWN_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

/// The host sent data that violates the interface.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed(&'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the host sent {} that cannot be read", self.0)
    }
}

/// Decodes the head of a request. The request's body is the announced length of the body that
/// follows, `None` if unknown.
///
/// The URI and the header values share the memory of `bytes`.
pub(crate) fn request(mut bytes: Bytes) -> Result<Request<Option<u64>>, Malformed> {
    let bytes = &mut bytes;
    let length = bytes.try_get_u64_le().map_err(|_| Malformed("a body length"))?;
    let mut request = Request::new((length != UNKNOWN_LENGTH).then_some(length));
    *request.method_mut() =
        with_field(bytes, |field| Method::from_bytes(field).ok()).ok_or(Malformed("a method"))?;
    *request.uri_mut() = field(bytes)
        .and_then(|field| Uri::from_maybe_shared(field).ok())
        .ok_or(Malformed("a URI"))?;
    *request.headers_mut() = headers(bytes).ok_or(Malformed("headers"))?;
    Ok(request)
}

/// Encodes the head of a response, in a single allocation.
pub(crate) fn response<B>(response: &Response<B>) -> Vec<u8> {
    let mut head = Vec::with_capacity(2 + headers_len(response.headers()));
    head.extend_from_slice(&response.status().as_u16().to_le_bytes());
    put_headers(&mut head, response.headers());
    head
}

/// Encodes the head of a request to another function, in a single allocation. Only the path and the
/// query of the URI are sent.
pub(crate) fn call<B>(request: &Request<B>) -> Vec<u8> {
    let method = request.method().as_str();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let fields = 4 + method.len() + 4 + target.len();
    let mut head = Vec::with_capacity(fields + headers_len(request.headers()));
    put_field(&mut head, method.as_bytes());
    put_field(&mut head, target.as_bytes());
    put_headers(&mut head, request.headers());
    head
}

/// Encodes the head of a request to another host, in a single allocation.
pub(crate) fn order<B>(request: &Request<B>) -> Vec<u8> {
    let (method, url) = (request.method().as_str(), request.uri().to_string());
    let fields = 4 + method.len() + 4 + url.len();
    let mut head = Vec::with_capacity(fields + headers_len(request.headers()));
    put_field(&mut head, method.as_bytes());
    put_field(&mut head, url.as_bytes());
    put_headers(&mut head, request.headers());
    head
}

/// The head of a fetched response, with the length of its body if known.
pub(crate) type Fetched = (Response<()>, Option<u64>);

/// Decodes the head of a fetched response.
pub(crate) fn fetched(bytes: Bytes) -> Result<Result<Fetched, Failure>, Malformed> {
    let (head, mut rest) = match result(bytes)? {
        Ok(response) => response.into_parts(),
        Err(failure) => return Ok(Err(failure)),
    };
    let length = rest.try_get_u64_le().map_err(|_| Malformed("a body length"))?;
    Ok(Ok((Response::from_parts(head, ()), (length != UNKNOWN_LENGTH).then_some(length))))
}

/// The failure of a call without a response.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    /// The outcome's name.
    pub(crate) outcome: String,
    /// A description of the failure.
    pub(crate) text: String,
    /// The text form of the cause, empty if there is no cause.
    pub(crate) cause: String,
}

/// Decodes the result of a call. The body and the header values share the memory of `bytes`.
pub(crate) fn result(mut bytes: Bytes) -> Result<Result<Response<Bytes>, Failure>, Malformed> {
    let status = bytes.try_get_u16_le().map_err(|_| Malformed("a status"))?;
    if status == 0 {
        return failure(&mut bytes).map(Err).ok_or(Malformed("a failure"));
    }
    let status = StatusCode::from_u16(status).map_err(|_| Malformed("a status"))?;
    let headers = headers(&mut bytes).ok_or(Malformed("headers"))?;
    let mut response = Response::new(bytes);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(Ok(response))
}

fn failure(bytes: &mut Bytes) -> Option<Failure> {
    Some(Failure {
        outcome: with_field(bytes, text)?,
        text: with_field(bytes, text)?,
        cause: with_field(bytes, text)?,
    })
}

/// Decodes the values of a context.
pub(crate) fn values(mut bytes: Bytes) -> Result<Vec<(String, String)>, Malformed> {
    let bytes = &mut bytes;
    let count = count(bytes).ok_or(Malformed("a number of values"))?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let name = with_field(bytes, text).ok_or(Malformed("a value's name"))?;
        let value = with_field(bytes, text).ok_or(Malformed("a value"))?;
        values.push((name, value));
    }
    Ok(values)
}

/// Encodes a log record.
pub(crate) fn record(message: &str, target: &str, pairs: &[(String, String)]) -> Vec<u8> {
    let mut record = Vec::with_capacity(12 + message.len() + target.len());
    put_field(&mut record, message.as_bytes());
    put_field(&mut record, target.as_bytes());
    put_len(&mut record, pairs.len());
    for (name, value) in pairs {
        put_field(&mut record, name.as_bytes());
        put_field(&mut record, value.as_bytes());
    }
    record
}

fn headers(bytes: &mut Bytes) -> Option<HeaderMap> {
    let count = count(bytes)?;
    let mut headers = HeaderMap::try_with_capacity(count).ok()?;
    for _ in 0..count {
        let name = with_field(bytes, |field| HeaderName::from_bytes(field).ok())?;
        let value = HeaderValue::from_maybe_shared(field(bytes)?).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

/// Reads the number of pairs that follow. A number that the remaining bytes cannot hold (a pair
/// takes at least eight bytes) is malformed: it must not determine the size of an allocation.
fn count(bytes: &mut Bytes) -> Option<usize> {
    let count = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    (count <= bytes.remaining() / 8).then_some(count)
}

/// Reads the next `str` or `bytes`, sharing the memory.
fn field(bytes: &mut Bytes) -> Option<Bytes> {
    let len = field_len(bytes)?;
    Some(bytes.split_to(len))
}

/// Passes the next `str` or `bytes` to `read`, without a copy.
fn with_field<T>(bytes: &mut Bytes, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let len = field_len(bytes)?;
    let value = read(bytes.get(..len)?);
    bytes.advance(len);
    value
}

fn text(field: &[u8]) -> Option<String> {
    std::str::from_utf8(field).ok().map(str::to_owned)
}

/// Reads the length of the next field, which must be present in full.
fn field_len(bytes: &mut Bytes) -> Option<usize> {
    let len = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    (len <= bytes.remaining()).then_some(len)
}

/// Returns the length of the encoded headers.
fn headers_len(headers: &HeaderMap) -> usize {
    4 + headers.iter().map(|(n, v)| 8 + n.as_str().len() + v.len()).sum::<usize>()
}

fn put_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    put_len(out, headers.len());
    for (name, value) in headers {
        put_field(out, name.as_str().as_bytes());
        put_field(out, value.as_bytes());
    }
}

fn put_field(out: &mut Vec<u8>, field: &[u8]) {
    put_len(out, field.len());
    out.extend_from_slice(field);
}

/// Writes a length. A length in a guest's memory always fits, because addresses have 32 bits.
fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u32).to_le_bytes());
}

#[cfg(test)]
mod tests;
