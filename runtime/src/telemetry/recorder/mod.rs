//! Recent requests, kept for operators: each with the spans and the log lines
//! of everything that it started.
//!
//! # What is kept
//! Failed requests always. While an operator watches, also those that are among
//! the slowest, and up to [`BUDGET`] others for each reading, so that a busy
//! host spends its time on requests. The recorder is off until something asks
//! for it, and then costs a request that succeeds unwatched one load, unless it
//! calls, fetches or logs.
//!
//! # Bounds
//! [`FAILED`], [`RECENT`] and [`SLOWEST`] recordings. For the size of one see
//! [`buffer`].
//!
//! # Layout
//! - [`span`]: one step of a request; [`buffer`]: the steps of one request, while
//!   it runs; [`recording`]: a request that has ended.

mod buffer;
mod recording;
mod span;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use self::buffer::{Kept, Recorded, SpanBuffer, SpanParent, SpanRecorder};
pub(crate) use self::recording::{Recording, RequestSpan};
pub(crate) use self::span::{LogLine, Span, SpanDone, SpanKind};
use crate::sync::lock;

/// The most recordings of each list.
pub(crate) const RECENT: usize = 256;
pub(crate) const FAILED: usize = 128;
pub(crate) const SLOWEST: usize = 64;

/// The most requests that are kept between two readings although they are
/// neither failed nor slow.
pub(crate) const BUDGET: usize = 256;

/// The recordings of a runtime.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    is_on: AtomicBool,
    watchers: AtomicUsize,
    /// How many more requests are kept until the next reading.
    budget: AtomicUsize,
    /// The shortest duration of the slowest requests, in nanoseconds, once their
    /// list is full.
    slow: AtomicU64,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    /// The number of the next recording.
    next: u64,
    /// The newest last.
    recent: VecDeque<Numbered>,
    failed: VecDeque<Numbered>,
    /// The slowest first.
    slowest: Vec<Numbered>,
}

/// A recording, and its place in the order of all recordings.
type Numbered = (u64, Arc<Recording>);

/// Which recordings are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// The newest first.
    Recent,
    /// The slowest first.
    Slowest,
    /// The newest first.
    Failed,
}

/// Makes the recorder keep requests that succeed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch<'a>(&'a Recorder);

impl Recorder {
    /// Starts to keep failed requests.
    pub(crate) fn turn_on(&self) {
        self.is_on.store(true, Relaxed);
    }

    /// Keeps requests that succeed until the result is dropped. Call
    /// [`since`](Self::since) at intervals.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.watchers.fetch_add(1, Relaxed);
        self.budget.store(BUDGET, Relaxed);
        Watch(self)
    }

    /// Decides what is kept of a request that begins.
    pub(super) fn decide(&self) -> Recorded {
        if !self.is_on.load(Relaxed) {
            return Recorded::Nothing;
        }
        if self.watchers.load(Relaxed) == 0 {
            return Recorded::Failures;
        }
        // Once it is used up, nothing is written to the shared line.
        let is_left = self.budget.load(Relaxed) > 0
            && self.budget.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if is_left {
            Recorded::All
        } else {
            Recorded::Slow(Duration::from_nanos(self.slow.load(Relaxed)))
        }
    }

    /// Keeps a request that has ended.
    pub(crate) fn keep(&self, recording: Arc<Recording>) {
        let mut kept = lock(&self.lists);
        let number = kept.next;
        kept.next += 1;
        let numbered = (number, recording);
        if numbered.1.is_failed() {
            push(&mut kept.failed, FAILED, &numbered);
        }
        push(&mut kept.recent, RECENT, &numbered);
        let slowest = &mut kept.slowest;
        let duration = numbered.1.root.duration();
        let place = slowest.partition_point(|(_, other)| other.root.duration() >= duration);
        if place < SLOWEST {
            slowest.insert(place, numbered);
            slowest.truncate(SLOWEST);
        }
        if let Some((_, last)) = slowest.get(SLOWEST - 1) {
            let nanos = u64::try_from(last.root.duration().as_nanos());
            self.slow.store(nanos.unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// The recordings of a list that fit, at most `most`.
    pub(crate) fn list(
        &self,
        list: List,
        most: usize,
        fits: impl Fn(&Recording) -> bool,
    ) -> Vec<Arc<Recording>> {
        let kept = lock(&self.lists);
        let all: &mut dyn Iterator<Item = &Numbered> = match list {
            List::Recent => &mut kept.recent.iter().rev(),
            List::Failed => &mut kept.failed.iter().rev(),
            List::Slowest => &mut kept.slowest.iter(),
        };
        let recordings = all.map(|(_, recording)| recording);
        recordings.filter(|recording| fits(recording)).take(most).cloned().collect()
    }

    /// The newest of the recordings with at least this number, at most `most`,
    /// oldest first; and the number after the last. Renews the budget.
    pub(crate) fn since(&self, number: u64, most: usize) -> (Vec<Arc<Recording>>, u64) {
        self.budget.store(BUDGET, Relaxed);
        let kept = lock(&self.lists);
        let newer = kept.recent.iter().rev().take_while(|(own, _)| *own >= number);
        let mut newer: Vec<_> = newer.take(most).map(|(_, recording)| recording.clone()).collect();
        newer.reverse();
        (newer, kept.next)
    }

    /// The recording of the request whose root has this id.
    pub(crate) fn find(&self, id: u64) -> Option<Arc<Recording>> {
        let kept = lock(&self.lists);
        let mut all = kept.recent.iter().chain(&kept.failed).chain(&kept.slowest);
        all.find(|(_, recording)| recording.root.id == Some(id)).map(|(_, kept)| kept.clone())
    }
}

fn push(list: &mut VecDeque<Numbered>, most: usize, numbered: &Numbered) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(numbered.clone());
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn recording(id: u64, millis: u64, outcome: &'static str) -> Arc<Recording> {
        let started = Instant::now();
        let ended = started + Duration::from_millis(millis);
        Recording::new(Span::example(id, started, ended, outcome), None).into()
    }

    fn ids(recordings: &[Arc<Recording>]) -> Vec<u64> {
        recordings.iter().filter_map(|recording| recording.root.id).collect()
    }

    #[test]
    fn each_list_is_bounded_and_in_order() {
        let recorder = Recorder::default();
        for id in 0..1_000 {
            // Every third one fails; those in the middle are the slowest.
            let outcome = if id % 3 == 0 { "trap" } else { "response" };
            recorder.keep(recording(id, 500 - id.abs_diff(500), outcome));
        }
        let list = |list| ids(&recorder.list(list, usize::MAX, |_| true));
        let recent: Vec<_> = (0..1_000).rev().take(RECENT).collect();
        assert_eq!(list(List::Recent), recent);
        let failed: Vec<_> = (0..1_000).rev().filter(|id| id % 3 == 0).take(FAILED).collect();
        assert_eq!(list(List::Failed), failed);
        let slowest = list(List::Slowest);
        assert_eq!((slowest.len(), slowest[0]), (SLOWEST, 500));
        assert!(slowest.iter().all(|id| id.abs_diff(500) <= 32), "{slowest:?}");
        assert!(recorder.find(999).is_some() && recorder.find(500).is_some());
        assert!(recorder.find(0).is_none());
    }

    #[test]
    fn a_reader_gets_each_recording_once() {
        let recorder = Recorder::default();
        recorder.keep(recording(1, 1, "response"));
        let (first, next) = recorder.since(0, 10);
        assert_eq!((ids(&first), recorder.since(next, 10).0.len()), (vec![1], 0));
        (2..5).for_each(|id| recorder.keep(recording(id, 1, "response")));
        let (second, next) = recorder.since(next, 2);
        assert_eq!((ids(&second), recorder.since(next, 2).0.len()), (vec![3, 4], 0));
    }

    #[test]
    fn unwatched_requests_are_recorded_only_if_it_is_on() {
        let recorder = Recorder::default();
        assert_eq!(recorder.decide(), Recorded::Nothing);
        recorder.turn_on();
        assert_eq!(recorder.decide(), Recorded::Failures);
        let watch = recorder.watch();
        assert_eq!(recorder.decide(), Recorded::All);
        (1..BUDGET).for_each(|_| assert_eq!(recorder.decide(), Recorded::All));
        // The list of the slowest is not full, so all are slow.
        assert_eq!(recorder.decide(), Recorded::Slow(Duration::ZERO));
        (0..SLOWEST as u64).for_each(|id| recorder.keep(recording(id, 5 + id, "response")));
        let slow = Recorded::Slow(Duration::from_millis(5));
        assert_eq!(recorder.decide(), slow);
        recorder.since(u64::MAX, 0);
        assert_eq!(recorder.decide(), Recorded::All);
        drop(watch);
        assert_eq!(recorder.decide(), Recorded::Failures);
    }
}
