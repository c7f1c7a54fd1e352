//! The encoding of the data that crosses [`abi`](crate::abi): pure functions, compiled for the
//! guest and for their own tests.
//!
//! Decoding any bytes returns a value or [`Malformed`], and never panics. No allocation is larger
//! than the bytes actually present allow.

use bytes::{Buf, Bytes};
use hourglass_abi::UNKNOWN_LENGTH;
use hourglass_abi::wire::{Reader, Writer, pairs_len};
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
pub(crate) fn request(bytes: Bytes) -> Result<Request<Option<u64>>, Malformed> {
    let mut reader = Reader(&bytes);
    let mut request = Request::new(length(&mut reader)?);
    let method = reader.field().and_then(|field| Method::from_bytes(field).ok());
    *request.method_mut() = method.ok_or(Malformed("a method"))?;
    let uri = reader.field().and_then(|field| Uri::from_maybe_shared(share(&bytes, field)).ok());
    *request.uri_mut() = uri.ok_or(Malformed("a URI"))?;
    *request.headers_mut() = headers(&mut reader, &bytes).ok_or(Malformed("headers"))?;
    Ok(request)
}

/// Reads the length of a body, `None` if unknown.
fn length(reader: &mut Reader<'_>) -> Result<Option<u64>, Malformed> {
    let length = reader.u64().ok_or(Malformed("a body length"))?;
    Ok((length != UNKNOWN_LENGTH).then_some(length))
}

/// Encodes the head of a response, in a single allocation.
pub(crate) fn response<B>(response: &Response<B>) -> Vec<u8> {
    let headers = response.headers();
    let mut head = Vec::with_capacity(2 + pairs_len(pairs(headers)));
    head.put(&response.status().as_u16().to_le_bytes());
    head.pairs(headers.len(), pairs(headers));
    head
}

/// Encodes the head of a request to another function. Only the path and the query of the URI are
/// sent.
pub(crate) fn call<B>(request: &Request<B>) -> Vec<u8> {
    request_to(request, request.uri().path_and_query().map_or("/", |target| target.as_str()))
}

/// Encodes the head of a request to another host.
pub(crate) fn order<B>(request: &Request<B>) -> Vec<u8> {
    request_to(request, &request.uri().to_string())
}

/// Encodes the head of a request, in a single allocation.
fn request_to<B>(request: &Request<B>, target: &str) -> Vec<u8> {
    let (method, headers) = (request.method().as_str(), request.headers());
    let fields = 4 + method.len() + 4 + target.len();
    let mut head = Vec::with_capacity(fields + pairs_len(pairs(headers)));
    head.field(method.as_bytes());
    head.field(target.as_bytes());
    head.pairs(headers.len(), pairs(headers));
    head
}

/// The head of a fetched response, with the length of its body if known.
pub(crate) type Fetched = (Response<()>, Option<u64>);

/// Decodes the head of a fetched response.
pub(crate) fn fetched(bytes: Bytes) -> Result<Result<Fetched, Failure>, Malformed> {
    Ok(match result(bytes)? {
        Ok(response) => {
            let (head, rest) = response.into_parts();
            Ok((Response::from_parts(head, ()), length(&mut Reader(&rest))?))
        }
        Err(failure) => Err(failure),
    })
}

/// The failure of a call without a response.
#[derive(Debug, PartialEq)]
pub struct Failure {
    /// The outcome's name.
    pub(crate) outcome: String,
    /// A description of the failure.
    pub(crate) text: String,
    /// The text form of the cause, empty if there is no cause.
    pub(crate) cause: String,
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        let outcome = hourglass_abi::failure::HOST.to_owned();
        Self { outcome, text: malformed.to_string(), cause: String::new() }
    }
}

/// Decodes the result of a call. The body and the header values share the memory of `bytes`.
pub(crate) fn result(mut bytes: Bytes) -> Result<Result<Response<Bytes>, Failure>, Malformed> {
    let mut reader = Reader(&bytes);
    let status = reader.u16().ok_or(Malformed("a status"))?;
    if status == 0 {
        return failure(&mut reader).map(Err).ok_or(Malformed("a failure"));
    }
    let status = StatusCode::from_u16(status).map_err(|_| Malformed("a status"))?;
    let headers = headers(&mut reader, &bytes).ok_or(Malformed("headers"))?;
    // Keeps the body in its own allocation, without a counter of its own.
    let head = bytes.len() - reader.0.len();
    bytes.advance(head);
    let mut response = Response::new(bytes);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(Ok(response))
}

fn failure(reader: &mut Reader<'_>) -> Option<Failure> {
    Some(Failure { outcome: text(reader)?, text: text(reader)?, cause: text(reader)? })
}

/// Decodes the values of a context.
pub(crate) fn values(bytes: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let mut reader = Reader(bytes);
    let count = reader.count().ok_or(Malformed("a number of values"))?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let name = text(&mut reader).ok_or(Malformed("a value's name"))?;
        values.push((name, text(&mut reader).ok_or(Malformed("a value"))?));
    }
    Ok(values)
}

/// Encodes a log record.
pub(crate) fn record(message: &str, target: &str, pairs: &[(String, String)]) -> Vec<u8> {
    let mut record = Vec::with_capacity(12 + message.len() + target.len());
    record.field(message.as_bytes());
    record.field(target.as_bytes());
    let bytes = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    record.pairs(pairs.len(), bytes);
    record
}

/// Decodes headers. Their values share the memory of `bytes`.
fn headers(reader: &mut Reader<'_>, bytes: &Bytes) -> Option<HeaderMap> {
    let count = reader.count()?;
    let mut headers = HeaderMap::try_with_capacity(count).ok()?;
    for _ in 0..count {
        let name = HeaderName::from_bytes(reader.field()?).ok()?;
        let value = HeaderValue::from_maybe_shared(share(bytes, reader.field()?)).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

/// The part of `bytes` that `part` is, with shared memory.
fn share(bytes: &Bytes, part: &[u8]) -> Bytes {
    let mut shared = bytes.clone();
    shared.advance(part.as_ptr().addr().saturating_sub(bytes.as_ptr().addr()).min(bytes.len()));
    shared.truncate(part.len());
    shared
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    str::from_utf8(reader.field()?).ok().map(str::to_owned)
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

#[cfg(test)]
mod tests;
