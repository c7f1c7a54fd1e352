//! HTTP/2: concurrent requests on one connection, within bounds.
//!
//! Each request is a task on the event loop that serves the connection. A
//! client can stop reading one response while it reads all others, and no
//! socket shows this; so each task also watches its own client for stalls.
//!
//! One connection can make the host hold 100 heads of 64 KiB, 1 MiB of request
//! bodies that functions have not read yet, and, for each response, its head
//! and the pieces of a stream that wait for the client, about 320 KiB. All
//! connections share the [budget](crate::runtime::response_budget) of buffered
//! responses.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, Sleep, sleep};

use super::request::{ClientConnection, RequestFuture};
use super::request_body::RequestBody;
use super::server::ServerState;
use super::unread::Unread;
use crate::body::{Body, BodyError};
use crate::limits::stall::{StallLimits, StallTimer};

/// The most concurrent requests per connection, the minimum that the standard
/// recommends. A client that needs more opens a second connection, which
/// another core may serve.
const MAX_STREAMS: u32 = 100;

/// How far a client may be ahead of its function within one request's body, in
/// bytes: two pieces of the largest size that a guest reads at once.
const STREAM_WINDOW: u32 = 128 << 10;

/// The same for all bodies on one connection. It is large enough that a few
/// functions that do not read can't block the others.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// The most bytes of one response buffered in the server.
const SEND_BUFFER: usize = 32 << 10;

/// The largest piece of a response handed over at once: a frame.
const PIECE: usize = 16 << 10;

/// How long the end of a response is held back for a client that sends no more
/// of its request but has not ended it.
const IDLE: Duration = Duration::from_millis(250);

/// Limits on reset streams ("rapid reset"): resets pending acceptance, and
/// local error resets per connection. The latter counts for the lifetime of a
/// connection, which is long for a proxy.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1_000;

/// The settings of a connection. A client that does not answer a ping within
/// the server's `head_timeout` is disconnected.
pub(super) fn settings(streams: Streams, state: &ServerState) -> Builder<Streams> {
    let mut settings = Builder::new(streams);
    state.headers.apply_to_http2(&mut settings);
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(state.head_timeout / 2)
        .keep_alive_timeout(state.head_timeout / 2);
    settings
}

/// Answers one request. A function can't tell it from HTTP/1.1.
pub(super) async fn answer(
    connection: Arc<ClientConnection>,
    mut request: hyper::Request<Incoming>,
) -> Result<http::Response<ChunkedBody>, Infallible> {
    join_cookies(request.headers_mut());
    let request = request.map(|incoming| body(incoming, &connection));
    let response = RequestFuture::new(&connection, request).await?;
    // After an error status curl stops sending by itself.
    let mut held = response.status().is_success().then(HeldEnd::default);
    if response.body().len().is_some()
        && let Some(mut held) = held.take()
    {
        poll_fn(|cx| held.poll(cx)).await;
    }
    Ok(response.map(|body| ChunkedBody { body, held }))
}

/// The end of a response, held back while the client keeps sending a body that
/// its function did not read. curl 7.88 never looks at its socket again when a
/// response is complete before its request: it sends what the window allows,
/// then hangs. A buffered response is held back together with its head.
#[derive(Default)]
struct HeldEnd {
    idle: Option<Pin<Box<Sleep>>>,
    before: Option<u64>,
}

impl HeldEnd {
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Poll::Pending, left @ Some(_)) = Stream::poll_unread(cx, true) else {
            return Poll::Ready(());
        };
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(IDLE)));
        if self.before != left {
            self.before = left;
            idle.as_mut().reset(Instant::now() + IDLE);
        }
        idle.as_mut().poll(cx)
    }
}

/// A request's body. The unread rest returns to the task of its stream.
fn body(incoming: Incoming, connection: &ClientConnection) -> RequestBody {
    let rest = (!incoming.is_end_stream()).then(|| {
        let (rest, unread) = Unread::new(connection.state.lingering.clone());
        // Outside a stream the rest is not read.
        let _ = STREAM.try_with(|stream| stream.unread.set(Some(unread)));
        rest
    });
    RequestBody::new(incoming, connection.state.stall_limits, rest)
}

/// Joins split `cookie` fields into one (RFC 9113, section 8.2.3) before other
/// code reads them.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Joining valid values with `; ` yields a valid value.
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// The requests of one connection.
#[derive(Clone)]
pub(super) struct Streams(Arc<OpenStreams>);

struct OpenStreams {
    /// Each open stream holds a clone.
    open: Arc<()>,
    /// The number of requests begun plus the number ended.
    changes: AtomicU64,
    limits: StallLimits,
}

impl Streams {
    pub(super) fn new(limits: StallLimits) -> Self {
        Self(Arc::new(OpenStreams { open: Arc::default(), changes: AtomicU64::new(0), limits }))
    }

    /// Waits until the connection has had no request for `time`. Returns within
    /// twice that time.
    pub(super) async fn idle(&self, time: Duration) {
        let OpenStreams { open, changes, .. } = &*self.0;
        loop {
            let before = changes.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            if Arc::strong_count(open) == 1 && changes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (streams, open) = (self.0.clone(), self.0.open.clone());
        streams.changes.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            drive(stream, streams.limits).await;
            streams.changes.fetch_add(1, Ordering::Relaxed);
            drop(open);
        });
    }
}

/// ServerState that the futures of a stream's task share.
struct Stream {
    /// Runs while the client has to take what is ready of the response.
    stall: RefCell<StallTimer>,
    is_ready: Cell<bool>,
    /// The rest of its request's body, once there is one.
    unread: Cell<Option<Unread>>,
}

impl Stream {
    /// Reports that a piece of this length is ready for the client, or none.
    fn report(piece: Option<usize>) {
        // Outside a stream the report is dropped.
        let _ = STREAM.try_with(|stream| {
            stream.stall.borrow_mut().progress(piece.unwrap_or_default());
            stream.is_ready.set(piece.is_some());
        });
    }

    /// Reads on in the rest of the request's body, and returns how many more
    /// bytes of it are read. Ready if there is no rest, or no more is to be
    /// read.
    fn poll_unread(cx: &mut TaskContext<'_>, answered: bool) -> (Poll<()>, Option<u64>) {
        let poll = |stream: &Self| {
            let Some(mut unread) = stream.unread.take() else { return (Poll::Ready(()), None) };
            let (polled, left) = (unread.poll(cx, answered), unread.left());
            if polled.is_pending() {
                stream.unread.set(Some(unread));
            }
            (polled, left)
        };
        STREAM.try_with(poll).unwrap_or((Poll::Ready(()), None))
    }
}

tokio::task_local! {
    /// The stream that the current task serves.
    static STREAM: Stream;
}

/// Drives a stream while its client makes progress, then drains the rest of its
/// request. Dropping a stream resets it for the client, and tells its function
/// that the client has disconnected.
async fn drive(stream: impl Future<Output = ()>, limits: StallLimits) {
    let (mut stream, mut answered) = (pin!(stream), false);
    let driven = poll_fn(|cx| {
        answered = answered || stream.as_mut().poll(cx).is_ready();
        let (unread, _left) = Stream::poll_unread(cx, answered);
        if answered {
            return unread;
        }
        STREAM.with(|stream| match stream.is_ready.get() {
            true => stream.stall.borrow_mut().poll_stalled(cx),
            false => Poll::Pending,
        })
    });
    let stall = StallTimer::new(limits).into();
    let state = Stream { stall, is_ready: Cell::new(false), unread: Cell::new(None) };
    STREAM.scope(state, driven).await;
}

/// A response's body in pieces of bounded size. It records when each piece is
/// asked for: by then the previous piece has been taken.
pub(super) struct ChunkedBody {
    body: Body,
    /// Set while the end is held back, because the client does not look at it
    /// earlier.
    held: Option<HeldEnd>,
}

impl HttpBody for ChunkedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Until there is a piece, the function has to produce it.
        Stream::report(None);
        let Self { body, held } = &mut *self;
        let piece = ready!(body.poll_piece(cx, PIECE));
        match (&piece, held) {
            (Some(piece), _) => Stream::report(piece.as_ref().ok().map(Bytes::len)),
            (None, Some(held)) => ready!(held.poll(cx)),
            (None, None) => {}
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
