//! Fetches outside of a host: answered by the handler that a test registered.

use super::FetchError;
use crate::{Context, Request, native};

pub(crate) type Started = native::Started<FetchError>;

/// Fetches and does not wait.
pub(super) fn start(ctx: &Context, url: &str, request: Request) -> Result<Started, FetchError> {
    native::start(ctx, url, ctx.fetcher(), request)
}
