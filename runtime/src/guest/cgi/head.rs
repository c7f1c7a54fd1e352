//! Finds the end of the head of a CGI response, and parses the head.
//!
//! A head is the text before the first blank line, if every line of it looks
//! like a header and at least one is defined by RFC 3875. A program that only
//! prints its text therefore needs no head, unless its text looks like one.

use hourglass_abi::limit::HEADERS;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};

use crate::body::{Body, Response};
use crate::guest::wire::{final_status, header};
use crate::limits::fixed;

/// The longest head, in bytes as printed.
pub(crate) const LONGEST: usize = fixed::HEAD;

/// The field of a CGI head that is not an HTTP header.
const STATUS: &str = "status";

/// The result of the search so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum HeadEnd {
    /// More output is needed.
    #[default]
    Nothing,
    /// A head of this length, including the blank line.
    Head(usize),
    /// There is no head. All output is the body.
    Body,
    /// The head is too long.
    Endless,
}

/// Finds the end of a head in output that arrives piece by piece. It examines
/// each byte once.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// The start of the incomplete line.
    line: usize,
    /// The number of bytes examined.
    seen: usize,
    /// Whether one of the fields of RFC 3875 was found.
    is_cgi: bool,
}

impl Search {
    /// Continues the search, in all output so far.
    pub(crate) fn find(&mut self, printed: &[u8]) -> HeadEnd {
        while let Some(end) = printed.get(self.seen..).and_then(newline) {
            let next = self.seen + end + 1;
            let line = printed.get(self.line..next).unwrap_or_default();
            (self.line, self.seen) = (next, next);
            let line = without_end(line);
            if line.is_empty() {
                return match self.is_cgi {
                    true if next > LONGEST => HeadEnd::Endless,
                    true => HeadEnd::Head(next),
                    false => HeadEnd::Body,
                };
            }
            match field(line) {
                Some((name, _)) => self.is_cgi |= is_cgi(name),
                None => return HeadEnd::Body,
            }
        }
        self.seen = printed.len();
        match printed.len() > LONGEST {
            true if self.is_cgi => HeadEnd::Endless,
            true => HeadEnd::Body,
            false => HeadEnd::Nothing,
        }
    }
}

/// Parses a head into a response without a body.
///
/// # Errors
/// What is wrong with it, as a text for the author of the guest.
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
        let (name, value) = header(name, value)?;
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

/// The response of a guest that prints no head. Its first output decides
/// whether the body is a text.
pub(crate) fn of_bare_body(printed: &[u8]) -> Response {
    let is_text = match str::from_utf8(printed) {
        Ok(_) => true,
        // The rest of a character may still arrive.
        Err(error) => error.error_len().is_none(),
    };
    let kind = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The number of a status. A reason may follow it, but HTTP has its own.
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

/// The name and the value of a line that looks like a header: it has a colon,
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
