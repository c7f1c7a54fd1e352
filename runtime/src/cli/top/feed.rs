//! Reads the events of the host, and connects again when they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::state::Answer;
use crate::http::admin::client::Client;
use crate::http::admin::client::events::{Event, EventStream};

/// The pauses between attempts to connect: the first, and the longest.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);

/// News for the screen.
#[derive(Debug)]
pub(super) enum News {
    /// A stream of events begins.
    Connected,
    /// It has ended, or the host can't be reached.
    Disconnected(String),
    Event(Event),
    /// The host has answered a request.
    Answer(Answer),
}

/// Sends the events of a stream, and of those after it, until the receiver is
/// gone.
pub(super) async fn follow(client: Arc<Client>, stream: EventStream, news: Sender<News>) {
    let (mut stream, mut pause) = (Some(stream), FIRST);
    loop {
        let reason = match stream.take() {
            Some(stream) => {
                pause = FIRST;
                forward(stream, &news).await
            }
            None => match client.events().await {
                Ok(opened) => {
                    stream = Some(opened);
                    if news.send(News::Connected).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => error.to_string(),
            },
        };
        if news.send(News::Disconnected(reason)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Sends the events of a stream. Returns why it has ended.
async fn forward(mut stream: EventStream, news: &Sender<News>) -> String {
    loop {
        match stream.next().await {
            Ok(Some(event)) => {
                if news.send(News::Event(event)).await.is_err() {
                    return String::new();
                }
            }
            Ok(None) => return "the host has stopped".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::*;

    /// Accepts a stream of events, and sends one.
    async fn accept(listener: &TcpListener) -> TcpStream {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 1_024];
        let read = stream.read(&mut request).await.expect("a request");
        assert!(request[..read].starts_with(b"GET /events "));
        let answer = "HTTP/1.1 200 OK\r\n\r\nevent: recorded\ndata: {\"requests\":[]}\n\n";
        stream.write_all(answer.as_bytes()).await.expect("it is sent");
        stream
    }

    #[tokio::test]
    async fn it_connects_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one").to_string();
        let client = Arc::new(Client { address, token: None });
        let (opened, stream) = tokio::join!(client.events(), accept(&listener));
        let (sender, mut news) = mpsc::channel(1);
        let feed = tokio::spawn(follow(client.clone(), opened.expect("a stream"), sender));
        let is_event = |news| matches!(news, Some(News::Event(Event::Recorded(_))));
        assert!(is_event(news.recv().await));
        drop(stream);
        assert!(matches!(news.recv().await, Some(News::Disconnected(_))));
        // It is no host.
        drop(listener.accept().await.expect("a connection"));
        assert!(matches!(news.recv().await, Some(News::Disconnected(_))));
        let stream = accept(&listener).await;
        assert!(matches!(news.recv().await, Some(News::Connected)));
        assert!(is_event(news.recv().await));
        drop(news);
        drop(listener);
        drop(stream);
        feed.await.expect("it ends with its receiver");
    }
}
