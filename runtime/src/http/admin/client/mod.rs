//! A client of the admin listener, for the program's commands.
//!
//! # Layout
//! - [`deploys`]: what changes functions.
//! - [`events`]: the stream of events.
//! - [`answers`]: what the events and the other answers contain; [`text`]: the
//!   texts in them.

pub(crate) mod answers;
mod deploys;
pub(crate) mod events;
pub(crate) mod text;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::net::TcpStream;
use url::form_urlencoded;

use self::answers::{FunctionDetails, Functions, JobList, Recording, Requests, Summary};
use self::events::EventStream;
use self::text::Text;
use super::listing::{Canceled, Listed};
use super::token::AdminToken;
use crate::body::Body;
use crate::jobs::{JobId, JobState};

/// The longest time a response may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest response body, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A client of the admin listener at an address.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) token: Option<AdminToken>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "nothing listens on {address} ({source}); start the server with `--admin {address}`, \
         or say with `--admin ADDR` where it listens for operators"
    )]
    Unreachable { address: String, source: io::Error },
    #[error(
        "{address} asks for its token; give it with `--token TOKEN`, or in HOURGLASS_ADMIN_TOKEN"
    )]
    Token { address: String },
    #[error(
        "what listens on {address} does not answer like a server's `--admin` ({reason}); \
         say with `--admin ADDR` where it listens for operators"
    )]
    Answer { address: String, reason: String },
    #[error("the server at {address} has no queue of jobs; start it with `--jobs DIR`")]
    NoJobs { address: String },
    #[error("no job {id} is stored; `hourglass jobs list` shows those that are")]
    NoJob { id: JobId },
    #[error("{0}")]
    Refused(Text),
}

/// A problem document.
#[derive(Deserialize)]
struct Refused {
    detail: Text,
}

/// Whether a refusal says that the server has no jobs at all.
fn has_no_queue(body: &[u8]) -> bool {
    serde_json::from_slice::<Refused>(body).is_ok_and(|one| one.detail.contains("`--jobs DIR`"))
}

impl Client {
    /// Lists the invocations in flight.
    pub(crate) async fn invocations(&self) -> Result<Vec<Listed>, ClientError> {
        match self.ask(Method::GET, "/invocations").await? {
            (StatusCode::OK, body) => self.read(&body),
            (status, _) => Err(self.unlike(status)),
        }
    }

    /// Cancels an invocation and its descendants. Returns the number of
    /// canceled invocations: 0 if no invocation has this id.
    pub(crate) async fn cancel(&self, id: u64) -> Result<usize, ClientError> {
        match self.ask(Method::DELETE, &format!("/invocations/{id}")).await? {
            (StatusCode::OK, body) => Ok(self.read::<Canceled>(&body)?.canceled),
            (StatusCode::NOT_FOUND, _) => Ok(0),
            (status, _) => Err(self.unlike(status)),
        }
    }

    /// Lists recorded requests: `recent`, `slowest` or `failed` ones.
    pub(crate) async fn requests(&self, list: &str) -> Result<Vec<Summary>, ClientError> {
        match self.ask(Method::GET, &format!("/requests?list={list}")).await? {
            (StatusCode::OK, body) => Ok(self.read::<Requests>(&body)?.requests),
            (status, _) => Err(self.unlike(status)),
        }
    }

    /// Reads a recorded request, if it is still kept.
    pub(crate) async fn request(&self, id: u64) -> Result<Option<Recording>, ClientError> {
        match self.ask(Method::GET, &format!("/requests/{id}")).await? {
            (StatusCode::OK, body) => Ok(Some(self.read(&body)?)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(self.unlike(status)),
        }
    }

    /// Lists the functions with their limits and capabilities.
    pub(crate) async fn functions(&self) -> Result<Vec<FunctionDetails>, ClientError> {
        match self.ask(Method::GET, "/functions").await? {
            (StatusCode::OK, body) => Ok(self.read::<Functions>(&body)?.functions),
            (status, _) => Err(self.unlike(status)),
        }
    }

    /// Lists a part of the jobs. They are as the server sends them.
    pub(crate) async fn jobs(
        &self,
        state: Option<JobState>,
        function: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<JobList, ClientError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let pairs =
            [("state", state.map(JobState::name)), ("function", function), ("before", before)];
        for (name, value) in pairs {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        let query = query.append_pair("limit", &limit.to_string()).finish();
        self.ask_for_job(Method::GET, &format!("/jobs?{query}"))
            .await?
            .ok_or_else(|| self.no_jobs())
    }

    /// Lists the schedules. They are as the server sends them.
    pub(crate) async fn schedules(&self) -> Result<Vec<serde_json::Value>, ClientError> {
        match self.ask(Method::GET, "/schedules").await? {
            (StatusCode::OK, body) => self.read(&body),
            (status, _) => Err(self.unlike(status)),
        }
    }

    /// Shows a job, if it is stored. It is as the server sends it.
    pub(crate) async fn job(&self, id: JobId) -> Result<Option<serde_json::Value>, ClientError> {
        self.ask_for_job(Method::GET, &format!("/jobs/{id}")).await
    }

    /// Queues a job again.
    pub(crate) async fn retry_job(&self, id: JobId) -> Result<(), ClientError> {
        let job =
            self.ask_for_job::<IgnoredAny>(Method::POST, &format!("/jobs/{id}/retry")).await?;
        job.map(drop).ok_or(ClientError::NoJob { id })
    }

    /// Removes a job.
    pub(crate) async fn drop_job(&self, id: JobId) -> Result<(), ClientError> {
        let job = self.ask_for_job::<IgnoredAny>(Method::DELETE, &format!("/jobs/{id}")).await?;
        job.map(drop).ok_or(ClientError::NoJob { id })
    }

    /// Sends a request for jobs; `None` if there is no such job.
    async fn ask_for_job<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<Option<T>, ClientError> {
        match self.ask(method, path).await? {
            (StatusCode::OK, body) => Ok(Some(self.read(&body)?)),
            (StatusCode::NOT_FOUND, body) if has_no_queue(&body) => Err(self.no_jobs()),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (_, body) => match serde_json::from_slice::<Refused>(&body) {
                Ok(Refused { detail }) => Err(ClientError::Refused(detail)),
                Err(error) => Err(self.unlike(error)),
            },
        }
    }

    fn no_jobs(&self) -> ClientError {
        ClientError::NoJobs { address: self.address.clone() }
    }

    /// Opens the stream of events.
    pub(crate) async fn events(self: &Arc<Self>) -> Result<EventStream, ClientError> {
        let answer = self.send(Method::GET, "/events", Bytes::new());
        let answer = self.in_time(TIMEOUT, answer).await?;
        match answer.status() {
            StatusCode::OK => Ok(EventStream::new(self.clone(), answer.into_body())),
            status => Err(self.unlike(status)),
        }
    }

    /// Sends a request, and collects the body of its response.
    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
        self.ask_within(TIMEOUT, method, path, Bytes::new()).await
    }

    /// Sends a request with a body, and collects the body of its response.
    async fn ask_within(
        &self,
        limit: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let asked = async {
            let (head, body) = self.send(method, path, body).await?.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await;
            Ok((head.status, body.map_err(|error| self.unlike(error))?.to_bytes()))
        };
        self.in_time(limit, asked).await
    }

    /// Waits for a result, but not too long.
    async fn in_time<T>(
        &self,
        limit: Duration,
        result: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let result = tokio::time::timeout(limit, result).await;
        result.unwrap_or_else(|_elapsed| Err(self.unlike("it takes too long")))
    }

    /// Sends a request, and waits for the head of its response.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let unreachable =
            |source| ClientError::Unreachable { address: self.address.clone(), source };
        let stream = TcpStream::connect(&self.address).await.map_err(unreachable)?;
        let sent = self.exchange(stream, method, path, body).await;
        match sent.map_err(|error| self.unlike(error))? {
            answer if answer.status() == StatusCode::UNAUTHORIZED => {
                Err(ClientError::Token { address: self.address.clone() })
            }
            answer => Ok(answer),
        }
    }

    async fn exchange(
        &self,
        stream: TcpStream,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Box<dyn Error + Send + Sync>> {
        // Send the address: without a token the listener refuses a host name.
        let host = stream.peer_addr()?.to_string();
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The task ends with the response. Errors also reach the sender.
        tokio::spawn(connection);
        Ok(sender.send_request(request.body(Body::from(body))?).await?)
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.unlike(error))
    }

    fn unlike(&self, reason: impl ToString) -> ClientError {
        ClientError::Answer { address: self.address.clone(), reason: reason.to_string() }
    }
}
