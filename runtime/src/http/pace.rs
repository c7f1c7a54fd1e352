//! How slow a client may be, with a request's body or with taking a response.
//!
//! Only the time in which a client is waited for counts. A function that does
//! not read, or does not write, costs its client nothing.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::message::BodyError;

/// The bounds of what a client may take its time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// How long a client may neither send nor take a byte that is waited for.
    pub(super) idle: Duration,
    /// The fewest bytes a second on the whole; 0 is no bound.
    pub(super) rate: u64,
}

/// One client's account.
///
/// It begins with a credit of the idle time, and every byte adds the time that
/// it may take at the lowest rate; the time in which the client is waited for is
/// what it spends. So a slow start is nothing to fear, and neither is a pause.
#[derive(Debug)]
pub(super) struct Pace {
    patience: Patience,
    bytes: u64,
    waited: Duration,
    /// Since when the client is waited for, while it is.
    since: Option<Instant>,
    /// When it is given up. Kept from wait to wait: to set a timer anew costs
    /// less than to make one.
    late: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, bytes: 0, waited: Duration::ZERO, since: None, late: None }
    }

    /// So many bytes have come through.
    pub(super) fn came(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }

    /// Nothing has come through; ready when it has not for too long.
    pub(super) fn poll_late(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            // Where the clock can't tell such a moment, nobody lives to see it.
            let at = now.checked_add(self.left()).unwrap_or(now + Duration::from_secs(1 << 30));
            match &mut self.late {
                Some(late) => late.as_mut().reset(at),
                None => self.late = Some(Box::pin(tokio::time::sleep_until(at))),
            }
        }
        match &mut self.late {
            Some(late) => late.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// How much longer it is waited for.
    fn left(&self) -> Duration {
        let Patience { idle, rate } = self.patience;
        match self.bytes.checked_div(rate) {
            None => idle,
            Some(bought) => {
                let credit = idle.saturating_add(Duration::from_secs(bought));
                credit.saturating_sub(self.waited).min(idle)
            }
        }
    }
}

/// A request's body, as long as its client goes on with it.
pub(super) struct Paced {
    incoming: Incoming,
    pace: Pace,
}

impl Paced {
    pub(super) fn new(incoming: Incoming, patience: Patience) -> Self {
        Self { incoming, pace: Pace::new(patience) }
    }
}

/// A client stopped in the middle of a body.
#[derive(Debug)]
struct Stopped(Patience);

impl std::error::Error for Stopped {}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Patience { idle, rate } = self.0;
        write!(f, "the client stopped sending: not a byte for {idle:?}")?;
        if rate > 0 {
            write!(f, ", or fewer than {rate} bytes a second on the whole")?;
        }
        Ok(())
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { incoming, pace } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                pace.came(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(pace.poll_late(cx));
        Poll::Ready(Some(Err(Stopped(pace.patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    /// Whether a client that sends so many bytes after each so long is given up
    /// before it has done so often.
    async fn is_late(rate: u64, (bytes, each): (usize, Duration), times: u32) -> bool {
        let mut pace = Pace::new(Patience { idle: IDLE, rate });
        for _ in 0..times {
            let late = poll_fn(|cx| pace.poll_late(cx));
            if tokio::time::timeout(each, late).await.is_ok() {
                return true;
            }
            pace.came(bytes);
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_allowed_and_a_halt_is_not() {
        assert!(!is_late(0, (1, IDLE - Duration::from_secs(1)), 100).await);
        assert!(is_late(0, (1, IDLE + Duration::from_secs(1)), 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_drips_is_given_up_where_there_is_a_rate() {
        let second = Duration::from_secs(1);
        assert!(!is_late(0, (1, second), 1_000).await);
        assert!(!is_late(10, (10, second), 1_000).await);
        assert!(!is_late(10, (1, second), 9).await, "a slow start is nothing to fear");
        assert!(is_late(10, (9, second), 1_000).await);
        assert!(is_late(10, (1, second), 12).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_waited_for_is_not_late() {
        let mut pace = Pace::new(Patience { idle: IDLE, rate: 10 });
        for _ in 0..100 {
            pace.came(1);
            tokio::time::sleep(IDLE).await;
        }
        let late = poll_fn(|cx| pace.poll_late(cx));
        assert!(tokio::time::timeout(IDLE - Duration::from_secs(1), late).await.is_err());
    }
}
