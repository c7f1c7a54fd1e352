//! The stream of what happens on the host, as server-sent events (HTML, 9.2).
//!
//! # Bounds
//! [`MAX_STREAMS`] streams. A reader that takes nothing for [`STALL`] is
//! disconnected. Nothing is computed while no stream is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::live::LiveReader;
use super::overview::Sampler;
use super::recordings::Summary;
use crate::body::{Body, Pieces, Response};
use crate::http::admin::connections::Busy;
use crate::http::problem;
use crate::runtime::Runtime;

/// The most streams open at once.
const MAX_STREAMS: usize = 16;

/// The time between two readings, and the number of readings between two
/// overviews.
const TICK: Duration = Duration::from_millis(250);
const OVERVIEW: u64 = 4;

/// The most requests of one event.
const MAX_RECORDED: usize = 100;

/// How long a reader may take nothing.
const STALL: Duration = Duration::from_secs(10);

/// The streams that are open.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Streams(Arc<AtomicUsize>);

/// One open stream.
struct OpenStream {
    streams: Streams,
    _busy: Busy,
}

/// The requests that were recorded since the last event.
#[derive(Debug, Serialize)]
struct RecordedRequests {
    requests: Vec<Summary>,
}

impl Streams {
    /// Opens a stream.
    pub(in super::super) fn open(&self, runtime: &Runtime, busy: Busy) -> Response {
        let stream = OpenStream { streams: self.clone(), _busy: busy };
        if self.0.fetch_add(1, Ordering::Relaxed) >= MAX_STREAMS {
            let detail = "16 streams of events are open, which is the most";
            return problem::refusal(StatusCode::SERVICE_UNAVAILABLE, detail);
        }
        let (sender, pieces) = Pieces::new(2);
        let runtime = runtime.clone();
        tokio::spawn(async move {
            send(&runtime, sender).await;
            drop(stream);
        });
        let mut response = Response::new(Body::stream(pieces));
        let kind = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends events until the reader has left.
async fn send(runtime: &Runtime, sender: mpsc::Sender<Bytes>) {
    let recorder = runtime.recorder();
    let _watch = recorder.watch();
    let (mut sampler, mut live) = (Sampler::default(), LiveReader::default());
    let (_, mut next) = recorder.since(u64::MAX, 0);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0.. {
        ticks.tick().await;
        let mut events = Vec::new();
        if tick % OVERVIEW == 0 {
            add(&mut events, "overview", &sampler.read(runtime));
        }
        if let Some(changes) = live.read(runtime) {
            add(&mut events, "live", &changes);
        }
        let (recorded, after) = recorder.since(next, MAX_RECORDED);
        next = after;
        if !recorded.is_empty() {
            let requests = recorded.iter().map(|one| Summary::new(one)).collect();
            add(&mut events, "recorded", &RecordedRequests { requests });
        }
        if !events.is_empty()
            && !matches!(timeout(STALL, sender.send(events.into())).await, Ok(Ok(())))
        {
            return;
        }
    }
}

/// Adds one event. JSON has no line break.
fn add(events: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    events.extend_from_slice(b"event: ");
    events.extend_from_slice(name.as_bytes());
    events.extend_from_slice(b"\ndata: ");
    // Serializing numbers, texts and lists to JSON can't fail.
    events.extend(serde_json::to_vec(data).unwrap_or_default());
    events.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_name_and_one_line_of_data() {
        let mut events = Vec::new();
        add(&mut events, "live", &["a\nb"]);
        add(&mut events, "live", &[1]);
        let text = String::from_utf8(events).expect("a text");
        assert_eq!(text, "event: live\ndata: [\"a\\nb\"]\n\nevent: live\ndata: [1]\n\n");
    }
}
