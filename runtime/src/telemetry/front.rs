//! The counters of the HTTP front.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[cfg(feature = "server")]
use super::counters::increment;
use crate::cores::PerCore;

/// The classes of statuses, by their first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counters of the HTTP front.
#[derive(Debug)]
pub(crate) struct FrontCounters(PerCore<CoreFront>);

/// What one core counts.
#[derive(Debug, Default)]
struct CoreFront {
    opened: AtomicU64,
    closed: AtomicU64,
    responses: [AtomicU64; CLASSES.len()],
}

/// An open connection.
#[cfg(feature = "server")]
pub(crate) struct OpenConnection<'a>(&'a FrontCounters);

impl FrontCounters {
    pub(super) fn new() -> Self {
        Self(PerCore::new(|_, _| CoreFront::default()))
    }

    /// Counts a connection, which is open until the guard is dropped.
    #[cfg(feature = "server")]
    pub(crate) fn connected(&self) -> OpenConnection<'_> {
        if let Some(core) = self.0.own() {
            core.opened.fetch_add(1, Relaxed);
        }
        OpenConnection(self)
    }

    /// Counts a response to a client.
    #[cfg(feature = "server")]
    pub(crate) fn responded(&self, status: u16) {
        if let Some(core) = self.0.own() {
            increment(&core.responses, usize::from(status / 100).wrapping_sub(1));
        }
    }

    pub(super) fn opened(&self) -> u64 {
        self.0.iter().map(|core| core.opened.load(Relaxed)).sum()
    }

    pub(super) fn open(&self) -> u64 {
        // Read first: a connection is closed after it is opened.
        let closed: u64 = self.0.iter().map(|core| core.closed.load(Relaxed)).sum();
        self.opened().saturating_sub(closed)
    }

    /// The classes of statuses that occurred, with their counts.
    pub(super) fn responses(&self) -> Vec<(&'static str, u64)> {
        let count = |index: usize| {
            let counters = self.0.iter().filter_map(move |core| core.responses.get(index));
            counters.map(|count| count.load(Relaxed)).sum()
        };
        let classes = CLASSES.iter().enumerate().map(|(index, class)| (*class, count(index)));
        classes.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(feature = "server")]
impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        if let Some(core) = self.0.0.own() {
            core.closed.fetch_add(1, Relaxed);
        }
    }
}
