//! The HTTP server: accepts connections and shuts them down in order.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::accept::Acceptor;
use super::connection::{self, FAREWELL};
use super::header_limits::{self, HeaderLimits};
#[cfg(feature = "jobs")]
use super::jobs::JobsFront;
use super::linger;
use super::route_table::RouteTable;
use super::stop::{self, Stop};
use super::tls::Tls;
use super::workers::Workers;
use crate::cores;
#[cfg(feature = "jobs")]
use crate::jobs::Jobs;
use crate::limits::mib;
use crate::limits::stall::StallLimits;
use crate::log::access::AccessLog;
use crate::runtime::Runtime;
use crate::runtime::response_budget::ResponseBudget;

/// Default timeout for a request's head, and for a pause in a body.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Default time that invocations may keep running when the server stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// Time for handshakes that have begun, before the listener is closed: the way
/// of a packet to a client on the same continent and back.
const HANDSHAKE: Duration = Duration::from_millis(50);

/// Default memory for responses that clients have not received yet.
pub(crate) const RESPONSE_MEMORY: u64 = mib(512);

/// Effectively no bound, yet within the clock's range.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// An HTTP server in front of a [`Runtime`].
///
/// It speaks HTTP/1.1, and HTTP/2 to clients that start with it. A function
/// can't tell them apart. One HTTP/2 connection carries up to 100 concurrent
/// requests. `Expect: 100-continue` is not answered there: HTTP/2 lets a client
/// wait by itself.
///
/// A response may be complete before its request is. The server then reads and
/// drops up to 16 MiB more of the request, for up to 2 seconds, because many
/// clients read only after they have sent everything. After that it closes the
/// connection, or resets the stream, and such a client may lose its response.
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
    drain_delay: Duration,
    drain: Duration,
    threads: usize,
    state: ServerState,
}

/// Returns the principal of a request from its headers, if known.
type Authenticate = dyn Fn(&HeaderMap) -> Option<String> + Send + Sync;

/// The settings and the state that all connections of a server share.
pub(super) struct ServerState {
    pub(super) runtime: Runtime,
    pub(super) routes: RouteTable,
    pub(super) authenticate: Option<Box<Authenticate>>,
    /// Whether the functions are listed at `/`.
    pub(super) listing: bool,
    /// The path in front of those of the health endpoints, if clients may use
    /// them.
    pub(super) health: Option<Box<str>>,
    /// The time a client has for its handshake, for its first byte, for a
    /// request's head, and between requests.
    pub(super) head_timeout: Duration,
    pub(super) stall_limits: StallLimits,
    pub(super) headers: HeaderLimits,
    /// `None` means no encryption.
    pub(super) tls: Option<Tls>,
    pub(super) responses: ResponseBudget,
    pub(super) access_log: Option<AccessLog>,
    /// The queue of jobs, if clients may use it.
    #[cfg(feature = "jobs")]
    pub(super) jobs: Option<JobsFront>,
    /// The slots of clients that keep sending after their responses.
    pub(super) lingering: Arc<Semaphore>,
    /// Where invocations continue if they do not finish at once.
    pub(super) tasks: Handle,
    /// The number of connections so far.
    pub(super) connections: AtomicU64,
    stopping: AtomicBool,
}

impl ServerState {
    /// Whether the server stops, so that each response is the last one of its
    /// connection.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("runtime", &self.state.runtime)
            .field("tls", &self.state.tls)
            .finish_non_exhaustive()
    }
}

/// The result of a server's shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Invocations that did not end within the drain and were canceled.
    pub canceled: usize,
}

impl Server {
    /// Listens on an address; port 0 selects any free port.
    ///
    /// # Errors
    /// The system's error.
    pub async fn bind(address: impl ToSocketAddrs, runtime: Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let state = ServerState {
            runtime,
            routes: RouteTable::default(),
            authenticate: None,
            listing: true,
            health: None,
            head_timeout: STALL_TIMEOUT,
            stall_limits: StallLimits { idle: STALL_TIMEOUT, rate: 0 },
            headers: header_limits::DEFAULT,
            tls: None,
            responses: ResponseBudget::new(RESPONSE_MEMORY),
            access_log: None,
            #[cfg(feature = "jobs")]
            jobs: None,
            lingering: linger::slots(),
            tasks: Handle::current(),
            connections: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        };
        let (drain_delay, threads) = (Duration::ZERO, cores::count());
        Ok(Self { listener, drain_delay, drain: DRAIN, threads, state })
    }

    /// Sets the routes. Default: a path's first segment names its function. A
    /// [`RouteTable`] can be changed while the server runs.
    #[must_use]
    pub fn routes(mut self, routes: impl Into<RouteTable>) -> Self {
        self.state.routes = routes.into();
        self
    }

    /// Sets a function that returns the principal of a request from its
    /// headers. The result becomes the value [`PRINCIPAL`](crate::PRINCIPAL) of
    /// the request's context. Default: no principal.
    ///
    /// It runs for every request, on the thread that serves the connection, so
    /// it must not block. Trust a header that a proxy writes only if no client
    /// can bypass the proxy.
    #[must_use]
    pub fn principal(
        mut self,
        authenticate: impl Fn(&HeaderMap) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.state.authenticate = Some(Box::new(authenticate));
        self
    }

    /// How long the server serves as before after it was asked to stop, and only
    /// announces it: [`Runtime::is_draining`] is true, and `readyz` is 503. A
    /// load balancer that asks it sends its requests elsewhere before this host
    /// refuses connections. Default 0.
    #[must_use]
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// How long connections, and invocations in flight, may continue once the
    /// server accepts no more connections. Default 10 seconds.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// The number of threads that serve connections. Default: one per core,
    /// each pinned to its core; threads of any other number are not pinned.
    ///
    /// An invocation that finishes within about a tick runs on its connection's
    /// thread. A longer one continues as a task of the tokio runtime that
    /// [`run`](Self::run) was called on.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Encrypts every connection. Default: no encryption.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.state.tls = Some(tls);
        self
    }

    /// How long a client may take to send a request's head, counted from when
    /// the server starts to wait for it, so this is also the idle timeout of a
    /// connection. It also bounds the start of a connection: the handshake of
    /// an encrypted one, and the first byte. Default 30 seconds.
    ///
    /// An HTTP/2 connection without a request is closed within twice that time,
    /// and so is one whose client answers no ping in that time.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.state.head_timeout = timeout.min(LONGEST);
        self
    }

    /// How long a client may stall within a body: send nothing of a request
    /// that its function reads, or accept nothing of a response. Default 30
    /// seconds.
    ///
    /// A stalled request fails as [`Outcome::BadRequest`](crate::Outcome). A
    /// stalled response is not written any further, and its function is
    /// canceled with [`ClientDisconnected`](crate::Cause::ClientDisconnected).
    /// What the system sends at once, some tens of KiB, counts as one byte
    /// here.
    #[must_use]
    pub fn body_idle(mut self, idle: Duration) -> Self {
        self.state.stall_limits.idle = idle;
        self
    }

    /// The minimum rate, in bytes per second, at which a client must send a
    /// request's body and accept responses, averaged over the time in which the
    /// server waits for it: a client that sends one byte now and then is not
    /// idle. A client may lag by what it could send in
    /// [`body_idle`](Self::body_idle). Default 0, which means no minimum: a
    /// function's own timeout ends slow transfers, except those of buffered
    /// responses.
    #[must_use]
    pub fn body_rate(mut self, bytes: u64) -> Self {
        self.state.stall_limits.rate = bytes;
        self
    }

    /// How many bytes of buffered responses may wait for their clients, over
    /// all connections together. Default 512 MiB.
    ///
    /// A response over the limit is replaced by
    /// [`Outcome::Busy`](crate::Outcome), and one that is larger than the whole
    /// limit by [`Outcome::ResponseTooLarge`](crate::Outcome); its function has
    /// already run by then. Heads and bodies count, except those of up to 16
    /// KiB each. A streaming response is not buffered: its function waits for
    /// the client.
    #[must_use]
    pub fn response_memory(mut self, bytes: u64) -> Self {
        self.state.responses = ResponseBudget::new(bytes);
        self
    }

    /// The largest head of a request, in bytes: in HTTP/1.1 its first line and
    /// its headers as sent; in HTTP/2 the names and values, plus 32 bytes for
    /// each. A longer head is answered with 431, before routing; an HTTP/2
    /// client that sends several times as much loses its connection. Default
    /// and maximum 64 KiB, minimum 4 KiB; any other number is clamped to that
    /// range.
    #[must_use]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.state.headers = self.state.headers.with_bytes(bytes);
        self
    }

    /// The most header fields of a request. A request with more is answered
    /// with 431. Default 100, minimum 16, maximum 256; any other number is
    /// clamped to that range.
    #[must_use]
    pub fn header_count(mut self, count: usize) -> Self {
        self.state.headers = self.state.headers.with_count(count);
        self
    }

    /// Whether a GET or HEAD of `/` that no route matches is answered with a
    /// list of the functions that clients can reach, their paths, and an
    /// example: as JSON if the `accept` header prefers `application/json` to
    /// `text/plain`, else as text. Without the list it is 404, like any other
    /// path that leads to no function. Default: true.
    #[must_use]
    pub fn listing(mut self, listing: bool) -> Self {
        self.state.listing = listing;
        self
    }

    /// Answers clients that ask for health: GET and HEAD of `livez` and `readyz`
    /// below this path, in place of any function. With `/-` that is `/-/livez`
    /// and `/-/readyz`. The responses are those of [`Admin`](super::Admin).
    /// Default: clients can't ask.
    #[must_use]
    pub fn health(mut self, path: &str) -> Self {
        self.state.health = Some(path.trim_end_matches('/').into());
        self
    }

    /// Logs every request. Default: no log.
    #[must_use]
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.state.access_log = Some(log);
        self
    }

    /// Lets clients submit jobs of these functions, with `POST
    /// /-/async/FUNCTION`, see their results, and cancel them. A job is visible
    /// to the [principal](Self::principal) that has submitted it. Default: no
    /// function.
    ///
    /// The server does not close the queue.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub fn jobs<N: Into<String>>(
        mut self,
        jobs: Jobs,
        functions: impl IntoIterator<Item = N>,
    ) -> Self {
        let functions = functions.into_iter().map(Into::into).collect();
        self.state.jobs = Some(JobsFront { jobs, functions });
        self
    }

    /// The address this listens on.
    ///
    /// # Errors
    /// The system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, and then shuts down:
    ///
    /// 1. It announces this, and serves on for the
    ///    [`drain_delay`](Self::drain_delay).
    /// 2. It stops accepting. Connections that clients have begun by then are
    ///    served. Each HTTP/1.1 connection closes after its next response, which
    ///    says so, or once its client has sent nothing for half a second. HTTP/2
    ///    connections get a GOAWAY, and close after their last request. Requests
    ///    that arrive meanwhile are answered like any other.
    /// 3. When all connections and invocations have ended, or at the end of the
    ///    [`drain`](Self::drain), the runtime is closed: an invocation that
    ///    arrives now is [`Outcome::Draining`](crate::Outcome::Draining). Those
    ///    in flight are canceled with
    ///    [`Cause::Shutdown`](crate::Cause::Shutdown), and get their grace period.
    /// 4. Clients have one second to take their responses.
    ///
    /// [`Runtime::shutdown`] with a drain of zero, called meanwhile, continues
    /// with step 3 at once. Requests that the server has accepted are still
    /// answered.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connections; the invocations in flight
    /// are canceled as if their clients had disconnected.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Drained {
        let Self { listener, drain_delay, drain, threads, mut state } = self;
        let runtime = state.runtime.clone();
        // Longer invocations run as tasks of this tokio runtime.
        runtime.run_calls_here();
        state.tasks = Handle::current();
        let state = Arc::new(state);
        let (stopper, stopped) = stop::channel();
        let workers = Workers::start(threads);
        let mut door = Door {
            acceptor: Acceptor::new(listener, "clients"),
            state,
            stopped,
            workers: &workers,
        };
        let hurry = runtime.context();
        let stop = async {
            stop.await;
            runtime.announce_shutdown();
            if !drain_delay.is_zero() {
                let _ = timeout(drain_delay, hurry.done()).await;
            }
        };
        tokio::select! {
            biased;
            () = stop => {}
            never = door.serve() => match never {},
        }
        let begun = Instant::now();
        door.state.stopping.store(true, Ordering::Relaxed);
        stopper.stop();
        door.close().await;
        tokio::select! {
            biased;
            () = stopper.ended() => {}
            _ = hurry.done() => {}
            () = sleep(drain.saturating_sub(begun.elapsed())) => {}
        }
        let canceled = runtime.shutdown(drain.saturating_sub(begun.elapsed())).await;
        if timeout(FAREWELL, stopper.ended()).await.is_err() {
            tracing::warn!("some clients did not take their responses");
        }
        workers.end().await;
        Drained { canceled }
    }
}

/// Where connections come in.
struct Door<'a> {
    acceptor: Acceptor,
    state: Arc<ServerState>,
    stopped: Stop,
    workers: &'a Workers,
}

impl Door<'_> {
    /// Accepts connections forever.
    async fn serve(&mut self) -> Infallible {
        loop {
            // Detached from this event loop, then registered with the worker's own.
            match self.acceptor.accept().await.into_std() {
                Ok(stream) => self.admit(stream),
                Err(error) => tracing::debug!(%error, "a connection can't be served"),
            }
        }
    }

    /// Accepts the connections that have begun, and no more.
    async fn close(mut self) {
        self.acceptor.stop_handshakes();
        let _ = timeout(HANDSHAKE, self.serve()).await;
        for stream in self.acceptor.rest() {
            self.admit(stream);
        }
    }

    fn admit(&self, stream: TcpStream) {
        self.workers.spawn(connection::serve(stream, self.state.clone(), self.stopped.clone()));
    }
}
