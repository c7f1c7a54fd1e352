//! One connection, from its first byte to its last: whether it is encrypted,
//! which HTTP is spoken on it, and how long its client may take for what.

use std::future::poll_fn;
use std::io;
use std::net::TcpStream as Accepted;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::exchange::{Connection, Exchange, Front};
use super::http2::{self, Streams};
use super::request_body::Paced;
use super::socket::Socket;
use super::tls::{self, Tls};
use super::unread::Rest;
use crate::limits::stall::Patience;

/// The most that is read ahead, and written behind, of one HTTP/1.1 connection,
/// in bytes. No head may be longer.
const BUFFER: usize = 192 << 10;

/// How long clients may take to take the last bytes of their responses, once
/// everything else has ended.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// What holds for all connections of a server.
pub(super) struct Terms {
    pub(super) front: Arc<Front>,
    /// How long a client may take to say what it wants: for its handshake, for
    /// the first byte, for a request's head, and until the next request.
    pub(super) head: Duration,
    pub(super) patience: Patience,
    /// Where there is none, nothing is encrypted.
    pub(super) tls: Option<Tls>,
}

/// Tells a connection that its server stops, which waits until all of them are
/// dropped.
pub(super) type Stop = watch::Receiver<()>;

/// Why a connection has ended otherwise than in order.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the client did not begin in time")]
    Silent,
    #[error("the client left before it was answered")]
    Left,
    #[error(transparent)]
    System(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: Accepted, terms: Arc<Terms>, mut stop: Stop) {
    let stream = match open(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a connection can't be served");
            return;
        }
    };
    if let Err(error) = speak(stream, &terms, &mut stop).await {
        // A client that leaves or sends no HTTP is not the host's concern.
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Takes a connection into this event loop.
fn open(stream: Accepted) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(stream)?;
    // Without it a response may wait for the client's acknowledgment.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Finds out what is spoken, and answers in it. The rarer ways are boxed, so that
/// the other takes no room for them.
async fn speak(stream: TcpStream, terms: &Terms, stop: &mut Stop) -> Result<(), Broken> {
    let address = stream.peer_addr().ok();
    let shared = Arc::new(Connection::new(terms.front.clone(), address, terms.patience));
    let (lingering, unread) = (terms.front.lingering.clone(), shared.unread.clone());
    let mut socket = Socket::new(stream, terms.patience, lingering, unread);
    if let Some(tls) = &terms.tls {
        return Box::pin(encrypted(socket, tls, shared, terms, stop)).await;
    }
    match in_time(socket.begins_as_http2(), terms, stop).await? {
        Some(true) => Box::pin(http2(socket, shared, terms, stop)).await?,
        Some(false) => {
            let left = socket.left();
            http1(socket, left, shared, terms, stop).await?;
        }
        None => {}
    }
    Ok(())
}

async fn encrypted(
    socket: Socket,
    tls: &Tls,
    shared: Arc<Connection>,
    terms: &Terms,
    stop: &mut Stop,
) -> Result<(), Broken> {
    let left = socket.left();
    match in_time(tls.accept(socket), terms, stop).await? {
        Some(stream) if tls::is_http2(&stream) => http2(stream, shared, terms, stop).await?,
        Some(stream) => http1(stream, left, shared, terms, stop).await?,
        None => {}
    }
    Ok(())
}

/// Waits for how a client begins; `None` where the server stops before that.
async fn in_time<T>(
    begun: impl Future<Output = io::Result<T>>,
    terms: &Terms,
    stop: &mut Stop,
) -> Result<Option<T>, Broken> {
    tokio::select! {
        biased;
        begun = tokio::time::timeout(terms.head, begun) => match begun {
            Ok(begun) => Ok(Some(begun?)),
            Err(_elapsed) => Err(Broken::Silent),
        },
        _ = stop.changed() => Ok(None),
    }
}

/// One request after the other, until the client has `left`.
///
/// The server sees that only while it reads, which it does not as long as a part
/// of a request's body, or of a request behind it, waits to be taken. Who still
/// waits for a function is therefore looked after beside it.
async fn http1(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
    left: impl Future<Output = ()>,
    shared: Arc<Connection>,
    terms: &Terms,
    stop: &mut Stop,
) -> Result<(), Broken> {
    let connection = shared.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let patience = connection.patience;
        // It has come, so there is nothing left of the one before.
        connection.unread.store(false, Ordering::Relaxed);
        let rest = Rest::Connection(connection.unread.clone());
        let request = request.map(|incoming| Paced::new(incoming, patience).with_rest(rest));
        Exchange::new(&connection, request)
    });
    let mut settings = http1::Builder::new();
    terms.front.headers.apply_to_http1(&mut settings);
    let serving = settings
        .timer(TokioTimer::new())
        .header_read_timeout(terms.head)
        .max_buf_size(BUFFER)
        // Not `pipeline_flush`: with it a response that is streamed is taken into
        // memory as fast as it comes, however slowly its client reads.
        .serve_connection(TokioIo::new(io), service);
    let (mut serving, mut left, mut stopping) = (pin!(serving), pin!(left), false);
    loop {
        let left = poll_fn(|cx| match shared.is_waiting() {
            true => left.as_mut().poll(cx),
            false => Poll::Pending,
        });
        tokio::select! {
            biased;
            ended = serving.as_mut() => return Ok(ended?),
            () = left => return Err(Broken::Left),
            _ = stop.changed(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Many requests at once. One that has had none for a while is let go.
async fn http2(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
    shared: Arc<Connection>,
    terms: &Terms,
    stop: &mut Stop,
) -> hyper::Result<()> {
    let service = service_fn(move |request| http2::answer(shared.clone(), request));
    let streams = Streams::new(terms.patience);
    let settings = http2::settings(streams.clone(), &terms.front, terms.head);
    let mut serving = pin!(settings.serve_connection(TokioIo::new(io), service));
    tokio::select! {
        biased;
        ended = serving.as_mut() => return ended,
        _ = stop.changed() => {
            serving.as_mut().graceful_shutdown();
            return serving.await;
        }
        () = streams.idle(terms.head) => serving.as_mut().graceful_shutdown(),
    }
    // A request may have come at that moment, and is answered. Where the client
    // has none and does not even say farewell, the connection is dropped.
    tokio::select! {
        biased;
        ended = serving => ended,
        () = streams.idle(FAREWELL) => Ok(()),
    }
}
