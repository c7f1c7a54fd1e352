//! A client of the admin listener, for the program's commands.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::listing::{Canceled, Listed};
use super::token::AdminToken;
use crate::body::Body;

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

    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
        let asked = async {
            let stream = TcpStream::connect(&self.address).await.map_err(|source| {
                ClientError::Unreachable { address: self.address.clone(), source }
            })?;
            self.exchange(stream, method, path).await.map_err(|error| self.unlike(error))
        };
        let answer = tokio::time::timeout(TIMEOUT, asked).await;
        match answer.unwrap_or_else(|_elapsed| Err(self.unlike("it takes too long")))? {
            (StatusCode::UNAUTHORIZED, _) => {
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
    ) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
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
        let answer = sender.send_request(request.body(Body::empty())?).await?;
        let (head, body) = answer.into_parts();
        Ok((head.status, Limited::new(body, MAX_BYTES).collect().await?.to_bytes()))
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.unlike(error))
    }

    fn unlike(&self, reason: impl ToString) -> ClientError {
        ClientError::Answer { address: self.address.clone(), reason: reason.to_string() }
    }
}
