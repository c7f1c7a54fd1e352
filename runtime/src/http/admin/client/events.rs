//! The stream of events (HTML, 9.2).

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::answers::{Changes, Overview, Requests, Summary};
use super::{Client, ClientError, MAX_BYTES, TIMEOUT};

/// Something that has happened on the host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Its state, every second.
    Overview(Overview),
    /// Changes of the invocations in flight.
    Live(Changes),
    /// Requests that were recorded, newest last.
    Recorded(Vec<Summary>),
}

/// An open stream. Its next event arrives within seconds.
#[derive(Debug)]
pub(crate) struct EventStream {
    client: Arc<Client>,
    body: Incoming,
    text: Buffer,
}

/// What has arrived of the stream, and is not an event yet.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// The first of these have no end of an event.
    searched: usize,
}

impl EventStream {
    pub(super) fn new(client: Arc<Client>, body: Incoming) -> Self {
        Self { client, body, text: Buffer::default() }
    }

    /// Waits for the next event. `None` if the host has ended the stream.
    ///
    /// # Cancel safety
    /// No event is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(event) = self.text.take() {
                if let Some(event) = self.client.parse(&event)? {
                    return Ok(Some(event));
                }
            }
            match self.frame().await? {
                Some(piece) => self.text.bytes.extend_from_slice(&piece),
                None => return Ok(None),
            }
            if self.text.bytes.len() > MAX_BYTES {
                return Err(self.client.unlike("an event is too long"));
            }
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, ClientError> {
        let frame = async {
            match self.body.frame().await {
                Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
                Some(Err(error)) => Err(self.client.unlike(error)),
                None => Ok(None),
            }
        };
        self.client.in_time(TIMEOUT, frame).await
    }
}

impl Client {
    /// The event of a text. `None` if its name is unknown.
    fn parse(&self, event: &[u8]) -> Result<Option<Event>, ClientError> {
        let (mut name, mut data) = (&b""[..], &b""[..]);
        for line in event.split(|byte| *byte == b'\n') {
            if let Some(value) = line.strip_prefix(b"event: ") {
                name = value;
            } else if let Some(value) = line.strip_prefix(b"data: ") {
                data = value;
            }
        }
        Ok(Some(match name {
            b"overview" => Event::Overview(self.read(data)?),
            b"live" => Event::Live(self.read(data)?),
            b"recorded" => Event::Recorded(self.read::<Requests>(data)?.requests),
            _ => return Ok(None),
        }))
    }
}

impl Buffer {
    /// Removes the first whole event.
    fn take(&mut self) -> Option<Vec<u8>> {
        // An end may have arrived in two pieces.
        let from = self.searched.saturating_sub(1);
        let end = self.bytes[from..].windows(2).position(|pair| pair == b"\n\n");
        let Some(end) = end.map(|end| from + end) else {
            self.searched = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(end + 2);
        self.searched = 0;
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_arrive_in_any_pieces() {
        let text = b"event: live\ndata: 1\n\nevent: x\ndata: 2\n\nrest";
        for size in [1, 2, 7, 100] {
            let (mut buffer, mut events) = (Buffer::default(), Vec::new());
            for piece in text.chunks(size) {
                buffer.bytes.extend_from_slice(piece);
                events.extend(std::iter::from_fn(|| buffer.take()));
            }
            assert_eq!(events.len(), 2, "{size}");
            assert_eq!(
                (&*events[1], &*buffer.bytes),
                (&b"event: x\ndata: 2\n\n"[..], &b"rest"[..])
            );
        }
    }

    #[test]
    fn unknown_events_are_skipped_and_malformed_ones_are_errors() {
        let client = Client { address: "host:1".to_owned(), token: None };
        let parse = |text: &str| client.parse(text.as_bytes());
        assert!(matches!(parse(": a comment\n\n"), Ok(None)));
        assert!(matches!(parse("event: later\ndata: x\n\n"), Ok(None)));
        let recorded = "event: recorded\ndata: {\"requests\":[]}\n\n";
        assert!(matches!(parse(recorded), Ok(Some(Event::Recorded(list))) if list.is_empty()));
        let error = parse("event: live\ndata: {}\n\n").expect_err("no data").to_string();
        assert!(error.contains("host:1") && error.contains("now"), "{error}");
    }
}
