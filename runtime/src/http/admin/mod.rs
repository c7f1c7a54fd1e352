//! The listener for operators: what is in flight, and an end to it.
//!
//! It is apart from the one for clients, with an address of its own, so that
//! whoever may invoke functions can't thereby end what others invoked.
//!
//! # Layout
//! - [`Admin`]: accepts connections, few at a time and none for long.
//! - [`Token`]: what an operator has to show.
//! - `guard`: who is let in.
//! - `endpoints`: what can be asked.
//! - `listing`: an invocation in flight, as JSON.
//! - `client`: asks, for the program's commands.

#[cfg(feature = "cli")]
pub(crate) mod client;
mod endpoints;
mod guard;
pub(crate) mod listing;
mod token;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;

use self::endpoints::Endpoints;
use self::guard::Guard;
pub use self::token::{Token, TokenError};
use crate::runtime::Runtime;

/// How many connections are served at once; others wait.
const MOST_CONNECTIONS: usize = 16;

/// How long a connection may last, from its first byte to its last. It is for
/// one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many bytes a request's head may have.
const MOST_HEAD: usize = 16 << 10;

/// How long to wait after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An HTTP/1.1 listener for those who look after a [`Runtime`].
///
/// - `GET /invocations` lists what is in flight, as JSON.
/// - `DELETE /invocations/ID` ends an invocation and all that it started, with
///   [`Cause::Operator`](crate::Cause::Operator), and tells how many that were.
///
/// With a [token](Self::token) every request has to show it, as `Authorization:
/// Bearer TOKEN`. Without one whoever can open a connection is let in, but no
/// web page: a request that a browser marks as a page's is refused, and so is
/// one for a host that is named otherwise than by an IP address or as
/// `localhost`.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::http::Admin;
///
/// let admin = Admin::bind("127.0.0.1:9090", runtime).await?;
/// admin.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    runtime: Runtime,
    token: Option<Token>,
}

impl Admin {
    /// Listens on an address; port 0 stands for any free one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: impl ToSocketAddrs, runtime: Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, runtime, token: None })
    }

    /// Sets what every request has to show. Default: nothing, which is allowed
    /// on a loopback address alone.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` is ready.
    ///
    /// # Errors
    /// `PermissionDenied`, at once, where other machines may reach the address
    /// and there is no token.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connections, as `stop` does. What was
    /// canceled stays so.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, runtime, token } = self;
        if token.is_none() && !listener.local_addr()?.ip().is_loopback() {
            let reason = "an address that other machines may reach needs a token";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let endpoints = Arc::new(Endpoints::new(runtime, Guard::new(token)));
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                Some(_ended) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => drop(connections.spawn(serve(stream, endpoints.clone()))),
                        Err(error) => {
                            tracing::warn!(%error, "an operator's connection was not accepted");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
    }
}

/// Serves one request. Its body is not read.
async fn serve(stream: TcpStream, endpoints: Arc<Endpoints>) {
    let service = service_fn(move |request| {
        let answer = endpoints.answer(&request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection broke off"),
        Err(_elapsed) => tracing::debug!("an operator's connection took too long"),
    }
}
