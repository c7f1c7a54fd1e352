//! Tells the head of a CGI response from its body, and reads it.
//!
//! A head is what stands before the first blank line, if every line of it looks
//! like a header and at least one is of those that RFC 3875 knows. A program
//! that only prints its text thus needs none, whatever it prints, short of
//! that.

use hourglass_abi::limit::HEADERS;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};

use crate::body::{Body, Response};
use crate::guest::wire::final_status;
use crate::limits::fixed;

/// The longest head, in bytes as it is printed.
pub(crate) const LONGEST: usize = fixed::HEAD;

/// The field of a CGI head that is none of HTTP.
const STATUS: &str = "status";

/// Whether there is a head, as far as that can be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// More has to be seen.
    #[default]
    Nothing,
    /// A head of so many bytes, with the blank line.
    Head(usize),
    /// There is none: all of it is the body.
    Body,
    /// There is one, but it is too long.
    Endless,
}

/// Looks for the end of a head in what is printed piece by piece, and at no
/// byte twice.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Where the line begins that is not complete.
    line: usize,
    /// How much was looked at.
    seen: usize,
    /// Whether one of RFC 3875's fields was there.
    is_cgi: bool,
}

impl Search {
    /// Goes on, in all that was printed until now.
    pub(crate) fn find(&mut self, printed: &[u8]) -> Found {
        while let Some(end) = printed.get(self.seen..).and_then(newline) {
            let next = self.seen + end + 1;
            let line = printed.get(self.line..next).unwrap_or_default();
            (self.line, self.seen) = (next, next);
            let line = without_end(line);
            if line.is_empty() {
                return match self.is_cgi {
                    true if next > LONGEST => Found::Endless,
                    true => Found::Head(next),
                    false => Found::Body,
                };
            }
            match field(line) {
                Some((name, _)) => self.is_cgi |= is_cgi(name),
                None => return Found::Body,
            }
        }
        self.seen = printed.len();
        match printed.len() > LONGEST {
            true if self.is_cgi => Found::Endless,
            true => Found::Body,
            false => Found::Nothing,
        }
    }
}

/// Reads a head; the response has no body yet.
///
/// # Errors
/// What is wrong with it, in words for whoever wrote the guest.
pub(crate) fn read(head: &[u8]) -> Result<Response, String> {
    let mut response = Response::new(Body::empty());
    let mut status = None;
    let lines = head.split_inclusive(|&byte| byte == b'\n').map(without_end);
    for (name, value) in lines.filter_map(field) {
        if name.eq_ignore_ascii_case(STATUS.as_bytes()) {
            if status.replace(value).is_some() {
                return Err("two `Status` lines".into());
            }
            continue;
        }
        if response.headers().len() >= HEADERS {
            return Err(format!("more than {HEADERS} headers"));
        }
        let name = HeaderName::from_bytes(name)
            .map_err(|_| format!("`{}` is no header name", fixed::lossy(name)))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| {
            let name = fixed::cut(name.as_str(), fixed::TEXT);
            format!("the value of header `{name}` has bytes that HTTP forbids")
        })?;
        response.headers_mut().append(name, value);
    }
    *response.status_mut() = match status {
        Some(text) => final_status(number(text))
            .map_err(|_| format!("`{}` is no final HTTP status", fixed::lossy(text)))?,
        None if response.headers().contains_key(LOCATION) => final_status(302)?,
        None => final_status(200)?,
    };
    Ok(response)
}

/// The response of a guest that prints no head. What is printed first decides
/// whether it is a text.
pub(crate) fn of_bare_body(printed: &[u8]) -> Response {
    let is_text = match str::from_utf8(printed) {
        Ok(_) => true,
        // A character may still be on its way.
        Err(error) => error.error_len().is_none(),
    };
    let kind = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The number of a status; a reason may follow it, but HTTP has its own.
fn number(status: &[u8]) -> u16 {
    let number = status.split(|&byte| byte == b' ').next().unwrap_or_default();
    str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The name and the value of a line that looks like a header: there is a colon,
/// and no blank before it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| (name, value.trim_ascii()))
}

fn is_cgi(name: &[u8]) -> bool {
    [STATUS, CONTENT_TYPE.as_str(), LOCATION.as_str()]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests;
