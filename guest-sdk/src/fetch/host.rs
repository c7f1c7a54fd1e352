//! Fetches inside a host.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;

use super::error::FetchError;
use super::options::Redirects;
use crate::abi::fetch::Upload;
use crate::body::{Source, copy};
use crate::host::Started;
use crate::pending::private::Failure;
use crate::{Body, Context, Done, Request, Response, Writer, abi, wire};

/// The most that is allocated because another host announced it, in bytes.
const ANNOUNCED: u64 = 16 << 20;
/// The number of bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A response with an unread body. Dropping it ends the fetch.
pub(crate) struct Fetched {
    started: Started<FetchError>,
    /// The context that the response arrives under. It must not be canceled before the body is
    /// read.
    _ctx: Context,
    url: Box<str>,
}

/// Starts a fetch. Waits only for the other host to accept a body that is sent in pieces.
pub(super) fn start(
    ctx: &Context,
    url: &str,
    mut request: Request,
) -> Result<Started<FetchError>, FetchError> {
    let redirects = request.extensions().get().map_or(0, |Redirects(most)| *most);
    let begin = |head: &[u8], body: Upload<'_>| {
        let handle = abi::fetch::start(ctx.handle(), redirects, head, body);
        let refused = |_| FetchError::BadRequest(format!("{url}: {}", abi::refused(head.len())));
        handle.map(Started::new).map_err(refused)
    };
    request.body().check().map_err(|error| FetchError::body(ctx, url, error.into()))?;
    let source = match request.body().pieces() {
        Err(whole) => return begin(&wire::order(&request), Upload::Whole(whole)),
        Ok(source) => source,
    };
    if let Source::Host(Some(length)) | Source::Fetched(_, Some(length)) = source {
        request.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    let head = wire::order(&request);
    if let Source::Host(_) = source {
        // The host forwards the body by itself, without this function.
        return begin(&head, Upload::Passed);
    }
    let started = begin(&head, Upload::Follows)?;
    upload(ctx, url, started.handle(), request.body(), source)?;
    Ok(started)
}

/// Sends a body piece by piece.
fn upload(
    ctx: &Context,
    url: &str,
    fetch: i32,
    body: &Body,
    source: Source,
) -> Result<(), FetchError> {
    let mut writer = Writer::fetch(fetch);
    let sent = match source {
        Source::Written(write) => write(&mut writer),
        others => copy(&mut body.resume(others), &mut writer).map_err(Into::into),
    };
    match sent {
        // A failure to send the end is ignored: the response shows the result.
        Ok(()) => drop(abi::fetch::write(fetch, &[])),
        // The response or the failure says what happened to the body.
        Err(_) if writer.is_refused() => {}
        Err(error) => return Err(FetchError::body(ctx, url, error)),
    }
    Ok(())
}

impl Failure for FetchError {
    fn done(url: &str, ctx: &Context, done: Done) -> Self {
        Self::ended(url, ctx, done)
    }

    fn response(url: &str, ctx: &Context, started: Started<Self>) -> Result<Response, Self> {
        let (response, length) = head(url, &started)?;
        let origin = Self::origin(url, response.status());
        let fetched = Fetched { started, _ctx: ctx.clone(), url: url.into() };
        let body = Body::from_source(Source::Fetched(fetched, length)).sent_by(origin);
        Ok(response.map(|()| body))
    }

    fn close(handle: i32) {
        abi::fetch::close(handle);
    }
}

/// Returns the response's head, with the length of its body if known.
fn head(url: &str, started: &Started<FetchError>) -> Result<wire::Fetched, FetchError> {
    match wire::fetched(abi::fetch::head(started.handle())) {
        Ok(Ok(head)) => Ok(head),
        Ok(Err(failure)) => {
            Err(FetchError::named(url, failure.outcome, &failure.text, &failure.cause))
        }
        Err(malformed) => Err(FetchError::BadResponse(format!("{url}: {malformed}"))),
    }
}

impl Fetched {
    /// Reads the next piece of the response's body into a range that is not empty.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        abi::fetch::read(self.started.handle(), buffer).map_err(|_| {
            // The head now has the reason why the body broke off.
            head(&self.url, &self.started).err().unwrap_or_else(|| {
                FetchError::BadResponse(format!("{}: the response's body broke off", self.url))
            })
        })
    }

    /// Reads the whole body of the response. The length is `None` if it is unknown.
    pub(crate) fn collect(self, length: Option<u64>) -> Result<Bytes, FetchError> {
        let announced = length.map_or(0, |length| length.min(ANNOUNCED) as usize);
        let mut whole = Vec::with_capacity(announced);
        let mut buffer = vec![0; PIECE];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(whole.into()),
                read => whole.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            }
        }
    }
}
