//! An HTTP/1.1 client that sends exact bytes, so that a test can also send half a request, or
//! disconnect in the middle of one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the client waits for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub struct Client<S = TcpStream>(BufReader<S>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address).await?)))
    }

    /// Two handles of one connection, so that one can send while the other receives.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn twins(self) -> io::Result<[Self; 2]> {
        let stream = self.0.into_inner().into_std()?;
        let twin = TcpStream::from_std(stream.try_clone()?)?;
        Ok([TcpStream::from_std(stream)?, twin].map(|stream| Self(BufReader::new(stream))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Uses an existing connection.
    pub fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// Sends a GET, and waits for the response.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`answer`](Self::answer).
    pub async fn get(&mut self, target: &str) -> io::Result<Response<Vec<u8>>> {
        self.request(&Request::get(target).body("").map_err(io::Error::other)?).await
    }

    /// Sends a request with its body, and waits for the response. Adds a `content-length`, unless
    /// the request has a `transfer-encoding`: then the body is sent unchanged.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`answer`](Self::answer).
    pub async fn request<B: AsRef<[u8]>>(
        &mut self,
        request: &Request<B>,
    ) -> io::Result<Response<Vec<u8>>> {
        let body = request.body().as_ref();
        let mut text = head_of(request);
        if !body.is_empty() && !request.headers().contains_key(TRANSFER_ENCODING) {
            text.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        text.extend(b"\r\n");
        text.extend(body);
        self.send(text).await?;
        self.answer(request.method()).await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await?;
        self.0.flush().await
    }

    /// Waits for the response to a request with this method.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` if the connection ends, `InvalidData` if the bytes are
    /// not HTTP.
    pub async fn answer(&mut self, method: &Method) -> io::Result<Response<Vec<u8>>> {
        let (head, ()) = self.head().await?.into_parts();
        let mut answer = Response::from_parts(head, Vec::new());
        if *method == Method::HEAD || matches!(answer.status().as_u16(), 204 | 304) {
            return Ok(answer);
        }
        if answer.headers().contains_key(TRANSFER_ENCODING) {
            while let Some(piece) = self.piece().await? {
                answer.body_mut().extend(piece);
            }
        } else {
            *answer.body_mut() = self.body(answer.headers().get(CONTENT_LENGTH)).await?;
        }
        Ok(answer)
    }

    /// Waits for the head of a response, and does not read its body.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn head(&mut self) -> io::Result<Response<()>> {
        let status = self.status().await?;
        let mut answer = Response::builder().status(status).body(()).map_err(invalid)?;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or(io::ErrorKind::InvalidData)?;
            let name = HeaderName::try_from(name).map_err(invalid)?;
            answer
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(invalid)?);
        }
        Ok(answer)
    }

    /// Waits for the next chunk of a chunked response. `None` is its end.
    ///
    /// # Errors
    /// As [`answer`](Self::answer); `UnexpectedEof` if the response is aborted.
    pub async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let len = usize::from_str_radix(&self.line().await?, 16).map_err(invalid)?;
        let piece = self.bytes(len).await?;
        self.line().await?;
        Ok((len > 0).then_some(piece))
    }

    /// Waits for an interim status such as 100.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn interim(&mut self) -> io::Result<u16> {
        let status = self.status().await?;
        while !self.line().await?.is_empty() {}
        Ok(status)
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` if the connection ends before.
    pub async fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Waits until the server closes the connection without sending anything.
    ///
    /// # Errors
    /// Those of the socket; `InvalidData` if the server sends something, `TimedOut` after a minute.
    pub async fn closed(&mut self) -> io::Result<()> {
        match timeout(PATIENCE, self.0.fill_buf()).await?? {
            [] => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads until the server closes the connection, and returns the bytes read.
    ///
    /// # Errors
    /// Those of the socket except a connection reset; `TimedOut` after a minute.
    pub async fn ended(&mut self) -> io::Result<Vec<u8>> {
        let mut said = Vec::new();
        match timeout(PATIENCE, self.0.read_to_end(&mut said)).await? {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(said),
        }
    }

    async fn body(&mut self, length: Option<&HeaderValue>) -> io::Result<Vec<u8>> {
        let length = length.ok_or(io::ErrorKind::InvalidData)?.to_str().map_err(invalid)?;
        self.bytes(length.parse().map_err(invalid)?).await
    }

    async fn status(&mut self) -> io::Result<u16> {
        let line = self.line().await?;
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
        status.ok_or(io::ErrorKind::InvalidData)?.parse().map_err(invalid)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Waits until no server listens at an address any more.
///
/// # Panics
/// If one still listens after a minute.
pub async fn refused(address: SocketAddr) {
    let refused = async {
        loop {
            match Client::connect(address).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    assert!(timeout(PATIENCE, refused).await.is_ok(), "a server still listens at {address}");
}

/// A request line and its headers, without the empty line after them. The default host is `test`.
fn head_of<B>(request: &Request<B>) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    if !request.headers().contains_key(HOST) {
        text.push_str("host: test\r\n");
    }
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text.into_bytes()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
