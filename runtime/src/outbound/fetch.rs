//! One fetch on its way: the request that goes out, the response that comes
//! back, piece by piece.
//!
//! It is a task of its own, so that it goes on while the function does
//! something else, and it ends with its context: whatever it waits for is
//! dropped, and with it the connection, or in HTTP/2 the stream.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::Outbound;
use super::error::FetchError;
use super::order::Order;
use super::redirect;
use super::upload::Upload;
use crate::context::{Cancel, Cause, Context};
use crate::headers;
use crate::message::{self, Body, REQUEST_ID};
use crate::trace::{TRACE, Trace};

/// How many pieces of a response may wait for the function.
const AHEAD: usize = 2;

/// A fetch, as its function sees it. Dropping it ends it.
pub(crate) struct Fetch {
    head: Head,
    /// Where the rest of its request's body goes.
    upload: Option<mpsc::Sender<Bytes>>,
    pieces: Option<mpsc::Receiver<Piece>>,
    /// What is left of the piece that arrived last.
    piece: Bytes,
    /// What it runs under, where it was begun.
    guarded: Option<(Context, Cancel)>,
    /// How long the body is that it holds as a whole, in bytes.
    pub(crate) held: u64,
}

enum Head {
    Awaited(oneshot::Receiver<Result<Answered, FetchError>>),
    Here(Answered),
    Failed(FetchError),
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// How long the body is, where that is known.
    pub(crate) length: Option<u64>,
}

/// What comes of a response's body. Where nothing comes any more and there was
/// no end, it broke off.
enum Piece {
    Data(Bytes),
    End,
    Failed(FetchError),
}

/// The other end of a fetch.
struct Work {
    outbound: Arc<Outbound>,
    ctx: Context,
    head: oneshot::Sender<Result<Answered, FetchError>>,
    pieces: mpsc::Sender<Piece>,
}

impl Fetch {
    /// Begins a fetch under a child of `ctx`, as a task of `tasks`. Its request
    /// is `step` of a trace.
    pub(crate) fn begin(
        outbound: &Arc<Outbound>,
        ctx: &Context,
        step: Trace,
        order: Order,
        tasks: &Handle,
    ) -> Self {
        if let Err(error) = order.check(&outbound.hosts) {
            return Self::refused(error);
        }
        let (ctx, cancel) = ctx.with_value(&TRACE, step).with_cancel();
        let (head, awaited) = oneshot::channel();
        let (pieces, taken) = mpsc::channel(AHEAD);
        let (upload, body) = match &order.body {
            Some(whole) => (None, whole.clone().into()),
            None => {
                let (sender, upload) = Upload::new();
                (Some(sender), Body::stream(upload))
            }
        };
        let held = order.held();
        let work = Work { outbound: outbound.clone(), ctx: ctx.clone(), head, pieces };
        tasks.spawn(work.run(order, body));
        let head = Head::Awaited(awaited);
        let (piece, guarded) = (Bytes::new(), Some((ctx, cancel)));
        Self { head, upload, pieces: Some(taken), piece, guarded, held }
    }

    /// A fetch that never came to be.
    pub(crate) fn refused(error: FetchError) -> Self {
        let (head, piece) = (Head::Failed(error), Bytes::new());
        Self { head, upload: None, pieces: None, piece, guarded: None, held: 0 }
    }

    /// Waits for the response's head, or for the failure that comes instead.
    pub(crate) fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Head::Awaited(awaited) = &mut self.head {
            let told = ready!(std::pin::Pin::new(awaited).poll(cx));
            self.head = match told {
                Ok(Ok(head)) => Head::Here(head),
                Ok(Err(error)) => Head::Failed(self.fail(error)),
                // Its task has gone, with the runtime that it was one of.
                Err(_) => Head::Failed(self.fail(self.broken())),
            };
        }
        Poll::Ready(())
    }

    /// The response's head, or the failure; `None` while it is awaited.
    pub(crate) fn head(&self) -> Option<Result<&Answered, &FetchError>> {
        match &self.head {
            Head::Awaited(_) => None,
            Head::Here(head) => Some(Ok(head)),
            Head::Failed(error) => Some(Err(error)),
        }
    }

    /// Whether it still takes up a place among those that are under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.pieces.is_some()
    }

    /// Sends the next piece of the request's body, once there is room for it. An
    /// empty one is the end. Whether it was taken.
    ///
    /// # Cancel safety
    /// Where the future is dropped, the piece is not sent.
    pub(crate) async fn write(&mut self, piece: Bytes) -> bool {
        let Some(upload) = &self.upload else { return false };
        let end = piece.is_empty();
        let ended = async {
            match &self.guarded {
                Some((ctx, _)) => ctx.ended().await,
                None => std::future::pending().await,
            }
        };
        let sent = tokio::select! {
            biased;
            () = ended => false,
            sent = upload.send(piece) => sent.is_ok(),
        };
        if end || !sent {
            self.upload = None;
        }
        sent
    }

    /// Waits for the next piece of the response's body and takes at most `most`
    /// bytes of it; none are the end.
    ///
    /// # Errors
    /// Why the body broke off, from then on.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn read(&mut self, most: usize) -> Result<Bytes, FetchError> {
        if let Head::Failed(error) = &self.head {
            return Err(error.clone());
        }
        while self.piece.is_empty()
            && let Some(pieces) = &mut self.pieces
        {
            match pieces.recv().await {
                Some(Piece::Data(piece)) => self.piece = piece,
                Some(Piece::End) => self.pieces = None,
                Some(Piece::Failed(error)) => return Err(self.fail(error)),
                None => return Err(self.fail(self.broken())),
            }
        }
        Ok(self.piece.split_to(most.min(self.piece.len())))
    }

    /// Why nothing more comes.
    fn broken(&self) -> FetchError {
        match self.guarded.as_ref().and_then(|(ctx, _)| Some((ctx.err()?, ctx.cause()?))) {
            Some((done, cause)) => FetchError::Done(done, cause),
            None => FetchError::BadResponse("the fetch was given up".into()),
        }
    }

    fn fail(&mut self, error: FetchError) -> FetchError {
        self.head = Head::Failed(error.clone());
        self.pieces = None;
        error
    }

    /// Ends it, since what it was begun for has ended.
    pub(crate) fn leave(self) {
        if let Some((_, cancel)) = self.guarded {
            cancel.cancel_with(Cause::ParentDone);
        }
    }
}

impl Work {
    /// Fetches, for as long as the context is not done and somebody wants it.
    async fn run(self, order: Order, body: Body) {
        let Self { outbound, ctx, head, pieces } = self;
        let (asked, started) = (order.url.authority().to_owned(), Instant::now());
        let mut head = Some(head);
        let fetched = tokio::select! {
            biased;
            fetched = outbound.fetch(&ctx, order, body, &mut head, &pieces) => fetched,
            done = ctx.done() => {
                Err(FetchError::Done(done, ctx.cause().unwrap_or(Cause::Canceled)))
            }
        };
        log(&ctx, &asked, started, fetched.as_ref().err());
        if let Err(error) = fetched {
            match head {
                Some(head) => drop(head.send(Err(error))),
                // Whoever does not take its pieces is not waited for.
                None => drop(pieces.try_send(Piece::Failed(error))),
            }
        }
    }
}

impl Outbound {
    async fn fetch(
        &self,
        ctx: &Context,
        order: Order,
        body: Body,
        head: &mut Option<oneshot::Sender<Result<Answered, FetchError>>>,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<(), FetchError> {
        let response = self.respond(ctx, order, body).await?;
        let (parts, mut body) = response.into_parts();
        let length = body.size_hint().exact();
        let too_large = || FetchError::TooLarge { limit: self.body_limit };
        if length.is_some_and(|length| length > self.body_limit) {
            return Err(too_large());
        }
        let answered = Answered { status: parts.status, headers: parts.headers, length };
        if let Some(head) = head.take() {
            // Nobody who waits is nobody who takes the pieces.
            let _ = head.send(Ok(answered));
        }
        let mut left = self.body_limit;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| FetchError::of(&*error))?;
            left = left.checked_sub(piece.len() as u64).ok_or_else(too_large)?;
            if pieces.send(Piece::Data(piece)).await.is_err() {
                return Ok(());
            }
        }
        let _ = pieces.send(Piece::End).await;
        Ok(())
    }

    /// The response's head, after all redirects that are to be followed.
    async fn respond(
        &self,
        ctx: &Context,
        mut order: Order,
        mut body: Body,
    ) -> Result<message::Response, FetchError> {
        let mut followed = 0;
        loop {
            let response = self.send(ctx, &order, body).await?;
            if order.redirects == 0 {
                return Ok(response);
            }
            let Some(next) = redirect::next(&order, &response)? else { return Ok(response) };
            followed += 1;
            if followed > order.redirects {
                let text = format!(
                    "more than {} redirects, the last one to {}",
                    order.redirects,
                    next.url.authority()
                );
                return Err(FetchError::Redirect(text));
            }
            next.check(&self.hosts)?;
            body = next.body.clone().unwrap_or_default().into();
            order = next;
        }
    }

    async fn send(
        &self,
        ctx: &Context,
        order: &Order,
        body: Body,
    ) -> Result<message::Response, FetchError> {
        let mut request = http::Request::new(body);
        *request.method_mut() = order.method.clone();
        *request.uri_mut() = order.uri()?;
        *request.headers_mut() = order.headers.clone();
        headers::strip(request.headers_mut());
        headers::hand_down(ctx, &self.baggage, request.headers_mut());
        let response = self.client.request(request).await;
        let mut response =
            response.map_err(|error| FetchError::of(&error as &(dyn Error + 'static)))?;
        let told = response.headers().get(CONTENT_LENGTH).cloned();
        headers::strip(response.headers_mut());
        // Of the answer to HEAD it is all that is said of the body.
        if let Some(length) = told.filter(|_| order.method == Method::HEAD) {
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok(response.map(Body::stream))
    }
}

/// Logs a fetch that has ended: whom it asked, and not what for, which may be a
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
