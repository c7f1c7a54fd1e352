//! An HTTP/2 client, and the frames of one that does as it likes.

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

/// What a client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many bytes of one response it takes ahead.
pub const WINDOW: u32 = 64 << 10;

/// The kind of a frame that carries a piece of a body.
pub const DATA: u8 = 0;

/// That of one that carries a head.
pub const HEADERS: u8 = 1;

/// That of one that takes a request back, or breaks its answer off.
pub const RESET: u8 = 3;

/// That of one with settings.
pub const SETTINGS: u8 = 4;

/// That of one by which more may be sent.
pub const WINDOW_UPDATE: u8 = 8;

/// That of one that lets the connection go.
pub const GOAWAY: u8 = 7;

const PING: u8 = 6;

/// The flag of a stream's last frame.
pub const END: u8 = 1;

/// One connection. It is closed when this is dropped, and all that is under way on it.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Body>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Client {
    /// Connects without encryption.
    ///
    /// # Errors
    /// What the system says.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?).await
    }

    /// Speaks HTTP/2 over a connection that is there.
    ///
    /// # Errors
    /// What the system says.
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

    /// Starts a request; the future is for its head. Dropping that, or the body
    /// behind it, takes the request back.
    pub fn start<B: Into<Body>>(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<B> {
        self.sender.send_request(request.map(Into::into))
    }

    /// A request, and all of its answer.
    ///
    /// # Errors
    /// What hyper says.
    pub async fn request(
        &mut self,
        request: Request<impl Into<Body>>,
    ) -> hyper::Result<Response<Bytes>> {
        let (head, body) = self.start(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    /// A GET for a path, and its answer.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn get(&mut self, path: &str) -> hyper::Result<Response<Bytes>> {
        self.request(get(path)).await
    }

    /// Waits until the server wants nothing more on this connection, and has
    /// closed it.
    ///
    /// # Errors
    /// How it was closed, where that was not in order.
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
/// If it is none.
pub fn get(path: &str) -> Request<Body> {
    Request::get(url(path)).body(Body::empty()).expect("a path")
}

/// The address of a path.
pub fn url(path: &str) -> String {
    format!("http://test{path}")
}

/// The next piece of a response; `None` is its end.
///
/// # Errors
/// How it broke off.
pub async fn piece(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    match body.frame().await {
        Some(frame) => Ok(frame?.into_data().ok()),
        None => Ok(None),
    }
}

/// A frame, as it goes over the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A frame that the server has sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// What is particular about it.
    pub flags: u8,
    /// Which request it is about; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Waits for the next one, and answers pings meanwhile.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` where the connection ends.
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

    /// Waits for one of this kind, whatever comes before.
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

/// What a server says that lets a connection go: the last request that it answers, and that
/// nothing is wrong.
pub fn goaway(last: u32) -> Frame {
    let payload = [last.to_be_bytes(), [0; 4]].concat();
    Frame { kind: GOAWAY, flags: 0, stream: 0, payload }
}

/// An empty list of settings, which comes after the preface.
pub fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// The head of a GET, as a whole request.
pub fn headers(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, 0x05, stream, &block(0x82, path))
}

/// The head of a POST, whose body follows.
pub fn begin(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, 0x04, stream, &block(0x83, path))
}

/// The last piece of a request's body.
pub fn last(stream: u32, piece: &[u8]) -> Vec<u8> {
    frame(DATA, END, stream, piece)
}

/// The fields of a head, of which the method is an entry of the table.
fn block(method: u8, path: &str) -> Vec<u8> {
    // Another of its entries, and two with their texts.
    let mut block = vec![method, 0x86];
    for (name, text) in [(0x04, path), (0x01, "test")] {
        block.extend([name, text.len() as u8]);
        block.extend(text.bytes());
    }
    block
}

/// That a client takes its request back.
pub fn reset(stream: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &8_u32.to_be_bytes())
}
