//! Requests to other hosts, each identified by a handle.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;

use super::body::{self, Incoming, copy, failed};
use super::{Started, decoded, length, refused, sized};
use crate::body::{Origin, Source};
use crate::pending::private::Failure;
use crate::{Body, BodyError, Context, FetchError, Redirects, Request, Response, Writer, wire};

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    fn fetch_start(
        ctx: i32,
        redirects: u32,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    fn fetch_write(fetch: i32, ptr: *const u8, len: usize) -> i32;
    fn fetch_head(fetch: i32, ptr: *mut u8, cap: usize) -> i32;
    fn fetch_read(fetch: i32, ptr: *mut u8, cap: usize) -> i32;
    safe fn fetch_drop(fetch: i32);
}

/// The largest head of a response that takes a single call, in bytes.
const HEAD: usize = 2048;

/// The length that announces a body written later, and the one that forwards the invocation's own
/// request body.
const FOLLOWS: usize = hourglass_abi::BODY_FOLLOWS as usize;
const PASSED: usize = hourglass_abi::BODY_PASSED as usize;

/// A response with an unread body. Dropping it ends the fetch.
pub(crate) struct Fetched {
    started: Started<FetchError>,
    /// The context that the response arrives under. It must not be canceled before the body is
    /// read.
    _ctx: Context,
    url: Box<str>,
    status: StatusCode,
}

/// Starts a fetch. Waits only for the other host to accept a body that is sent in pieces.
pub(crate) fn start(
    ctx: &Context,
    url: &str,
    mut request: Request,
) -> Result<Started<FetchError>, FetchError> {
    let redirects = request.extensions().get().map_or(0, |Redirects(most)| *most);
    let begin = |head: &[u8], body: *const u8, len: usize| {
        let ctx = ctx.0.handle();
        // SAFETY: both ranges are borrowed for the duration of the call, and only read. If the
        // length is one of the two special values, the host reads nothing at the body's pointer.
        let code = unsafe { fetch_start(ctx, redirects, head.as_ptr(), head.len(), body, len) };
        match code {
            ..0 => Err(FetchError::BadRequest(format!("{url}: {}", refused(head.len())))),
            handle => Ok(Started::new(handle)),
        }
    };
    request.body().check().map_err(|error| FetchError::body(ctx, url, error.into()))?;
    let source = match request.body().pieces() {
        Err(whole) => return begin(&wire::order(&request), whole.as_ptr(), whole.len()),
        Ok(source) => source,
    };
    if let Source::Incoming(_, Some(length)) = source {
        request.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    let head = wire::order(&request);
    if let Source::Incoming(Incoming::Client, _) = source {
        // The host forwards the body by itself, without this function.
        return begin(&head, head.as_ptr(), PASSED);
    }
    let started = begin(&head, head.as_ptr(), FOLLOWS)?;
    let mut is_refused = false;
    let mut upload = |piece: &[u8]| match piece {
        [] => Ok(0),
        _ => send(started.0, piece).map_err(|code| {
            is_refused = true;
            failed(code)
        }),
    };
    let mut writer = Writer(&mut upload);
    let sent = match source {
        Source::Written(write) => write(&mut writer),
        others => copy(&mut Body::from_source(others), &mut writer).map_err(Into::into),
    };
    match sent {
        // A failure to send the end is ignored: the response shows the result.
        Ok(()) => drop(send(started.0, &[])),
        // The other host has stopped accepting the body. The response or the failure says why.
        Err(_) if is_refused => {}
        Err(error) => return Err(FetchError::body(ctx, url, error)),
    }
    Ok(started)
}

/// Sends a piece of a request's body, and returns the number of bytes that were accepted. An empty
/// piece ends the body. An error is the host's code.
fn send(fetch: i32, piece: &[u8]) -> Result<usize, i32> {
    // SAFETY: the range is borrowed for the length of the call, and only read.
    length(unsafe { fetch_write(fetch, piece.as_ptr(), piece.len()) })
}

impl Failure for FetchError {
    fn response(url: &str, ctx: &Context, started: Started<Self>) -> Result<Response, Self> {
        let (response, length) = head(url, &started)?;
        let status = response.status();
        let fetched = Fetched { started, _ctx: ctx.clone(), url: url.into(), status };
        let body = Body::from_source(Source::Incoming(Incoming::Fetched(fetched), length));
        let origin = Origin::Upstream { url: url.to_owned(), status };
        Ok(response.map(|()| body.sent_by(origin)))
    }

    fn close(handle: i32) {
        fetch_drop(handle);
    }
}

/// Returns the response's head, with the length of its body if known.
fn head(url: &str, started: &Started<FetchError>) -> Result<wire::Fetched, FetchError> {
    // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
    let head = sized(HEAD, |ptr, cap| unsafe { fetch_head(started.0, ptr, cap) });
    decoded(url, wire::fetched(head.unwrap_or_default().into()))
}

impl Fetched {
    /// Reads the next piece of the response's body into a range that is not empty.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        // SAFETY: the range is exclusively borrowed for the duration of the call.
        let code = unsafe { fetch_read(self.started.0, buffer.as_mut_ptr(), buffer.len()) };
        length(code).map_err(|_| self.broken())
    }

    /// Reads the whole body of the response. The length is `None` if it is unknown.
    pub(super) fn collect(self, length: Option<u64>) -> Result<Bytes, BodyError> {
        // SAFETY: `collect` passes a pointer to `cap` bytes of the guest's that may be written.
        let read = |ptr, cap| unsafe { fetch_read(self.started.0, ptr, cap) };
        let body = body::collect(length, read).map_err(|_| self.broken())?;
        // A known length does not show that the response is complete.
        self.read(&mut [0]).map(|_| body)
    }

    /// Makes the error for a body that broke off. The head now has the reason.
    #[cold]
    fn broken(&self) -> BodyError {
        let error = head(&self.url, &self.started).err().unwrap_or_else(|| {
            FetchError::BadResponse(format!("{}: the response's body broke off", self.url))
        });
        BodyError::upstream(&self.url, self.status, error)
    }
}
