//! An HTTP/2 client, and raw frames for clients that misbehave.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use hourglass::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::client;

/// The client connection preface.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The initial window of a stream.
pub const WINDOW: u32 = 64 << 10;

/// The frame type DATA.
pub const DATA: u8 = 0;

/// The frame type HEADERS.
pub const HEADERS: u8 = 1;

/// The frame type RST_STREAM.
pub const RESET: u8 = 3;

/// The frame type SETTINGS.
pub const SETTINGS: u8 = 4;

/// The frame type WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;

/// The frame type GOAWAY.
pub const GOAWAY: u8 = 7;

const PING: u8 = 6;

/// The flag END_STREAM.
pub const END: u8 = 1;

/// One connection. Dropping it closes the connection and all its streams.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Body>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Client {
    /// Connects without encryption.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?).await
    }

    /// Speaks HTTP/2 over an existing connection.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(64 * WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self { sender, driver: tokio::spawn(connection) })
    }

    /// Starts a request, and returns a future of the response's head. Dropping it, or the body,
    /// resets the stream.
    pub fn start<B: Into<Body>>(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<B> {
        self.sender.send_request(request.map(Into::into))
    }

    /// Sends a request, and waits for the whole response.
    ///
    /// # Errors
    /// Those of hyper.
    pub async fn request(
        &mut self,
        request: Request<impl Into<Body>>,
    ) -> hyper::Result<Response<Bytes>> {
        let (head, body) = self.start(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    /// Sends a GET for a path, and waits for the whole response.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn get(&mut self, path: &str) -> hyper::Result<Response<Bytes>> {
        self.request(get(path)).await
    }

    /// Waits until the server has closed the connection.
    ///
    /// # Errors
    /// If it was not closed gracefully.
    pub async fn closed(mut self) -> hyper::Result<()> {
        let ended = (&mut self.driver).await;
        ended.expect("it does not panic")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A GET for a path.
///
/// # Panics
/// If it is not a valid path.
pub fn get(path: &str) -> Request<Body> {
    Request::get(url(path)).body(Body::empty()).expect("a path")
}

/// The URL of a path.
pub fn url(path: &str) -> String {
    format!("http://test{path}")
}

/// The next piece of a response. `None` is its end.
///
/// # Errors
/// If the response is aborted.
pub async fn piece(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    match body.frame().await {
        Some(frame) => Ok(frame?.into_data().ok()),
        None => Ok(None),
    }
}

/// An encoded frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Waits for the next frame. Replies to pings.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` if the connection ends.
    pub async fn next(client: &mut client::Client) -> io::Result<Self> {
        loop {
            let head = client.bytes(9).await?;
            let number = |at: usize, len| {
                head[at..at + len].iter().fold(0, |n, &byte| n << 8 | u32::from(byte))
            };
            let payload = client.bytes(number(0, 3) as usize).await?;
            let this = Self { kind: head[3], flags: head[4], stream: number(5, 4), payload };
            if this.kind != PING {
                return Ok(this);
            }
            if this.flags == 0 {
                client.send(frame(PING, 1, 0, &this.payload)).await?;
            }
        }
    }

    /// Waits for a frame of this type, and discards others.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn of(kind: u8, client: &mut client::Client) -> io::Result<Self> {
        loop {
            let this = Self::next(client).await?;
            if this.kind == kind {
                return Ok(this);
            }
        }
    }
}

/// A GOAWAY without an error, with the last stream that the server processes.
pub fn goaway(last: u32) -> Frame {
    let payload = [last.to_be_bytes(), [0; 4]].concat();
    Frame { kind: GOAWAY, flags: 0, stream: 0, payload }
}

/// An empty SETTINGS frame, which follows the preface.
pub fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// The HEADERS frame of a GET without a body.
pub fn headers(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, 0x05, stream, &block(0x82, path))
}

/// The HEADERS frame of a POST, before its body.
pub fn begin(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, 0x04, stream, &block(0x83, path))
}

/// The last DATA frame of a request.
pub fn last(stream: u32, piece: &[u8]) -> Vec<u8> {
    frame(DATA, END, stream, piece)
}

/// An HPACK header block. The method is an index of the static table.
fn block(method: u8, path: &str) -> Vec<u8> {
    // The scheme as another index, then path and authority as literals.
    let mut block = vec![method, 0x86];
    for (name, text) in [(0x04, path), (0x01, "test")] {
        block.extend([name, text.len() as u8]);
        block.extend(text.bytes());
    }
    block
}

/// A RST_STREAM frame with the code CANCEL.
pub fn reset(stream: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &8_u32.to_be_bytes())
}
