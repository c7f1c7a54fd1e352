//! The HTTP client for OTLP over HTTP: the one that remote functions use, with
//! the same connections and the same trust store.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_http::{Bytes, HttpClient, HttpError};

use crate::limits::fixed;
use crate::outbound::{Client, FetchError, Hosts, Upload, client};
use crate::sync::lock;

/// The greatest length of an answer.
const ANSWER: usize = 1 << 20;

/// A client of a collector.
#[derive(Debug)]
pub(super) struct CollectorClient {
    client: Client,
    cause: FailureCause,
}

/// Why the last request failed, which the library does not report.
#[derive(Clone, Debug, Default)]
pub(super) struct FailureCause(Arc<Mutex<Option<String>>>);

impl FailureCause {
    pub(super) fn take(&self) -> Option<String> {
        lock(&self.0).take()
    }
}

impl CollectorClient {
    pub(super) fn new(cause: FailureCause) -> Self {
        Self { client: client(Arc::new(Hosts::anywhere())), cause }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (body, _gone) = Upload::whole(request.body().clone());
        let request = request.map(|_| body);
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| FetchError::from_client(&error).to_string())?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request).await;
        if let Err(error) = &answer {
            *lock(&self.cause.0) = Some(fixed::display(error, fixed::MESSAGE));
        }
        answer
    }
}
