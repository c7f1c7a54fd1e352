//! A module that an operator sends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refused::Refused;
use crate::body::BodyError;
use crate::function::MAX_MODULE;

/// The longest time for a module to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Reads a module.
pub(super) async fn receive<B>(body: B) -> Result<Arc<[u8]>, Refused>
where
    B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
{
    match tokio::time::timeout(ARRIVAL, limited(body).collect()).await {
        Ok(Ok(whole)) => Ok(Vec::from(whole.to_bytes()).into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let reason = format!("a module has at most {} MiB", MAX_MODULE >> 20);
            Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, reason))
        }
        Ok(Err(_)) => Err(Refused(StatusCode::BAD_REQUEST, "the module broke off".to_owned())),
        Err(_elapsed) => {
            let reason = format!("the module did not arrive within {} seconds", ARRIVAL.as_secs());
            Err(Refused(StatusCode::REQUEST_TIMEOUT, reason))
        }
    }
}

/// Reads a module without keeping it.
pub(super) async fn discard<B>(body: B)
where
    B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
{
    let mut body = pin!(limited(body));
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    // It need not be complete.
    let _ = tokio::time::timeout(ARRIVAL, read).await;
}

fn limited<B>(body: B) -> Limited<B> {
    Limited::new(body, usize::try_from(MAX_MODULE).unwrap_or(usize::MAX))
}
