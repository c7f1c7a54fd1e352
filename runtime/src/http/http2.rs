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

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

use super::exchange::{Connection, Exchange, Front};
use super::request_body::Paced;
use super::unread::Unread;
use crate::body::{Body, BodyError};
use crate::limits::stall::{StallLimits, StallTimer};

/// The most concurrent requests per connection, the minimum that the standard
/// recommends. A client that needs more opens a second connection, which
/// another core may serve.
const MOST_STREAMS: u32 = 100;

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
const MOST_TAKEN_BACK: usize = 20;
const MOST_BROKEN: usize = 1_000;

/// The settings of a connection. A client that does not answer a ping within
/// `head` is disconnected.
pub(super) fn settings(streams: Streams, front: &Front, head: Duration) -> Builder<Streams> {
    let mut settings = Builder::new(streams);
    front.headers.apply_to_http2(&mut settings);
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_TAKEN_BACK)
        .max_local_error_reset_streams(MOST_BROKEN)
        .keep_alive_interval(head / 2)
        .keep_alive_timeout(head / 2);
    settings
}

/// Answers one request. A function can't tell it from HTTP/1.1.
pub(super) async fn answer(
    connection: Arc<Connection>,
    mut request: hyper::Request<Incoming>,
) -> Result<http::Response<Portions>, Infallible> {
    join_cookies(request.headers_mut());
    let request = request.map(|incoming| body(incoming, &connection));
    let response = Exchange::new(&connection, request).await?;
    // After an error status curl stops sending by itself.
    let mut held = response.status().is_success().then(Held::default);
    if response.body().len().is_some()
        && let Some(mut held) = held.take()
    {
        poll_fn(|cx| held.poll(cx)).await;
    }
    Ok(response.map(|body| Portions::new(body, held)))
}

/// The end of a response, held back while the client keeps sending a body that
/// its function did not read. curl 7.88 never looks at its socket again when a
/// response is complete before its request: it sends what the window allows,
/// then hangs. A buffered response is held back together with its head.
#[derive(Default)]
struct Held {
    idle: Option<Pin<Box<Sleep>>>,
    before: Option<u64>,
}

impl Held {
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
fn body(incoming: Incoming, connection: &Connection) -> Paced {
    let ends = incoming.is_end_stream();
    let body = Paced::new(incoming, connection.stall_limits);
    if ends {
        return body;
    }
    let (rest, unread) = Unread::new(connection.front.lingering.clone());
    // Outside a stream the rest is not read.
    let _ = STREAM.try_with(|stream| stream.unread.set(Some(unread)));
    body.with_rest(rest)
}

/// Joins split `cookie` fields into one (RFC 9113, section 8.2.3) before other
/// code reads them.
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if let (Some(first), Some(_second)) = (crumbs.next(), crumbs.next()) {
        let mut whole = first.as_bytes().to_vec();
        for crumb in headers.get_all(COOKIE).iter().skip(1) {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(crumb.as_bytes());
        }
        // Joining valid values with `; ` yields a valid value.
        if let Ok(whole) = HeaderValue::from_bytes(&whole) {
            headers.insert(COOKIE, whole);
        }
    }
}

/// The requests of one connection.
#[derive(Clone)]
pub(super) struct Streams(Arc<Count>);

struct Count {
    open: AtomicUsize,
    /// The number of requests begun plus the number ended.
    changes: AtomicU64,
    stall_limits: StallLimits,
}

impl Streams {
    pub(super) fn new(stall_limits: StallLimits) -> Self {
        Self(Arc::new(Count {
            open: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            stall_limits,
        }))
    }

    /// Waits until the connection has had no request for `time`. Returns within
    /// twice that time.
    pub(super) async fn idle(&self, time: Duration) {
        let Count { open, changes, .. } = &*self.0;
        loop {
            let before = changes.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            if open.load(Ordering::Relaxed) == 0 && changes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let open = Open::one(&self.0);
        tokio::spawn(async move {
            to_its_end(stream, open.0.stall_limits).await;
            drop(open);
        });
    }
}

/// One open stream, counted while this exists.
struct Open(Arc<Count>);

impl Open {
    fn one(count: &Arc<Count>) -> Self {
        count.open.fetch_add(1, Ordering::Relaxed);
        count.changes.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// The progress of a stream's response.
#[derive(Clone, Copy, Default)]
struct Given {
    /// Bytes handed over since the last check.
    bytes: usize,
    /// Whether the client must take the last bytes before more are asked for.
    waits: bool,
}

/// State that the futures of a stream's task share.
#[derive(Default)]
struct Stream {
    given: Cell<Given>,
    /// The rest of its request's body, once there is one.
    unread: Cell<Option<Unread>>,
}

impl Stream {
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
async fn to_its_end(stream: impl Future<Output = ()>, stall_limits: StallLimits) {
    let watched = async {
        let (mut stream, mut stall, mut answered) =
            (pin!(stream), StallTimer::new(stall_limits), false);
        poll_fn(|cx| {
            answered = answered || stream.as_mut().poll(cx).is_ready();
            let (unread, _left) = Stream::poll_unread(cx, answered);
            if answered {
                return unread;
            }
            let Given { bytes, waits } = STREAM.with(|stream| stream.given.get());
            if bytes > 0 || !waits {
                stall.progress(bytes);
                STREAM.with(|stream| stream.given.set(Given { bytes: 0, waits }));
            }
            if waits { stall.poll_stalled(cx) } else { Poll::Pending }
        })
        .await;
    };
    STREAM.scope(Stream::default(), watched).await;
}

/// A response's body in pieces of bounded size. It records when each piece is
/// asked for: by then the previous piece has been taken.
pub(super) struct Portions {
    body: Body,
    rest: Bytes,
    /// Set while the end is held back, because the client does not look at it
    /// earlier.
    held: Option<Held>,
}

impl Portions {
    fn new(body: Body, held: Option<Held>) -> Self {
        Self { body, rest: Bytes::new(), held }
    }

    /// Reports that `bytes` are ready for the client; `None` means that the
    /// function has to produce more.
    fn tell(bytes: Option<usize>) {
        // Outside a stream the report is dropped.
        let _ = STREAM.try_with(|Stream { given, .. }| {
            let before = given.get().bytes;
            let all = before.saturating_add(bytes.unwrap_or_default());
            given.set(Given { bytes: all, waits: bytes.is_some() });
        });
    }
}

impl HttpBody for Portions {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Self::tell(None);
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // Trailers are not forwarded in either version.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                None => {
                    if let Some(held) = &mut self.held {
                        ready!(held.poll(cx));
                    }
                    return Poll::Ready(None);
                }
                others => return Poll::Ready(others),
            }
        }
        let len = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(len);
        Self::tell(Some(len));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
