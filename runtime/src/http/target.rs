//! Confines calls to a function on another host to the function's own URL and
//! what is below it.
//!
//! A call's path is appended to the path of that URL. Servers, proxies and the
//! URL standard parse paths differently, so a call is refused if any
//! interpretation has a segment `..` or `.`: after percent-decoding once or
//! several times, with `\` as a separator, or with parameters behind `;`.

use http::uri::{PathAndQuery, Scheme};
use http::{Method, Uri};

/// Why a call can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error("CONNECT can't be used in a call; name another method")]
    Connect,
    #[error("the target of a call is no path; write it as `/path?query`")]
    NoPath,
    #[error("the path of a call has a segment `.` or `..`; name the path that is meant")]
    DotSegment,
    #[error("the path of a call begins with `//`; begin it with one `/`")]
    Slashes,
    #[error("the target of a call is too long together with the function's own address")]
    TooLong,
}

/// The URL of a call with this method and target, below `base`.
///
/// The path of the result is the base's, or the base's followed by `/` and
/// more.
///
/// # Errors
/// [`TargetError`] if any interpretation of the path would leave the base.
pub(super) fn below(base: &Uri, method: &Method, target: &Uri) -> Result<Uri, TargetError> {
    if *method == Method::CONNECT {
        return Err(TargetError::Connect);
    }
    let path = path(target)?;
    let own = base.path().trim_end_matches('/');
    // A bare `/` stands for the function itself.
    let path = if path == "/" && !own.is_empty() { "" } else { path };
    let mut parts = base.clone().into_parts();
    let joined = PathAndQuery::try_from(format!("{own}{path}"));
    parts.path_and_query = Some(joined.map_err(|_| TargetError::TooLong)?);
    Uri::from_parts(parts).map_err(|_| TargetError::TooLong)
}

/// The path and query of a target. The host of an absolute target is ignored: a
/// call can't choose it.
fn path(target: &Uri) -> Result<&str, TargetError> {
    let is_http = [None, Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&target.scheme());
    let is_authority = target.scheme().is_none() && target.authority().is_some();
    let path = target.path();
    if !is_http || is_authority || !path.starts_with('/') {
        return Err(TargetError::NoPath);
    }
    let read = decode(path);
    if has_dot_segment(&read) {
        return Err(TargetError::DotSegment);
    }
    // The request line would begin like the URL of another host.
    if matches!(read.as_slice(), [_, b'/' | b'\\', ..]) {
        return Err(TargetError::Slashes);
    }
    Ok(target.path_and_query().map_or("/", PathAndQuery::as_str))
}

/// Whether a path has a segment that means this one or its parent.
pub(super) fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| b"/\\".contains(byte)).any(|segment| {
        let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
        // Some parsers drop blanks and control characters.
        let mut plain = name.iter().filter(|&&byte| byte > b' ' && byte != 0x7f);
        let [first, second, third] = std::array::from_fn(|_| plain.next());
        first == Some(&b'.') && second.is_none_or(|&byte| byte == b'.') && third.is_none()
    })
}

/// Percent-decodes a path repeatedly until no escape is left, in one pass: a
/// decoded byte may complete another escape.
pub(super) fn decode(path: &str) -> Vec<u8> {
    let mut read = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        read.push(byte);
        while let [.., b'%', high, low] = read.as_slice()
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            read.truncate(read.len() - 3);
            read.push(high << 4 | low);
        }
    }
    read
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;
