//! Accepts connections, and ends them in order.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;

use super::accept::Acceptor;
use super::connection::{self, FAREWELL, Stop, Terms};
use super::context_values::Authenticate;
use super::exchange::Front;
use super::header_limits::{self, HeaderLimits};
use super::routes::Routes;
use super::tls::Tls;
use super::workers::Workers;
use crate::cores;
use crate::limits::mib;
use crate::limits::stall::Patience;
use crate::runtime::Runtime;
use crate::runtime::response_budget::ResponseBudget;

/// The default time for a request's head, and for a pause in a body.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The default time that invocations may go on when the server stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// The default memory of responses that clients have not received yet.
pub(crate) const RESPONSE_MEMORY: u64 = mib(512);

/// What is as good as no bound, and no moment that the clock can't tell.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// An HTTP server in front of a [`Runtime`].
///
/// It speaks HTTP/1.1 and HTTP/2, to clients that begin with the latter. A
/// function can't tell them apart. Of HTTP/2 one connection carries up to 100
/// requests at once; `Expect: 100-continue` is not answered there, as HTTP/2
/// lets a client wait by itself.
///
/// A response may be complete before its request is. The server then reads up to
/// 16 MiB more of the request, for up to 2 seconds, and drops it, as many clients
/// only read when they have sent everything. After that it closes the connection,
/// or resets the stream, and such a client may lose its response.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> std::io::Result<()> {
/// use hourglass::http::Server;
///
/// let server = Server::bind("127.0.0.1:0", runtime).await?;
/// println!("listening on {}", server.local_addr()?);
/// server.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    listener: TcpListener,
    runtime: Runtime,
    routes: Routes,
    authenticate: Option<Box<Authenticate>>,
    drain: Duration,
    threads: usize,
    head: Duration,
    patience: Patience,
    response_memory: u64,
    headers: HeaderLimits,
    tls: Option<Tls>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("runtime", &self.runtime)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// How many invocations did not end within the drain and were canceled.
    pub canceled: usize,
}

impl Server {
    /// Listens on an address; port 0 stands for any free one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: impl ToSocketAddrs, runtime: Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            runtime,
            routes: Routes::new(),
            authenticate: None,
            drain: DRAIN,
            threads: cores::count(),
            head: STALL_TIMEOUT,
            patience: Patience { idle: STALL_TIMEOUT, rate: 0 },
            response_memory: RESPONSE_MEMORY,
            headers: header_limits::DEFAULT,
            tls: None,
        })
    }

    /// Sets which function a path belongs to. Default: its first segment.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// Sets who tells by a request's headers whom it is made for, which becomes
    /// the value [`PRINCIPAL`](crate::PRINCIPAL) of its context. Default: nobody.
    ///
    /// It runs for every request, on the thread that serves the connection, so
    /// it must not block. A header that a proxy writes is only to be believed
    /// where no client can get past the proxy.
    #[must_use]
    pub fn principal(
        mut self,
        authenticate: impl Fn(&HeaderMap) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.authenticate = Some(Box::new(authenticate));
        self
    }

    /// How long invocations in flight may go on after the server was told to
    /// stop. Default 10 seconds.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// How many threads serve connections. Default: one for each core, and
    /// each then stays on its own; with any other number they may move.
    ///
    /// An invocation that is over within about a tick runs on its connection's
    /// thread. One that waits or computes for longer goes on as a task of the
    /// tokio runtime that [`run`](Self::run) was called on.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Encrypts every connection. Default: none is.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long a client may take to send a request's head, from when it is
    /// waited for, so that a connection may idle for as long; and to begin: for
    /// the handshake of an encrypted connection, and for the first byte. Default
    /// 30 seconds.
    ///
    /// Of HTTP/2, a connection without a request is let go within twice that
    /// time, and so is one whose client answers no ping in it.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head = timeout.min(LONGEST);
        self
    }

    /// How long a client may pause in the middle of a body: send nothing of a
    /// request that its function reads, or take nothing of a response. Default
    /// 30 seconds.
    ///
    /// A request then breaks off, as [`Outcome::BadRequest`](crate::Outcome);
    /// a response is not written any further, and its function is told that
    /// [its client has left](crate::Cause::ClientDisconnected). What the system
    /// sends at once, some tens of KiB, counts as one byte here.
    #[must_use]
    pub fn body_idle(mut self, idle: Duration) -> Self {
        self.patience.idle = idle;
        self
    }

    /// The fewest bytes a second that a client has to send of a request's body,
    /// and to take of responses, on the whole of the time in which it is waited
    /// for: one that drips a byte now and then is not idle. It may be behind by
    /// what [`body_idle`](Self::body_idle) makes up for. Default 0, which is no
    /// bound: a function's own timeout ends what is too slow, save a response
    /// that was given as a whole.
    #[must_use]
    pub fn body_rate(mut self, bytes: u64) -> Self {
        self.patience.rate = bytes;
        self
    }

    /// How many bytes of responses may wait for their clients to take them, of
    /// all connections together, where functions gave them as a whole. Default
    /// 512 MiB.
    ///
    /// One more is answered with [`Outcome::Busy`](crate::Outcome) in place of
    /// its response, and one that is larger than all of it with
    /// [`Outcome::ResponseTooLarge`](crate::Outcome): its function has run by
    /// then. Heads and bodies count, save those of up to 16 KiB each. A response that is streamed
    /// is not held: its function waits for the client.
    #[must_use]
    pub fn response_memory(mut self, bytes: u64) -> Self {
        self.response_memory = bytes;
        self
    }

    /// How many bytes the head of a request may have: its first line and its
    /// headers as they are sent in HTTP/1.1, and in HTTP/2 the names and values,
    /// with 32 bytes more for each. A longer one is answered with 431, before a
    /// function is looked for; an HTTP/2 client that sends several times as much
    /// loses its connection. Default 64 KiB, which is also the most; the least
    /// is 4 KiB, and any other number stands for the nearer of them.
    #[must_use]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.headers = self.headers.with_bytes(bytes);
        self
    }

    /// How many header fields a request may have. One with more is answered with
    /// 431. Default 100, at least 16 and at most 256; any other number stands for
    /// the nearer of them.
    #[must_use]
    pub fn header_count(mut self, count: usize) -> Self {
        self.headers = self.headers.with_count(count);
        self
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready. Then it accepts nothing more, lets what
    /// runs go on for the drain, cancels the rest with
    /// [`Cause::Shutdown`](crate::Cause::Shutdown), gives it its grace, and
    /// returns. The runtime is closed afterwards.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connections; their clients have then gone
    /// away for the invocations in flight.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Drained {
        let Self { listener, runtime, routes, authenticate, drain, threads, .. } = self;
        let Self { head, patience, response_memory, headers, tls, .. } = self;
        let responses = ResponseBudget::new(response_memory);
        let front = Front::new(runtime.clone(), routes, authenticate, responses, headers);
        let front = Arc::new(front);
        let terms = Arc::new(Terms { front, head, patience, tls });
        let (stopping, stopped) = watch::channel(());
        let workers = Workers::start(threads);
        tokio::select! {
            // Its listener is closed when this is dropped.
            () = accept(Acceptor::new(listener, "clients"), &terms, stopped, &workers) => {}
            () = stop => {}
        }
        // An error is that there is no connection.
        let _ = stopping.send(());
        let canceled = runtime.shutdown(drain).await;
        if tokio::time::timeout(FAREWELL, stopping.closed()).await.is_err() {
            tracing::warn!("some clients did not take their responses");
        }
        workers.end().await;
        Drained { canceled }
    }
}

/// Accepts connections for good.
async fn accept(mut acceptor: Acceptor, terms: &Arc<Terms>, stop: Stop, workers: &Workers) {
    loop {
        // Taken from this event loop, to be registered with the worker's own.
        match acceptor.accept().await.into_std() {
            Ok(stream) => {
                workers.spawn(connection::serve(stream, terms.clone(), stop.clone()));
            }
            Err(error) => tracing::debug!(%error, "a connection can't be served"),
        }
    }
}
