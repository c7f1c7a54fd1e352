//! The handle table of a guest's fetches.

use std::task::{Context as TaskContext, Poll};

use slab::Slab;

use crate::guest::Misuse;
use crate::outbound::Fetch;

/// The bit that marks the handle of a fetch. Handles of calls never have it, so
/// one list may contain both.
const MARK: u32 = 1 << 30;

/// The most fetches with a handle at once, including refused and finished ones:
/// each holds a response's head.
const MOST: usize = hourglass_abi::limit::FETCHES;

/// The fetches of one invocation.
#[derive(Default)]
pub(crate) struct Fetches {
    open: Slab<Fetch>,
    /// How many were made in all.
    pub(crate) made: u32,
}

/// Whether a handle belongs to a fetch.
pub(crate) fn is_one(handle: u32) -> bool {
    handle & MARK != 0
}

impl Fetches {
    /// Gives a fetch a handle.
    ///
    /// # Errors
    /// Too many handles were not released.
    pub(crate) fn add(&mut self, fetch: Fetch) -> Result<i32, Misuse> {
        if self.open.len() >= MOST {
            return Err(Misuse(format!("it has {MOST} fetches open, which is the most")));
        }
        let place = self.open.insert(fetch) as u32 | MARK;
        Ok(place.cast_signed())
    }

    /// The fetch of a handle.
    ///
    /// # Errors
    /// The handle is not known.
    pub(crate) fn get(&mut self, handle: u32) -> Result<&mut Fetch, Misuse> {
        let place = place(handle);
        place.and_then(|at| self.open.get_mut(at)).ok_or_else(|| Misuse::unknown("fetch", handle))
    }

    /// Releases a handle. A fetch that is still under way ends.
    pub(crate) fn remove(&mut self, handle: u32) {
        place(handle).and_then(|at| self.open.try_remove(at));
    }

    /// Whether the fetch of a handle has its response's head, or has failed.
    pub(crate) fn poll(&mut self, handle: u32, cx: &mut TaskContext<'_>) -> Poll<()> {
        match place(handle).and_then(|at| self.open.get_mut(at)) {
            Some(fetch) => fetch.poll_head(cx),
            None => Poll::Pending,
        }
    }

    /// The number of fetches under way.
    pub(crate) fn under_way(&self) -> usize {
        self.open.iter().filter(|(_, fetch)| fetch.is_under_way()).count()
    }

    /// Ends all fetches at the end of their invocation.
    pub(crate) fn leave(&mut self) {
        self.open.drain().for_each(Fetch::leave);
    }
}

/// The index of a handle's fetch.
fn place(handle: u32) -> Option<usize> {
    is_one(handle).then_some((handle & !MARK) as usize)
}
