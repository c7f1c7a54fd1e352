//! The fetches that a guest has begun and not let go of, by their handles.

use std::task::{Context as TaskContext, Poll};

use slab::Slab;

use crate::guest::Misuse;
use crate::outbound::Fetch;

/// What a fetch's handle has and a call's has not, so that one list may have
/// both.
const MARK: u32 = 1 << 30;

/// How many fetches may have handles at once, also those that were refused and
/// those that are over: each holds a response's head.
const MOST: usize = hourglass_abi::limit::FETCHES;

/// The fetches of one invocation.
#[derive(Default)]
pub(crate) struct Fetches {
    open: Slab<Fetch>,
    /// How many there were in all.
    pub(crate) made: u32,
}

/// Whether a handle is a fetch's.
pub(crate) fn is_one(handle: u32) -> bool {
    handle & MARK != 0
}

impl Fetches {
    /// Gives a fetch a handle.
    ///
    /// # Errors
    /// There are too many that were not given back.
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
    /// There is none.
    pub(crate) fn get(&mut self, handle: u32) -> Result<&mut Fetch, Misuse> {
        let place = place(handle);
        place.and_then(|at| self.open.get_mut(at)).ok_or_else(|| Misuse::unknown("fetch", handle))
    }

    /// Takes a handle back, which ends what is left of the fetch.
    pub(crate) fn remove(&mut self, handle: u32) {
        place(handle).and_then(|at| self.open.try_remove(at));
    }

    /// Whether the fetch of a handle has its response's head, or failed.
    pub(crate) fn poll(&mut self, handle: u32, cx: &mut TaskContext<'_>) -> Poll<()> {
        match place(handle).and_then(|at| self.open.get_mut(at)) {
            Some(fetch) => fetch.poll_head(cx),
            None => Poll::Pending,
        }
    }

    /// How many are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.open.iter().filter(|(_, fetch)| fetch.is_under_way()).count()
    }

    /// Ends them all, since their invocation has.
    pub(crate) fn leave(&mut self) {
        self.open.drain().for_each(Fetch::leave);
    }
}

/// Where the fetch of a handle is.
fn place(handle: u32) -> Option<usize> {
    is_one(handle).then_some((handle & !MARK) as usize)
}
