//! Fetches inside of a host.

use std::io;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;

use super::{FetchError, Redirects};
use crate::abi::fetch::Upload;
use crate::body::{PASSED, Source, copy};
use crate::pending::private;
use crate::{Body, Context, Request, Response, Writer, abi, wire};

/// The most that is allocated because another host announced it.
const ANNOUNCED: u64 = 16 << 20;

/// A fetch that the host knows by this handle. Dropping it ends the fetch.
#[derive(Debug)]
pub(crate) struct Fetched {
    handle: i32,
    /// Its response arrives under this context, which must not be canceled before.
    _ctx: Context,
    url: Box<str>,
}

/// A fetch whose response is awaited.
#[derive(Debug)]
pub struct Started(Fetched);

/// Fetches and does not wait, except for the other side to take a body that comes in pieces.
pub(super) fn start(ctx: &Context, url: &str, mut request: Request) -> Result<Started, FetchError> {
    let redirects = request.extensions().get().map_or(0, |Redirects(most)| *most);
    let source = match request.body().pieces() {
        Err(whole) => {
            let head = wire::order(&request);
            return begin(ctx, url, redirects, &head, Upload::Whole(whole));
        }
        Ok(source) => source,
    };
    if let Source::Host(Some(length)) | Source::Fetched(_, Some(length)) = source {
        request.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    let head = wire::order(&request);
    if let Source::Host(_) = source {
        // Host and other host do without this function then.
        return begin(ctx, url, redirects, &head, Upload::Passed);
    }
    let started = begin(ctx, url, redirects, &head, Upload::Follows)?;
    upload(ctx, url, &started, source)?;
    Ok(started)
}

fn begin(
    ctx: &Context,
    url: &str,
    redirects: u32,
    head: &[u8],
    body: Upload<'_>,
) -> Result<Started, FetchError> {
    let handle = abi::fetch::start(ctx.handle(), redirects, head, body);
    handle
        .map(|handle| Started(Fetched { handle, _ctx: ctx.clone(), url: url.into() }))
        .map_err(|_| FetchError::BadRequest(format!("{url}: {}", abi::refused(head.len()))))
}

/// Sends a body piece by piece.
fn upload(ctx: &Context, url: &str, started: &Started, source: Source) -> Result<(), FetchError> {
    let mut writer = Writer::fetch(&started.0);
    let sent = match source {
        Source::Written(write) => write(&mut writer),
        others => copy(&mut Body::from_source(others), &mut writer).map_err(Into::into),
    };
    match sent {
        // Whether anybody takes the end is told by the response.
        Ok(()) => drop(started.0.write(&[])),
        // The response, or the failure, says what became of it.
        Err(_) if writer.is_refused() => {}
        Err(error) => {
            if let Some(done) = error.done() {
                return Err(private::Failure::done(url, ctx, done));
            }
            return Err(FetchError::Body(format!("{url}: the request's body broke off: {error}")));
        }
    }
    Ok(())
}

impl Fetched {
    /// The response's head, with the length of its body, if that is known.
    fn head(&self) -> Result<(Response<()>, Option<u64>), FetchError> {
        let url = &*self.url;
        match wire::fetched(abi::fetch::head(self.handle)) {
            Ok(Ok(head)) => Ok(head),
            Ok(Err(failure)) => {
                Err(FetchError::named(url, failure.outcome, &failure.text, &failure.cause))
            }
            Err(malformed) => Err(FetchError::BadResponse(format!("{url}: {malformed}"))),
        }
    }

    /// Reads the next piece of the response's body into a range that is not empty.
    pub(crate) fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        abi::fetch::read(self.handle, room).map_err(|_| io::Error::other(self.failure()))
    }

    /// Reads all of the response's body, of which there are so many bytes, if that is known.
    pub(crate) fn collect(self, length: Option<u64>) -> Result<Bytes, FetchError> {
        let mut whole =
            Vec::with_capacity(length.map_or(0, |length| length.min(ANNOUNCED) as usize));
        let mut room = vec![0; PASSED];
        loop {
            match abi::fetch::read(self.handle, &mut room) {
                Ok(0) => return Ok(whole.into()),
                Ok(read) => whole.extend_from_slice(room.get(..read).unwrap_or_default()),
                Err(_) => return Err(self.failure()),
            }
        }
    }

    /// Why the response's body broke off.
    fn failure(&self) -> FetchError {
        let failure = self.head().err();
        failure.unwrap_or_else(|| {
            FetchError::BadResponse(format!("{}: the response's body broke off", self.url))
        })
    }

    /// Writes a piece of the request's body; an error is the host's code.
    pub(crate) fn write(&self, piece: &[u8]) -> Result<usize, i32> {
        abi::fetch::write(self.handle, piece)
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        abi::fetch::give_up(self.handle);
    }
}

impl private::Started<FetchError> for Started {
    fn handle(&self) -> i32 {
        self.0.handle
    }

    fn result(self, _: &str) -> Result<Response, FetchError> {
        let (response, length) = self.0.head()?;
        Ok(response.map(|()| Body::from_source(Source::Fetched(self.0, length))))
    }
}
