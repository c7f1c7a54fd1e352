//! One fetch in flight: the request that is sent, and the response that returns
//! piece by piece.
//!
//! It is a separate task, so it continues while the function does other work,
//! and it ends with its context: all its pending operations are dropped, and
//! with them the connection, or in HTTP/2 the stream.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hourglass_abi::failure;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::oneshot::error::TryRecvError;
use tracing::Instrument as _;

use super::Outbound;
use super::connection::AbortHandle;
use super::error::FetchError;
use super::record::FetchRecord;
use super::request::FetchRequest;
use super::upload::{Gone, Upload};
use crate::body::{Body, REQUEST_ID, Response, announced};
use crate::context::{Cancel, Cause, Context, Done};
use crate::limits::bytes::Reservation;
use crate::limits::fixed;
use crate::propagation::headers::{inject, strip_hop_by_hop};
use crate::propagation::trace::{TRACE, Trace};
use crate::telemetry::spans;

/// The most pieces of a response that wait for the function.
const AHEAD: usize = 2;

/// How long the other side may keep reading a request's body after the fetch is
/// over. Then the connection is aborted: the result is no longer needed.
const LINGER: Duration = Duration::from_secs(5);

/// A fetch, as its function sees it. Dropping this ends it.
#[derive(Default)]
pub(crate) struct Fetch {
    /// The response's head, or the failure, once either has arrived.
    head: Option<Result<ResponseHead, FetchError>>,
    /// `None` if it failed before it began.
    ctx: Option<(Context, Cancel)>,
    /// The sender for the rest of its request's body.
    upload: Option<mpsc::Sender<Bytes>>,
    /// The receiver of its response, until the end has arrived.
    pieces: Option<mpsc::Receiver<Result<Piece, FetchError>>>,
    /// The rest of the last piece that arrived.
    piece: Bytes,
}

/// The head of a response.
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The length of the body, if known.
    pub(crate) length: Option<u64>,
    /// The reservation for the headers.
    _reservation: Reservation,
}

/// A part of a response. Empty data is the end. If the channel closes without
/// it, the response was truncated.
enum Piece {
    Head(ResponseHead),
    Data(Bytes),
}

impl Fetch {
    /// Begins a fetch under a child of `ctx`, as a task on `tasks`. Its request
    /// is `step` of a trace. Its body is whole, passed on, or written later.
    pub(crate) fn begin(
        outbound: &Arc<Outbound>,
        ctx: &Context,
        step: Trace,
        mut request: FetchRequest,
        passed: Option<Body>,
        tasks: &Handle,
    ) -> Self {
        let (ctx, cancel) = ctx.with_value(&TRACE, step).with_cancel();
        let record = FetchRecord::begin(&mut request);
        if let Err(error) = request.check(&outbound.hosts) {
            record.end(&ctx, Some(&error));
            return Self::failed(error);
        }
        let (sender, pieces) = mpsc::channel(AHEAD);
        let (upload, body) = match (&request.body, passed) {
            (Some(whole), _) => (None, Upload::whole(whole.clone())),
            (None, Some(passed)) => (None, Upload::of_body(passed, announced(&request.headers))),
            (None, None) => {
                let (upload, body) = Upload::written(announced(&request.headers));
                (Some(upload), body)
            }
        };
        let span = spans::fetch(&request.method, request.url.authority(), step);
        let run = outbound.clone().run(ctx.clone(), request, record, body, sender);
        tasks.spawn(run.instrument(span));
        let ctx = Some((ctx, cancel));
        Self { ctx, upload, pieces: Some(pieces), ..Self::default() }
    }

    /// A fetch that failed before it began.
    pub(crate) fn failed(error: FetchError) -> Self {
        Self { head: Some(Err(error)), ..Self::default() }
    }

    /// Waits for the response's head, or for the failure.
    pub(crate) fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let (None, Some(pieces)) = (&self.head, &mut self.pieces) {
            self.head = Some(match ready!(pieces.poll_recv(cx)) {
                Some(Ok(Piece::Head(head))) => Ok(head),
                Some(Err(error)) => Err(error),
                Some(Ok(Piece::Data(_))) | None => Err(self.broken()),
            });
        }
        Poll::Ready(())
    }

    /// The response's head, or the failure; `None` until either arrives.
    pub(crate) fn head(&self) -> Option<Result<&ResponseHead, &FetchError>> {
        self.head.as_ref().map(Result::as_ref)
    }

    /// Whether it still counts against the limit of fetches in flight.
    pub(crate) fn is_under_way(&self) -> bool {
        !matches!(self.head, Some(Err(_))) && (self.pieces.is_some() || self.upload.is_some())
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
        let (Some(upload), Some((ctx, _))) = (&self.upload, &self.ctx) else { return Ok(false) };
        let end = piece.is_empty();
        let sent = tokio::select! {
            biased;
            sent = upload.send(piece) => sent.is_ok(),
            done = ctx.done() => return Err(done),
        };
        if end || !sent {
            self.upload = None;
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
        if let Some(Err(error)) = &self.head {
            return Err(error.clone());
        }
        while self.piece.is_empty()
            && let Some(pieces) = &mut self.pieces
        {
            match pieces.recv().await {
                Some(Ok(Piece::Data(piece))) if piece.is_empty() => self.pieces = None,
                Some(Ok(Piece::Data(piece))) => self.piece = piece,
                truncated => {
                    let error = match truncated {
                        Some(Err(error)) => error,
                        Some(Ok(_)) | None => self.broken(),
                    };
                    self.head = Some(Err(error.clone()));
                    return Err(error);
                }
            }
        }
        Ok(self.piece.split_to(most.min(self.piece.len())))
    }

    /// Why the response was truncated: its task has ended, with its context or
    /// with the runtime it ran on.
    fn broken(&self) -> FetchError {
        let ended = |(ctx, _): &(Context, _)| Some(FetchError::done(ctx.err()?, ctx.cause()?));
        self.ctx.as_ref().and_then(ended).unwrap_or_else(|| {
            FetchError::new(failure::BAD_RESPONSE, "no whole response: the fetch was given up")
        })
    }

    /// Ends the fetch, because the invocation that began it has ended.
    pub(crate) fn cancel(self) {
        if let Some((_, cancel)) = self.ctx {
            cancel.cancel_with(Cause::ParentDone);
        }
    }
}

impl Outbound {
    /// Fetches until the context is done or the receiver is dropped.
    async fn run(
        self: Arc<Self>,
        ctx: Context,
        request: FetchRequest,
        mut record: FetchRecord,
        (body, mut gone): (Upload, Gone),
        pieces: mpsc::Sender<Result<Piece, FetchError>>,
    ) {
        let (url, started) = (request.url.clone(), Instant::now());
        let mut connection = None;
        let fetched = tokio::select! {
            biased;
            fetched = self.fetch(&ctx, request, body, &pieces, (&mut record, &mut connection)) => {
                fetched
            }
            done = ctx.done() => Err(FetchError::done(done, ctx.cause().unwrap_or(Cause::Canceled))),
        };
        let (failure, trace) = (fetched.as_ref().err(), ctx.value(&TRACE));
        tracing::debug!(
            // Not the URL, which may be a secret.
            host = &*fixed::cut(url.authority(), fixed::TEXT),
            request_id = ctx.value(&REQUEST_ID),
            trace_id = trace.as_ref().map(Trace::trace_id).map(tracing::field::display),
            span_id = trace.as_ref().map(Trace::span_id).map(tracing::field::display),
            outcome = failure.map_or("response", |error| error.name),
            wall = ?started.elapsed(),
            "fetched{}", failure.map(|error| format!(": {error}")).unwrap_or_default()
        );
        record.end(&ctx, failure);
        if let Err(error) = fetched {
            tokio::select! {
                biased;
                _ = pieces.send(Err(error)) => {}
                // The context then holds the reason.
                _ = ctx.done() => {}
            }
        }
        drop(pieces);
        if let Some(connection) = connection
            && gone.try_recv().is_err_and(|error| error == TryRecvError::Empty)
            && tokio::time::timeout(LINGER, gone).await.is_err()
        {
            connection.abort();
        }
    }

    /// Sends a request and forwards its response into `pieces`. Stores the
    /// abort handle of the connection, if there is one.
    async fn fetch(
        &self,
        ctx: &Context,
        request: FetchRequest,
        body: Upload,
        pieces: &mpsc::Sender<Result<Piece, FetchError>>,
        (record, connection): (&mut FetchRecord, &mut Option<AbortHandle>),
    ) -> Result<(), FetchError> {
        let (mut head, mut body) = self.respond(ctx, request, body).await?.into_parts();
        *connection = head.extensions.remove();
        record.responded(head.status.as_u16());
        let (length, mut left) = (body.len(), self.body_limit);
        let too_large = || {
            let limit = self.body_limit;
            let text = format!("the response is longer than {limit} bytes, which is the most");
            FetchError::new(failure::RESPONSE_TOO_LARGE, text)
        };
        if length.is_some_and(|length| length > left) {
            return Err(too_large());
        }
        let reservation = self.uploads.reserve(fixed::held(&head.headers));
        let mut next = Piece::Head(ResponseHead {
            status: head.status,
            headers: head.headers,
            length,
            _reservation: reservation.ok_or_else(|| FetchError::full(self.uploads.limit))?,
        });
        loop {
            let is_end = matches!(&next, Piece::Data(piece) if piece.is_empty());
            // If the receiver is gone, the rest is not needed.
            if pieces.send(Ok(next)).await.is_err() || is_end {
                return Ok(());
            }
            let piece = body.next().await.transpose();
            let piece =
                piece.map_err(|error| FetchError::from_client(&*error))?.unwrap_or_default();
            left = left.checked_sub(piece.len() as u64).ok_or_else(too_large)?;
            record.received(piece.len());
            next = Piece::Data(piece);
        }
    }

    /// The response's head, after following the allowed redirects.
    async fn respond(
        &self,
        ctx: &Context,
        mut request: FetchRequest,
        mut body: Upload,
    ) -> Result<Response, FetchError> {
        let mut followed = 0;
        loop {
            let response = self.send(ctx, &request, body).await?;
            let most = request.redirects;
            if most == 0 {
                return Ok(response);
            }
            let Some(next) = request.redirected(&response)? else { return Ok(response) };
            followed += 1;
            if followed > most {
                let to = fixed::cut(next.url.authority(), fixed::TEXT);
                let text = format!("more than {most} redirects, the last one to {to}");
                return Err(FetchError::new(failure::REDIRECT, text));
            }
            next.check(&self.hosts)?;
            (body, _) = Upload::whole(next.body.clone().unwrap_or_default());
            request = next;
        }
    }

    async fn send(
        &self,
        ctx: &Context,
        request: &FetchRequest,
        body: Upload,
    ) -> Result<Response, FetchError> {
        let is_empty = body.is_end_stream();
        let mut sent = http::Request::new(body);
        *sent.method_mut() = request.method.clone();
        *sent.uri_mut() = request.uri()?;
        let headers = sent.headers_mut();
        *headers = request.headers.clone();
        strip_hop_by_hop(headers);
        inject(ctx, &self.baggage, headers);
        if is_empty && [Method::POST, Method::PUT, Method::PATCH].contains(&request.method) {
            // Some servers require an explicit length of 0.
            headers.insert(CONTENT_LENGTH, 0.into());
        }
        let response = self.client.request(sent).await;
        let mut response = response.map_err(|error| FetchError::from_client(&error))?;
        let length = response.headers().get(CONTENT_LENGTH).cloned();
        strip_hop_by_hop(response.headers_mut());
        // The response to HEAD describes its body only in this header.
        if let Some(length) = length.filter(|_| request.method == Method::HEAD) {
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok(response.map(Body::stream))
    }
}
