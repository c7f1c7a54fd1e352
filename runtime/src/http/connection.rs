//! One connection, from its first byte to its last: encryption, HTTP version
//! and client timeouts.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::TcpStream as Accepted;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http2::{self, Streams};
use super::request::{ClientConnection, RequestFuture};
use super::request_body::RequestBody;
use super::server::ServerState;
use super::socket::Socket;
use super::stop::Stop;
use super::tls::{self, Tls};
use super::unread::Rest;

/// The most bytes that one HTTP/1.1 connection buffers in each direction. No
/// head may be longer.
const BUFFER: usize = 192 << 10;

/// Time for clients to receive the last bytes of their responses, after
/// everything else has ended.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection ended abnormally.
type Broken = Box<dyn Error + Send + Sync>;

/// Serves one connection to its end, on this event loop.
pub(super) async fn serve(stream: Accepted, state: Arc<ServerState>, mut stop: Stop) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a connection can't be served");
            return;
        }
    };
    let _open = state.runtime.front().connected();
    // Disables Nagle's algorithm: a response could wait for the client's
    // acknowledgment.
    let _ = stream.set_nodelay(true);
    if let Err(error) = speak(stream, &state, &mut stop).await {
        // A client that disconnects or does not speak HTTP is not an error of
        // the host.
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Detects the protocol and serves it. The rarer protocols are boxed to keep
/// the common future small.
async fn speak(stream: TcpStream, state: &Arc<ServerState>, stop: &mut Stop) -> Result<(), Broken> {
    let address = stream.peer_addr().ok();
    let shared = Arc::new(ClientConnection::new(state.clone(), address));
    let (lingering, inbound) = (state.lingering.clone(), shared.inbound.clone());
    let mut socket = Socket::new(stream, state.stall_limits, lingering, inbound);
    if let Some(tls) = &state.tls {
        return Box::pin(encrypted(socket, tls, shared, state, stop)).await;
    }
    match in_time(socket.begins_as_http2(), &shared, stop).await? {
        Some(true) => Box::pin(http2(socket, shared, state, stop)).await?,
        Some(false) => {
            let left = socket.left();
            http1(socket, left, shared, state, stop).await?;
        }
        None => {
            shared.inbound.set_unread(true);
            socket.shutdown().await?;
        }
    }
    Ok(())
}

async fn encrypted(
    socket: Socket,
    tls: &Tls,
    shared: Arc<ClientConnection>,
    state: &Arc<ServerState>,
    stop: &mut Stop,
) -> Result<(), Broken> {
    let left = socket.left();
    match in_time(tls.accept(socket), &shared, stop).await? {
        Some(stream) if tls::is_http2(&stream) => http2(stream, shared, state, stop).await?,
        Some(stream) => http1(stream, left, shared, state, stop).await?,
        None => {}
    }
    Ok(())
}

/// Waits for the client's first bytes; `None` if the server stops and nothing
/// arrives.
async fn in_time<T>(
    begun: impl Future<Output = io::Result<T>>,
    shared: &ClientConnection,
    stop: &mut Stop,
) -> Result<Option<T>, Broken> {
    tokio::select! {
        biased;
        begun = tokio::time::timeout(shared.state.head_timeout, begun) => match begun {
            Ok(begun) => Ok(Some(begun?)),
            Err(_elapsed) => Err("the client did not begin in time".into()),
        },
        () = stop.last_call(shared) => Ok(None),
    }
}

/// Serves one request after another until the client has `left`.
///
/// The server notices a disconnect only while it reads. It does not read while
/// a part of a request's body, or a pipelined request, is buffered. Disconnects
/// are therefore also watched separately while a client waits for a function.
///
/// Once the server stops, the next response announces that it is the last one.
/// A client that sends nothing gets none, and its connection is closed. hyper
/// would close it at once, and with it a request that is on the way.
async fn http1(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
    left: impl Future<Output = ()>,
    shared: Arc<ClientConnection>,
    state: &Arc<ServerState>,
    stop: &mut Stop,
) -> Result<(), Broken> {
    let connection = shared.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        // A new request has arrived, so nothing of the previous one is left. The
        // client may send another one before it learns that the server stops.
        connection.inbound.set_unread(connection.state.is_stopping());
        let rest = Rest::Connection(connection.inbound.clone());
        let limits = connection.state.stall_limits;
        let request = request.map(|incoming| RequestBody::new(incoming, limits, Some(rest)));
        RequestFuture::new(&connection, request)
    });
    let mut settings = http1::Builder::new();
    state.headers.apply_to_http1(&mut settings);
    let serving = settings
        .timer(TokioTimer::new())
        .header_read_timeout(state.head_timeout)
        .max_buf_size(BUFFER)
        // Not `pipeline_flush`: it buffers a streaming response in memory as
        // fast as it is produced, however slowly its client reads.
        .serve_connection(TokioIo::new(io), service);
    let (mut serving, mut left) = (pin!(serving), pin!(left));
    let (mut last_call, mut is_over) = (pin!(stop.last_call(&shared)), false);
    loop {
        let left = poll_fn(|cx| match shared.is_waiting() {
            true => left.as_mut().poll(cx),
            false => Poll::Pending,
        });
        tokio::select! {
            biased;
            ended = serving.as_mut() => return Ok(ended?),
            () = left => return Err("the client left before it was answered".into()),
            () = last_call.as_mut(), if !is_over => {
                is_over = true;
                shared.inbound.set_unread(true);
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Serves concurrent requests. A connection without requests for a while is
/// closed.
async fn http2(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
    shared: Arc<ClientConnection>,
    state: &Arc<ServerState>,
    stop: &mut Stop,
) -> hyper::Result<()> {
    let connection = shared.clone();
    let service = service_fn(move |request| http2::answer(connection.clone(), request));
    let streams = Streams::new(state.stall_limits);
    let settings = http2::settings(streams.clone(), state);
    let mut serving = pin!(settings.serve_connection(TokioIo::new(io), service));
    tokio::select! {
        biased;
        ended = serving.as_mut() => return ended,
        // The client may send more until it has read the GOAWAY.
        () = stop.begun() => shared.inbound.set_unread(true),
        () = streams.idle(state.head_timeout) => {}
    }
    serving.as_mut().graceful_shutdown();
    // A request may arrive at this moment, and is answered. If the client has
    // none and does not answer the GOAWAY either, the connection is dropped.
    tokio::select! {
        biased;
        ended = serving => ended,
        () = streams.idle(FAREWELL) => Ok(()),
    }
}
