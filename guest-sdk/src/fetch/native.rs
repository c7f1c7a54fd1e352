//! Fetches outside a host. The handler that a test registered answers them.

use bytes::Bytes;

use super::error::FetchError;
use crate::body::Source;
use crate::native::{self, Started};
use crate::pending::private::Failure;
use crate::{Body, BodyError, Context, Done, Error, Request, Response};

/// A response's body, as a closure that reads the whole of it. As inside a host, it arrives after
/// the head and under the context of the fetch. When that context is done, the body breaks off.
pub(crate) struct Fetched(Box<dyn FnOnce() -> Result<Bytes, FetchError> + Send>);

impl Fetched {
    /// Reads the whole body of the response.
    pub(crate) fn collect(self, _: Option<u64>) -> Result<Bytes, FetchError> {
        (self.0)()
    }
}

/// Starts a fetch. Waits only for the request's body to be written.
pub(super) fn start(
    ctx: &Context,
    url: &str,
    request: Request,
) -> Result<Started<FetchError>, FetchError> {
    let body = request.body().collect().map_err(|error| {
        let error = match error {
            BodyError::Written(reason) => Error::new(reason),
            error => error.into(),
        };
        FetchError::body(ctx, url, error)
    })?;
    native::start(ctx, url, ctx.fetcher(), request.map(|_| body.into()))
}

impl Failure for FetchError {
    fn done(url: &str, ctx: &Context, done: Done) -> Self {
        Self::ended(url, ctx, done)
    }

    fn response(url: &str, ctx: &Context, started: Started<Self>) -> Result<Response, Self> {
        let (response, cancel) = started.result(url)?;
        let origin = Self::origin(url, response.status());
        let (ctx, url) = (ctx.clone(), url.to_owned());
        Ok(response.map(|body| {
            let collect = move || {
                let check = || ctx.check().map_err(|done| Self::ended(&url, &ctx, done));
                check()?;
                let whole = collect(&body, &url);
                check()?;
                // The handler may write the body until here.
                drop(cancel);
                whole
            };
            let fetched = Fetched(Box::new(collect));
            Body::from_source(Source::Fetched(fetched, None)).sent_by(origin)
        }))
    }

    fn complete(_: &str, _: &Context, response: Response) -> Result<Response, Self> {
        Ok(response)
    }

    fn panicked(url: &str, message: &str) -> Self {
        Self::BadResponse(format!("{url}: {message}"))
    }

    fn unanswered(url: &str, reason: &str) -> Self {
        Self::Forbidden(format!("{url}: {reason}: answer fetches with `Context::with_fetch`"))
    }
}

/// Reads the whole body that the handler sends.
fn collect(body: &Body, url: &str) -> Result<Bytes, FetchError> {
    body.collect().map_err(|error| {
        let reason = match error {
            BodyError::Upstream { error, .. } => return error,
            BodyError::Written(reason) => reason,
            error => error.to_string(),
        };
        FetchError::BadResponse(format!("{url}: the response's body broke off: {reason}"))
    })
}

#[cfg(test)]
mod tests;
