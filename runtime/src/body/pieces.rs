//! A stream of pieces from another task.
//!
//! The channel of `http-body-util` 0.1.5 looks for pieces first and then whether its
//! sender is gone. A sender that writes its last pieces and is dropped between the
//! two loses them, and the body ends as if it were whole. Here both are one channel.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

/// A body whose pieces come from a sender. It ends once the sender was dropped and
/// every piece was read.
pub(crate) struct Pieces(mpsc::Receiver<Bytes>);

impl Pieces {
    /// At most `ahead` pieces wait to be read; then the sender waits.
    pub(crate) fn new(ahead: usize) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(ahead);
        (sender, Self(receiver))
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| Some(Ok(Frame::data(piece?))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::task::Waker;
    use std::{hint, thread};

    use super::*;

    const ROUNDS: usize = 20_000;

    /// Reads a body on a thread that never waits, so that it looks at any moment.
    fn read(mut pieces: Pieces) -> Vec<u8> {
        let (mut all, mut cx) = (Vec::new(), TaskContext::from_waker(Waker::noop()));
        loop {
            match Pin::new(&mut pieces).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => all.extend(frame.into_data().expect("data")),
                Poll::Ready(None) => return all,
                Poll::Pending => hint::spin_loop(),
            }
        }
    }

    #[test]
    fn the_last_piece_of_a_sender_arrives() {
        let (start, started) = sync_channel::<mpsc::Sender<Bytes>>(0);
        let sending = thread::spawn(move || {
            for sender in started {
                sender.try_send(Bytes::from_static(b"last")).expect("there is room");
            }
        });
        for round in 0..ROUNDS {
            let (sender, pieces) = Pieces::new(1);
            start.send(sender).expect("the thread runs");
            assert_eq!(read(pieces), b"last", "round {round}");
        }
        drop(start);
        sending.join().expect("it does not panic");
    }
}
