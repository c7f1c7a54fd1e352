//! Fetches outside a host. The handler that a test registered answers them.

use bytes::Bytes;

use super::error::FetchError;
use super::fetched::Fetched;
use crate::body::Source;
use crate::pending::private;
use crate::{Body, BodyError, Context, Error, Request, Response, native};

/// A fetch that awaits its response.
#[derive(Debug)]
pub struct Started {
    run: native::Started<FetchError>,
    ctx: Context,
}

/// Starts a fetch. Waits only for the request's body to be written.
pub(super) fn start(ctx: &Context, url: &str, request: Request) -> Result<Started, FetchError> {
    let body = request.body().collect().map_err(|error| {
        let error = match error {
            BodyError::Written(reason) => Error::new(reason),
            error => error.into(),
        };
        FetchError::body(ctx, url, error)
    })?;
    let request = request.map(|_| body.into());
    let run = native::start(ctx, url, ctx.fetcher(), request, |_, _, response| Ok(response))?;
    Ok(Started { run, ctx: ctx.clone() })
}

impl private::Started<FetchError> for Started {
    fn has_ended(&self) -> bool {
        self.run.has_ended()
    }

    fn result(self, url: &str) -> Result<Response, FetchError> {
        let Self { run, ctx } = self;
        let (response, cancel) = run.result(url)?;
        let url = url.to_owned();
        Ok(response.map(|body| {
            let fetched = Fetched::new(move || {
                check(&ctx, &url)?;
                let whole = collect(&body, &url);
                check(&ctx, &url)?;
                // The handler may write the body until here.
                drop(cancel);
                whole
            });
            Body::from_source(Source::Fetched(fetched, None))
        }))
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

fn check(ctx: &Context, url: &str) -> Result<(), FetchError> {
    ctx.check().map_err(|done| private::Failure::done(url, ctx, done))
}

#[cfg(test)]
mod tests;
