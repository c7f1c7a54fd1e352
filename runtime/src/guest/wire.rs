//! The layout of requests, responses and values in guest memory: little endian,
//! each text and byte string after its length as a `u32`.

use std::borrow::Cow;

use bytes::Bytes;
use hourglass_abi::UNKNOWN_LENGTH;
use hourglass_abi::limit::{HEADERS, LOG_FIELDS};
use hourglass_abi::wire::{Reader, Writer};
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri};

use super::capabilities::{Ended, HeldFailure};
use crate::body::Response;
use crate::limits::fixed::{self, HEAD, headers_len};

/// The length of a request's head on the wire.
pub(crate) fn request_len(head: &Parts) -> usize {
    8 + 4 + head.method.as_str().len() + 4 + target(head).len() + headers_len(&head.headers)
}

/// Writes a request's head. The length of `buffer` must be [`request_len`].
pub(crate) fn write_request(mut buffer: &mut [u8], head: &Parts, body_len: Option<u64>) {
    buffer.put(&body_len.unwrap_or(UNKNOWN_LENGTH).to_le_bytes());
    buffer.field(head.method.as_str().as_bytes());
    buffer.field(target(head).as_bytes());
    buffer.pairs(head.headers.len(), fixed::pairs(&head.headers));
}

/// The request's target in origin form.
fn target(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// Encodes names and values.
pub(crate) fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> Vec<u8> {
    let (mut out, mut count) = (vec![0; 4], 0_u32);
    for (name, value) in pairs {
        out.field(name.as_bytes());
        out.field(value.as_bytes());
        count += 1;
    }
    out.as_mut_slice().put(&count.to_le_bytes());
    out
}

/// Reads a response's head.
///
/// # Errors
/// What is wrong with the head, as a text for the author of the guest.
pub(crate) fn read_response(head: &[u8]) -> Result<(StatusCode, HeaderMap), String> {
    if head.len() > HEAD {
        return Err(too_long(head.len()));
    }
    let mut reader = Reader(head);
    let status = final_status(reader.u16().ok_or(CUT)?)?;
    let headers = read_headers(&mut reader)?;
    if reader.0.is_empty() { Ok((status, headers)) } else { Err("bytes after the head".into()) }
}

/// The status with that number.
///
/// # Errors
/// The number is not valid for a response.
pub(crate) fn final_status(number: u16) -> Result<StatusCode, String> {
    let status = StatusCode::from_u16(number).ok();
    let status = status.filter(|status| !status.is_informational());
    status.ok_or_else(|| format!("{number} is no final HTTP status"))
}

/// The error for a response's head of that length.
pub(crate) fn too_long(len: usize) -> String {
    format!("its head has {len} bytes; the most is {HEAD}")
}

/// Reads the head of a request that a guest makes; `None` if it is malformed or
/// longer than [`HEAD`].
pub(crate) fn read_request(head: &[u8]) -> Option<Request<()>> {
    let (mut request, target) = read_head(head)?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    Some(request)
}

/// Reads the head of a request without its target, and the target: the text of
/// a URL, if the request is to another host. `None` if it is malformed or longer
/// than [`HEAD`].
pub(crate) fn read_head(head: &[u8]) -> Option<(Request<()>, &str)> {
    if head.len() > HEAD {
        return None;
    }
    let mut reader = Reader(head);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(reader.field()?).ok()?;
    let target = str::from_utf8(reader.field()?).ok()?;
    *request.headers_mut() = read_headers(&mut reader).ok()?;
    reader.0.is_empty().then_some((request, target))
}

/// A log record of a guest.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) pairs: Vec<(&'a [u8], &'a [u8])>,
}

/// Reads a log record; `None` if it is malformed.
pub(crate) fn read_record(record: &[u8]) -> Option<Record<'_>> {
    let mut reader = Reader(record);
    let (message, target) = (reader.field()?, reader.field()?);
    let count = reader.u32().filter(|&count| count <= LOG_FIELDS)?;
    let pairs = (0..count).map(|_| Some((reader.field()?, reader.field()?)));
    let pairs = pairs.collect::<Option<_>>()?;
    reader.0.is_empty().then_some(Record { message, target, pairs })
}

/// The result of a call or a fetch, as its caller reads it.
pub(crate) enum Answer<'a> {
    Response(&'a Response, Bytes),
    /// A response with a body that is yet to be read, and its length if known.
    #[cfg(feature = "server")]
    Head {
        status: StatusCode,
        headers: &'a HeaderMap,
        length: Option<u64>,
    },
    Failure {
        outcome: &'static str,
        text: Cow<'a, str>,
        cause: Cow<'a, str>,
    },
}

impl<'a> Answer<'a> {
    pub(crate) fn new(ended: &'a Ended) -> Self {
        match ended {
            Ok(held) => match held.response.body().whole() {
                Some(body) => Self::Response(&held.response, body),
                None => Self::Failure {
                    outcome: "bad-response",
                    text: "its body is not whole".into(),
                    cause: "".into(),
                },
            },
            Err(HeldFailure { outcome, text, cause, .. }) => {
                Self::Failure { outcome, text: (&**text).into(), cause: (&**cause).into() }
            }
        }
    }

    /// The bytes after its head.
    pub(crate) fn body(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match self {
            Self::Response(_, body) => body,
            _ => &NONE,
        }
    }

    /// Its length on the wire, without its body.
    pub(crate) fn head_len(&self) -> usize {
        2 + match self {
            Self::Response(response, _) => headers_len(response.headers()),
            #[cfg(feature = "server")]
            Self::Head { headers, .. } => headers_len(headers) + 8,
            Self::Failure { outcome, text, cause } => 12 + outcome.len() + text.len() + cause.len(),
        }
    }

    /// Writes it, without its body. The length of `buffer` must be
    /// [`head_len`](Self::head_len).
    pub(crate) fn write_head(&self, mut buffer: &mut [u8]) {
        match self {
            Self::Response(response, _) => {
                buffer.put(&response.status().as_u16().to_le_bytes());
                buffer.pairs(response.headers().len(), fixed::pairs(response.headers()));
            }
            #[cfg(feature = "server")]
            Self::Head { status, headers, length } => {
                buffer.put(&status.as_u16().to_le_bytes());
                buffer.pairs(headers.len(), fixed::pairs(headers));
                buffer.put(&length.unwrap_or(UNKNOWN_LENGTH).to_le_bytes());
            }
            Self::Failure { outcome, text, cause } => {
                buffer.put(&0_u16.to_le_bytes());
                for part in [*outcome, text, cause] {
                    buffer.field(part.as_bytes());
                }
            }
        }
    }
}

/// What is wrong with a head that ends too early.
const CUT: &str = "the head is cut short";

fn read_headers(reader: &mut Reader<'_>) -> Result<HeaderMap, String> {
    let count = reader.u32().ok_or(CUT)? as usize;
    if count > HEADERS {
        return Err(format!("{count} headers, the most is {HEADERS}"));
    }
    let mut headers = HeaderMap::with_capacity(count);
    for _ in 0..count {
        let (name, value) = (reader.field().ok_or(CUT)?, reader.field().ok_or(CUT)?);
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Parses a header of a guest's response.
///
/// # Errors
/// What is wrong with it, as a text for the author of the guest.
pub(crate) fn header(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name)
        .map_err(|_| format!("`{}` is no header name", fixed::lossy(name)))?;
    let value = HeaderValue::from_bytes(value).map_err(|_| {
        let name = fixed::cut(name.as_str(), fixed::TEXT);
        format!("the value of header `{name}` has bytes that HTTP forbids")
    })?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::InvokeError;
    use crate::limits::bytes::ByteBudget;
    use crate::outcome::Outcome;

    fn head(status: u16, headers: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = status.to_le_bytes().to_vec();
        out.extend((headers.len() as u32).to_le_bytes());
        for (name, value) in headers {
            for part in [name.as_bytes(), value] {
                out.extend((part.len() as u32).to_le_bytes());
                out.extend(part);
            }
        }
        out
    }

    #[test]
    fn a_response_is_read() {
        let (status, headers) =
            read_response(&head(201, &[("x-a", b"1"), ("x-a", b"2")])).expect("well-formed");
        assert_eq!(status, 201);
        assert_eq!(headers.get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn a_malformed_response_says_why() {
        for (bytes, why) in [
            (head(99, &[]), "status"),
            (head(101, &[]), "status"),
            (head(200, &[("a b", b"")]), "header name"),
            (head(200, &[("a", b"x\r\ny: z")]), "HTTP forbids"),
            ([head(200, &[]), vec![0]].concat(), "after the head"),
            (vec![200], "cut short"),
        ] {
            let error = read_response(&bytes).expect_err("malformed");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_request_fills_its_room_exactly() {
        let request = http::Request::get("/a?b=c").header("x-y", "z").body(()).expect("valid");
        let (head, ()) = request.into_parts();
        let mut room = vec![0xff; request_len(&head)];
        write_request(&mut room, &head, None);
        let mut reader = Reader(&room);
        assert_eq!(reader.u64(), Some(u64::MAX));
        assert_eq!(reader.field().expect("method"), b"GET");
        assert_eq!(reader.field().expect("target"), b"/a?b=c");
        assert_eq!(reader.u32().expect("count"), 1);
        assert_eq!(reader.field().expect("name"), b"x-y");
        assert_eq!(reader.field().expect("value"), b"z");
        assert!(reader.0.is_empty());
    }

    #[test]
    fn a_request_that_a_guest_makes_is_read() {
        let mut head = Vec::new();
        for part in ["PUT", "/a?b=c"] {
            head.extend((part.len() as u32).to_le_bytes());
            head.extend(part.as_bytes());
        }
        head.extend(1_u32.to_le_bytes());
        for part in ["x-y", "z"] {
            head.extend((part.len() as u32).to_le_bytes());
            head.extend(part.as_bytes());
        }
        let request = read_request(&head).expect("well-formed");
        assert_eq!((request.method().as_str(), request.uri().path()), ("PUT", "/a"));
        assert_eq!(request.headers()["x-y"], "z");
        head.push(0);
        assert!(read_request(&head).is_none(), "bytes after the head");
        assert!(read_request(&head[..head.len() - 2]).is_none(), "cut short");
    }

    #[test]
    fn what_a_guest_logs_is_read() {
        let part = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let count = |count: u32| count.to_le_bytes().to_vec();
        let record = [part("message"), part("target"), count(1), part("a"), part("b")].concat();
        let read = read_record(&record).expect("well-formed");
        assert_eq!((read.message, read.target), (&b"message"[..], &b"target"[..]));
        assert_eq!(read.pairs, [(&b"a"[..], &b"b"[..])]);
        for malformed in [
            [record.clone(), vec![0]].concat(),
            record[..record.len() - 1].to_vec(),
            [part("message"), part("target"), count(u32::MAX)].concat(),
        ] {
            assert!(read_record(&malformed).is_none(), "{malformed:?}");
        }
    }

    #[test]
    fn an_answer_fills_its_room_exactly() {
        let busy = InvokeError::refused("callee".into(), Outcome::Busy);
        let failed = Err(HeldFailure::new(&ByteBudget::new(1_000), &busy));
        let failure = Answer::new(&failed);
        let response = Response::new("body".into());
        let body = response.body().whole().expect("it is whole");
        let answer = Answer::Response(&response, body);
        let mut room = vec![0xff; answer.head_len()];
        answer.write_head(&mut room);
        assert_eq!((&*room, &**answer.body()), (&b"\xc8\0\0\0\0\0"[..], &b"body"[..]));
        let mut room = vec![0xff; failure.head_len()];
        failure.write_head(&mut room);
        let mut reader = Reader(&room);
        assert_eq!(reader.u16().expect("status"), 0);
        assert_eq!(reader.field().expect("outcome"), b"busy");
        assert_eq!(reader.field().expect("text"), Outcome::Busy.to_string().as_bytes());
        assert_eq!((reader.field().expect("cause"), reader.0), (&b""[..], &b""[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_response(&bytes);
            let _ = read_request(&bytes);
            let _ = read_record(&bytes);
        }
    }
}
