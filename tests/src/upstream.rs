//! Another host for functions to fetch from: a server that sends the exact bytes of a test, and
//! reports its requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// The response to a request with this head.
type Answer = dyn Fn(&str) -> String + Send + Sync;

/// A server that responds to every request with the same function.
#[derive(Debug)]
pub struct Upstream {
    /// Its address.
    pub address: SocketAddr,
    told: Mutex<mpsc::UnboundedReceiver<Told>>,
}

/// An event of the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// A connection was accepted.
    Connected,
    /// A request arrived: its head.
    Asked(String),
    /// A connection ended.
    Closed,
}

impl Upstream {
    /// Starts a server on a free port. An empty response leaves the request unanswered.
    ///
    /// # Errors
    /// Those of the socket.
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
                    // On an error the client has disconnected.
                    let _ = serve(stream, &tell, &*answer).await;
                    let _ = tell.send(Told::Closed);
                });
            }
        });
        Ok(Self { address, told: Mutex::new(told) })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for the next event.
    ///
    /// # Panics
    /// If the server has ended.
    pub async fn told(&self) -> Told {
        self.told.lock().await.recv().await.expect("the server goes on as long as its test")
    }

    /// Waits for the next request, and returns its head.
    pub async fn asked(&self) -> String {
        loop {
            if let Told::Asked(head) = self.told().await {
                return head;
            }
        }
    }

    /// The head of the next request, if one has arrived. It must not be called while another task
    /// waits for events.
    ///
    /// # Panics
    /// If another task does.
    pub fn asked_already(&self) -> Option<String> {
        let mut told = self.told.try_lock().expect("nothing else waits");
        loop {
            if let Told::Asked(head) = told.try_recv().ok()? {
                return Some(head);
            }
        }
    }

    /// Waits until a connection has ended.
    pub async fn closed(&self) {
        while self.told().await != Told::Closed {}
    }
}

/// Responds to the requests of one connection. Reads bodies with a `content-length`.
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

/// A complete response with this text.
pub fn ok(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

/// A redirect.
pub fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}
