//! Accepts connections, and ends them in order.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use super::exchange::{Connection, Exchange, Front};
use super::routes::Routes;
use super::values::Authenticate;
use super::workers::Workers;
use crate::cores;
use crate::runtime::Runtime;

/// How long a client may take to send a request's head, and how long a
/// connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that is read ahead, and written behind, of one connection, in bytes;
/// and so the longest head of a request.
const BUFFER: usize = 192 << 10;

/// How long clients may take, after everything has ended, to take the last
/// bytes of their responses.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long to wait after the system refused a connection, mostly for want of
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An HTTP/1.1 server in front of a [`Runtime`].
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
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("runtime", &self.runtime)
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
            drain: Duration::from_secs(10),
            threads: cores::count(),
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
        let Self { listener, runtime, routes, authenticate, drain, threads } = self;
        let front = Arc::new(Front::new(runtime.clone(), routes, authenticate));
        let connections = GracefulShutdown::new();
        let workers = Workers::start(threads);
        tokio::select! {
            () = accept(&listener, &front, &connections, &workers) => {}
            () = stop => {}
        }
        drop(listener);
        let closing = tokio::spawn(connections.shutdown());
        let canceled = runtime.shutdown(drain).await;
        if tokio::time::timeout(FAREWELL, closing).await.is_err() {
            tracing::warn!("some clients did not take their responses");
        }
        workers.end().await;
        Drained { canceled }
    }
}

/// Accepts connections for good.
async fn accept(
    listener: &TcpListener,
    front: &Arc<Front>,
    connections: &GracefulShutdown,
    workers: &Workers,
) {
    loop {
        // Taken from this event loop, to be registered with the worker's own.
        match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => {
                workers.spawn(serve(stream, front.clone(), connections.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve(stream: std::net::TcpStream, front: Arc<Front>, watcher: Watcher) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a connection can't be served");
            return;
        }
    };
    // Without it a response may wait for the client's acknowledgment.
    let _ = stream.set_nodelay(true);
    let shared = Arc::new(Connection::new(front, stream.peer_addr().ok()));
    let service = service_fn(move |request| Exchange::new(shared.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER)
        // Not `pipeline_flush`: with it a response that is streamed is taken into
        // memory as fast as it comes, however slowly its client reads.
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        // A client that leaves or sends no HTTP is not the host's concern.
        tracing::debug!(%error, "a connection broke off");
    }
}
