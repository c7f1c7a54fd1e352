//! One fetch in flight: the request that is sent, and the response that returns
//! piece by piece.
//!
//! It is a separate task, so it continues while the function does other work,
//! and it ends with its context: all its pending operations are dropped, and
//! with them the connection, or in HTTP/2 the stream.

use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::oneshot::error::TryRecvError;

use super::Outbound;
use super::connection::Cut;
use super::error::FetchError;
use super::redirect;
use super::request::Order;
use super::upload::{Gone, Passed, Upload};
use crate::body::{Body, REQUEST_ID, Response};
use crate::context::{Cancel, Cause, Context, Done};
use crate::limits::bytes::Reservation;
use crate::limits::fixed;
use crate::propagation::trace::{TRACE, Trace};
use crate::propagation::{self, hop_by_hop};

/// The most pieces of a response that wait for the function.
const AHEAD: usize = 2;

/// How long the other side may keep reading a request's body after the fetch is
/// over. Then the connection is aborted: the result is no longer needed.
const LINGER: Duration = Duration::from_secs(5);

/// A fetch, as its function sees it. Dropping this ends it.
pub(crate) struct Fetch {
    head: Head,
    /// The state of a fetch that was begun.
    begun: Option<Begun>,
}

struct Begun {
    ctx: Context,
    cancel: Cancel,
    /// The sender for the rest of its request's body.
    upload: Option<mpsc::Sender<Bytes>>,
    /// The receiver of its response, until the end has arrived.
    pieces: Option<mpsc::Receiver<Piece>>,
    /// The rest of the last piece that arrived.
    piece: Bytes,
}

enum Head {
    Awaited,
    Here(Answered),
    Failed(FetchError),
}

/// The head of a response.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The length of the body, if known.
    pub(crate) length: Option<u64>,
    /// The reservation for the headers.
    _reserved: Reservation,
}

/// A part of a response. If the channel closes without an `End`, the response
/// was truncated.
enum Piece {
    Head(Answered),
    Data(Bytes),
    End,
    Failed(FetchError),
}

impl Fetch {
    /// Begins a fetch under a child of `ctx`, as a task on `tasks`. Its request
    /// is `step` of a trace. Its body is whole, passed on, or written later.
    pub(crate) fn begin(
        outbound: &Arc<Outbound>,
        ctx: &Context,
        step: Trace,
        order: Order,
        passed: Option<Passed>,
        tasks: &Handle,
    ) -> Self {
        if let Err(error) = order.check(&outbound.hosts) {
            return Self::refused(error);
        }
        let (ctx, cancel) = ctx.with_value(&TRACE, step).with_cancel();
        let (sender, pieces) = mpsc::channel(AHEAD);
        let (upload, body, gone) = match (&order.body, passed) {
            (Some(whole), _) => {
                let (body, gone) = Upload::whole(whole.clone());
                (None, body, gone)
            }
            (None, Some(passed)) => {
                let (body, gone) = Upload::passed(passed, order.announced());
                (None, body, gone)
            }
            (None, None) => {
                let (sender, body, gone) = Upload::pieces(order.announced());
                (Some(sender), body, gone)
            }
        };
        tasks.spawn(run(outbound.clone(), ctx.clone(), order, (body, gone), sender));
        let begun = Begun { ctx, cancel, upload, pieces: Some(pieces), piece: Bytes::new() };
        Self { head: Head::Awaited, begun: Some(begun) }
    }

    /// A fetch that failed before it began.
    pub(crate) fn refused(error: FetchError) -> Self {
        Self { head: Head::Failed(error.bounded()), begun: None }
    }

    /// Waits for the response's head, or for the failure.
    pub(crate) fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Head::Awaited, Some(begun)) = (&self.head, &mut self.begun) else {
            return Poll::Ready(());
        };
        let Some(pieces) = &mut begun.pieces else { return Poll::Ready(()) };
        self.head = match ready!(pieces.poll_recv(cx)) {
            Some(Piece::Head(head)) => Head::Here(head),
            Some(Piece::Failed(error)) => Head::Failed(error.bounded()),
            // Its task has ended, with its context or with the runtime it ran
            // on.
            Some(Piece::Data(_) | Piece::End) | None => Head::Failed(begun.broken()),
        };
        Poll::Ready(())
    }

    /// The response's head, or the failure; `None` until either arrives.
    pub(crate) fn head(&self) -> Option<Result<&Answered, &FetchError>> {
        match &self.head {
            Head::Awaited => None,
            Head::Here(head) => Some(Ok(head)),
            Head::Failed(error) => Some(Err(error)),
        }
    }

    /// Whether it still counts against the limit of fetches in flight.
    pub(crate) fn is_under_way(&self) -> bool {
        let open = |begun: &Begun| begun.pieces.is_some() || begun.upload.is_some();
        !matches!(self.head, Head::Failed(_)) && self.begun.as_ref().is_some_and(open)
    }

    /// Sends the next piece of the request's body, once there is room for it.
    /// An empty piece is the end. Returns whether it was sent.
    ///
    /// # Errors
    /// The context is done.
    ///
    /// # Cancel safety
    /// If the future is dropped, the piece is not sent.
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<bool, Done> {
        let Some(begun) = &mut self.begun else { return Ok(false) };
        let Some(upload) = &begun.upload else { return Ok(false) };
        let end = piece.is_empty();
        let sent = tokio::select! {
            biased;
            sent = upload.send(piece) => sent.is_ok(),
            done = begun.ctx.done() => return Err(done),
        };
        if end || !sent {
            begun.upload = None;
        }
        Ok(sent)
    }

    /// Waits for the next piece of the response's body and returns at most
    /// `most` bytes of it; an empty result is the end.
    ///
    /// # Errors
    /// Why the body was truncated; all later calls return it too.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn read(&mut self, most: usize) -> Result<Bytes, FetchError> {
        poll_fn(|cx| self.poll_head(cx)).await;
        if let Head::Failed(error) = &self.head {
            return Err(error.clone());
        }
        let Some(begun) = &mut self.begun else { return Ok(Bytes::new()) };
        match begun.fill().await {
            Ok(()) => Ok(begun.piece.split_to(most.min(begun.piece.len()))),
            Err(error) => {
                self.head = Head::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Ends the fetch, because the invocation that began it has ended.
    pub(crate) fn leave(self) {
        if let Some(begun) = self.begun {
            begun.cancel.cancel_with(Cause::ParentDone);
        }
    }
}

impl Begun {
    /// Waits until there is a piece; it stays empty at the end.
    async fn fill(&mut self) -> Result<(), FetchError> {
        while self.piece.is_empty()
            && let Some(pieces) = &mut self.pieces
        {
            match pieces.recv().await {
                Some(Piece::Data(piece)) => self.piece = piece,
                Some(Piece::End) => self.pieces = None,
                Some(Piece::Failed(error)) => return Err(error.bounded()),
                Some(Piece::Head(_)) | None => return Err(self.broken()),
            }
        }
        Ok(())
    }

    /// Why the response was truncated.
    fn broken(&self) -> FetchError {
        match (self.ctx.err(), self.ctx.cause()) {
            (Some(done), Some(cause)) => FetchError::Done(done, cause),
            _ => FetchError::BadResponse("the fetch was given up".into()),
        }
    }
}

/// Fetches until the context is done or the receiver is dropped.
async fn run(
    outbound: Arc<Outbound>,
    ctx: Context,
    order: Order,
    (body, mut gone): (Upload, Gone),
    pieces: mpsc::Sender<Piece>,
) {
    let (url, started) = (order.url.clone(), Instant::now());
    let mut cut = None;
    let fetched = tokio::select! {
        biased;
        fetched = outbound.fetch(&ctx, order, body, &pieces, &mut cut) => fetched,
        done = ctx.done() => Err(FetchError::Done(done, ctx.cause().unwrap_or(Cause::Canceled))),
    };
    log(&ctx, &fixed::cut(url.authority(), fixed::TEXT), started, fetched.as_ref().err());
    if let Err(error) = fetched {
        tokio::select! {
            biased;
            _ = pieces.send(Piece::Failed(error)) => {}
            // The context then holds the reason.
            _ = ctx.done() => {}
        }
    }
    drop(pieces);
    if let Some(cut) = cut
        && gone.try_recv().is_err_and(|error| error == TryRecvError::Empty)
        && tokio::time::timeout(LINGER, gone).await.is_err()
    {
        cut.cut();
    }
}

impl Outbound {
    /// Sends a request and forwards its response into `pieces`. Stores the
    /// abort handle of the connection, if there is one.
    async fn fetch(
        &self,
        ctx: &Context,
        order: Order,
        body: Upload,
        pieces: &mpsc::Sender<Piece>,
        cut: &mut Option<Cut>,
    ) -> Result<(), FetchError> {
        let response = self.respond(ctx, order, body).await?;
        let (mut head, mut body) = response.into_parts();
        *cut = head.extensions.remove();
        let length = body.size_hint().exact();
        let too_large = || FetchError::TooLarge { limit: self.body_limit };
        if length.is_some_and(|length| length > self.body_limit) {
            return Err(too_large());
        }
        let reserved = self.uploads.reserve(fixed::held(&head.headers));
        let reserved = reserved.ok_or_else(|| FetchError::full(self.uploads.limit))?;
        let answered =
            Answered { status: head.status, headers: head.headers, length, _reserved: reserved };
        let mut next = Some(Piece::Head(answered));
        let mut left = self.body_limit;
        while let Some(piece) = next {
            // If the receiver is gone, the rest is not needed.
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
            next = match body.next().await {
                Some(piece) => {
                    let piece = piece.map_err(|error| FetchError::of(&*error))?;
                    left = left.checked_sub(piece.len() as u64).ok_or_else(too_large)?;
                    Some(Piece::Data(piece))
                }
                None => None,
            };
        }
        let _ = pieces.send(Piece::End).await;
        Ok(())
    }

    /// The response's head, after following the allowed redirects.
    async fn respond(
        &self,
        ctx: &Context,
        mut order: Order,
        mut body: Upload,
    ) -> Result<Response, FetchError> {
        let mut followed = 0;
        loop {
            let response = self.send(ctx, &order, body).await?;
            if order.redirects == 0 {
                return Ok(response);
            }
            let Some(next) = redirect::next(&order, &response)? else { return Ok(response) };
            followed += 1;
            if followed > order.redirects {
                let to = fixed::cut(next.url.authority(), fixed::TEXT);
                let most = order.redirects;
                let text = format!("more than {most} redirects, the last one to {to}");
                return Err(FetchError::Redirect(text));
            }
            next.check(&self.hosts)?;
            (body, _) = Upload::whole(next.body.clone().unwrap_or_default());
            order = next;
        }
    }

    async fn send(
        &self,
        ctx: &Context,
        order: &Order,
        body: Upload,
    ) -> Result<Response, FetchError> {
        let is_empty = body.is_end_stream();
        let mut request = http::Request::new(body);
        *request.method_mut() = order.method.clone();
        *request.uri_mut() = order.uri()?;
        *request.headers_mut() = order.headers.clone();
        hop_by_hop::strip(request.headers_mut());
        propagation::inject(ctx, &self.baggage, request.headers_mut());
        if is_empty && [Method::POST, Method::PUT, Method::PATCH].contains(&order.method) {
            // Some servers require an explicit length of 0.
            request.headers_mut().insert(CONTENT_LENGTH, 0.into());
        }
        let response = self.client.request(request).await;
        let mut response =
            response.map_err(|error| FetchError::of(&error as &(dyn Error + 'static)))?;
        let told = response.headers().get(CONTENT_LENGTH).cloned();
        hop_by_hop::strip(response.headers_mut());
        // The response to HEAD describes its body only in this header.
        if let Some(length) = told.filter(|_| order.method == Method::HEAD) {
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok(response.map(Body::stream))
    }
}

/// Logs a fetch that has ended: its host, but not its URL, which may be a
/// secret.
fn log(ctx: &Context, host: &str, started: Instant, failure: Option<&FetchError>) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let trace = ctx.value(&TRACE);
    tracing::debug!(
        host,
        request_id = ctx.value(&REQUEST_ID),
        trace_id = trace.as_ref().map(Trace::trace_id).map(tracing::field::display),
        span_id = trace.as_ref().map(Trace::span_id).map(tracing::field::display),
        outcome = failure.map_or("response", FetchError::name),
        wall = ?started.elapsed(),
        "fetched{}", failure.map(|error| format!(": {error}")).unwrap_or_default()
    );
}
