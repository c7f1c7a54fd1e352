//! An HTTP/1.1 client that sends exactly what it is told to, so that a test can also send half of
//! a request, or go away in the middle of it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long it waits for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub struct Client<S = TcpStream>(BufReader<S>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address).await?)))
    }

    /// The same connection twice, so that one can send while the other receives.
    ///
    /// # Errors
    /// What the system says.
    pub fn twins(self) -> io::Result<[Self; 2]> {
        let stream = self.0.into_inner().into_std()?;
        let twin = TcpStream::from_std(stream.try_clone()?)?;
        Ok([TcpStream::from_std(stream)?, twin].map(|stream| Self(BufReader::new(stream))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Speaks over a connection that is there.
    pub fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// A GET, and its answer.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`answer`](Self::answer).
    pub async fn get(&mut self, target: &str) -> io::Result<Response<Vec<u8>>> {
        self.request(&Request::get(target).body("").map_err(io::Error::other)?).await
    }

    /// A request with a whole body, and its answer. Its length is told, unless the request names
    /// a `transfer-encoding`: then the body goes out as it is.
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
    /// What the system says.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await?;
        self.0.flush().await
    }

    /// Waits for the answer to a request of this method.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` where the connection ends, `InvalidData` where it is
    /// no HTTP.
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

    /// Waits for the head of an answer, and leaves its body where it is.
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

    /// Waits for the next piece of an answer that comes in pieces; `None` is its end.
    ///
    /// # Errors
    /// As [`answer`](Self::answer): `UnexpectedEof` where it breaks off.
    pub async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let len = usize::from_str_radix(&self.line().await?, 16).map_err(invalid)?;
        let piece = self.bytes(len).await?;
        self.line().await?;
        Ok((len > 0).then_some(piece))
    }

    /// Waits for the status that comes before the answer itself, such as 100.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn interim(&mut self) -> io::Result<u16> {
        let status = self.status().await?;
        while !self.line().await?.is_empty() {}
        Ok(status)
    }

    /// Waits for exactly so many bytes.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` where the connection ends before.
    pub async fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Waits for the server to close the connection without another word.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where there was another word, `TimedOut` after a minute.
    pub async fn closed(&mut self) -> io::Result<()> {
        match timeout(PATIENCE, self.0.fill_buf()).await?? {
            [] => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads until the server closes the connection, whatever it says before.
    ///
    /// # Errors
    /// What the system says, save that the connection was reset; `TimedOut` after a minute.
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

/// A request's line and headers, without the empty line behind them. Its host is `test` where it
/// names none.
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
