//! A guest's fetches.

use super::handles::{HandleTable, Resource};
use crate::outbound::Fetch;

impl Resource for Fetch {
    const NAME: &'static str = "fetch";
    /// Calls never have such a handle, so one list may contain both.
    const FIRST: u32 = 1 << 30;
    /// Refused and finished ones count: each holds a response's head.
    const MAX: usize = hourglass_abi::limit::FETCHES;
}

/// Whether a handle belongs to a fetch.
pub(crate) fn is_fetch(handle: u32) -> bool {
    handle & Fetch::FIRST != 0
}

/// The fetches of one invocation.
#[derive(Default)]
pub(crate) struct Fetches {
    pub(crate) open: HandleTable<Fetch>,
    /// How many were made in all.
    pub(crate) made: u32,
}

impl Fetches {
    /// The number of fetches under way.
    pub(crate) fn under_way(&self) -> usize {
        self.open.iter().filter(|fetch| fetch.is_under_way()).count()
    }

    /// Ends all fetches at the end of their invocation.
    pub(crate) fn cancel_all(&mut self) {
        self.open.drain().for_each(Fetch::cancel);
    }
}
