//! Fetches outside a host. The handler that a test registered answers them.

use bytes::Bytes;

use super::Started;
use crate::body::{Origin, Source};
use crate::named::Named;
use crate::pending::private::Failure;
use crate::{Body, BodyError, Context, Error, FetchError, Request, Response};

/// A response's body, as a closure that reads the whole of it. As inside a host, it arrives after
/// the head and under the context of the fetch. When that context is done, the body breaks off.
pub(crate) struct Incoming(Box<dyn FnOnce() -> Result<Bytes, BodyError> + Send>);

impl Incoming {
    /// Reads the whole body of the response.
    pub(crate) fn collect(self, _: Option<u64>) -> Result<Bytes, BodyError> {
        (self.0)()
    }
}

/// Starts a fetch. Waits only for the request's body to be written.
pub(crate) fn start(
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
    super::start(ctx, url, ctx.fetcher(), request.map(|_| body.into()))
}

impl Failure for FetchError {
    fn response(url: &str, ctx: &Context, started: Started<Self>) -> Result<Response, Self> {
        let (response, cancel) = started.result(url)?;
        let status = response.status();
        let origin = Origin::Upstream { url: url.to_owned(), status };
        let (ctx, url) = (ctx.clone(), url.to_owned());
        Ok(response.map(|body| {
            let collect = move || {
                let broken = |error| BodyError::upstream(&url, status, error);
                let check = || ctx.check().map_err(|done| broken(Self::ended(&url, &ctx, done)));
                check()?;
                let whole = collect(&body, &url).map_err(broken);
                check()?;
                // The handler may write the body until here.
                drop(cancel);
                whole
            };
            let incoming = Incoming(Box::new(collect));
            Body::from_source(Source::Incoming(incoming, None)).sent_by(origin)
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
