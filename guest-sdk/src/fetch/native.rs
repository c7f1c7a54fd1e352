//! Fetches outside of a host: answered by the handler that a test registered.

use bytes::Bytes;

use super::FetchError;
use crate::body::{Source, written};
use crate::context::CancelOnDrop;
use crate::pending::private;
use crate::{Body, Context, Request, Response, native};

/// A fetch whose response is awaited.
#[derive(Debug)]
pub struct Started {
    run: native::Started<FetchError>,
    ctx: Context,
}

/// A response's body. As inside of a host it arrives after the head, under the context of the
/// fetch: when that is done, the body breaks off.
#[derive(Debug)]
pub(crate) struct Fetched {
    url: String,
    ctx: Context,
    /// Ends what the handler goes on with.
    _cancel: CancelOnDrop,
    body: Body,
}

/// Fetches and does not wait.
pub(super) fn start(ctx: &Context, url: &str, request: Request) -> Result<Started, FetchError> {
    let run = native::start(ctx, url, ctx.fetcher(), request)?;
    Ok(Started { run, ctx: ctx.clone() })
}

impl private::Started<FetchError> for Started {
    fn has_ended(&self) -> bool {
        self.run.has_ended()
    }

    fn result(self, url: &str) -> Result<Response, FetchError> {
        let Self { run, ctx } = self;
        let (response, cancel) = run.result(url)?;
        Ok(response.map(|body| {
            let fetched = Fetched { url: url.to_owned(), ctx, _cancel: cancel, body };
            Body::from_source(Source::Fetched(fetched, None))
        }))
    }
}

impl Fetched {
    /// All of the response's body.
    pub(crate) fn collect(self, _: Option<u64>) -> Result<Bytes, FetchError> {
        self.check()?;
        let whole = match self.body.pieces() {
            Err(whole) => Ok(whole.clone()),
            Ok(Source::Written(write)) => written(write).map_err(|error| {
                FetchError::BadResponse(format!(
                    "{}: the response's body broke off: {error}",
                    self.url
                ))
            }),
            Ok(Source::Fetched(fetched, length)) => fetched.collect(length),
            Ok(Source::Gone) => Ok(Bytes::new()),
        };
        self.check()?;
        whole
    }

    fn check(&self) -> Result<(), FetchError> {
        let done = self.ctx.check();
        done.map_err(|done| private::Failure::done(&self.url, &self.ctx, done))
    }
}

#[cfg(test)]
mod tests;
