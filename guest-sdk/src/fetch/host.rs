//! Fetches inside a host.

use http::header::CONTENT_LENGTH;

use super::error::FetchError;
use super::fetched::Fetched;
use super::options::Redirects;
use crate::abi::fetch::Upload;
use crate::body::{Source, copy};
use crate::pending::private;
use crate::{Body, Context, Request, Response, Writer, abi, wire};

/// A fetch that awaits its response.
#[derive(Debug)]
pub struct Started(Fetched);

/// Starts a fetch. Waits only for the other host to accept a body that is sent in pieces.
pub(super) fn start(ctx: &Context, url: &str, mut request: Request) -> Result<Started, FetchError> {
    let redirects = request.extensions().get().map_or(0, |Redirects(most)| *most);
    request.body().check().map_err(|error| FetchError::body(ctx, url, error.into()))?;
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
        // The host forwards the body by itself, without this function.
        return begin(ctx, url, redirects, &head, Upload::Passed);
    }
    let started = begin(ctx, url, redirects, &head, Upload::Follows)?;
    upload(ctx, url, &started, request.body(), source)?;
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
        .map(|handle| Started(Fetched::new(handle, ctx, url)))
        .map_err(|_| FetchError::BadRequest(format!("{url}: {}", abi::refused(head.len()))))
}

/// Sends a body piece by piece.
fn upload(
    ctx: &Context,
    url: &str,
    started: &Started,
    body: &Body,
    source: Source,
) -> Result<(), FetchError> {
    let mut writer = Writer::fetch(&started.0);
    let sent = match source {
        Source::Written(write) => write(&mut writer),
        others => copy(&mut body.resume(others), &mut writer).map_err(Into::into),
    };
    match sent {
        // A failure to send the end is ignored: the response shows the result.
        Ok(()) => drop(started.0.write(&[])),
        // The response or the failure says what happened to the body.
        Err(_) if writer.is_refused() => {}
        Err(error) => return Err(FetchError::body(ctx, url, error)),
    }
    Ok(())
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
