//! Another host, as a function may ask it: a plain server that answers with the very bytes that a
//! test gives it, and tells what it was asked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// What is answered to a request with this head.
type Answer = dyn Fn(&str) -> String + Send + Sync;

/// A server that answers every request on a connection in the same way.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    told: Mutex<mpsc::UnboundedReceiver<Told>>,
}

/// What happens to it.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// A connection.
    Connected,
    /// A request: its head.
    Asked(String),
    /// The end of a connection.
    Closed,
}

impl Upstream {
    /// Starts one on a free port. An answer that is empty leaves the request unanswered.
    ///
    /// # Errors
    /// What the system says.
    pub async fn start(
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tell, told) = mpsc::unbounded_channel();
        let answer: Arc<Answer> = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, answer) = (tell.clone(), answer.clone());
                tokio::spawn(async move {
                    let _ = tell.send(Told::Connected);
                    // An error is a client that has left.
                    let _ = serve(stream, &tell, &*answer).await;
                    let _ = tell.send(Told::Closed);
                });
            }
        });
        Ok(Self { address, told: Mutex::new(told) })
    }

    /// A URL of this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for what happens next.
    ///
    /// # Panics
    /// If it has ended.
    pub async fn told(&self) -> Told {
        self.told.lock().await.recv().await.expect("the server goes on as long as its test")
    }

    /// Waits for the next request, and gives its head.
    pub async fn asked(&self) -> String {
        loop {
            if let Told::Asked(head) = self.told().await {
                return head;
            }
        }
    }

    /// Waits until a connection has ended.
    pub async fn closed(&self) {
        while self.told().await != Told::Closed {}
    }
}

/// Answers the requests of one connection. A body is read where its length is told.
async fn serve(
    stream: TcpStream,
    tell: &mpsc::UnboundedSender<Told>,
    answer: &Answer,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
            if let Some(value) = head[start..].strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let answer = answer(&head);
        let _ = tell.send(Told::Asked(head));
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        if answer.contains("connection: close") {
            return Ok(());
        }
    }
}

/// A whole answer with this text.
pub fn ok(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

/// An answer that leads elsewhere.
pub fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}
