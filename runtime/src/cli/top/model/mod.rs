//! What is known of the host. It changes with events alone, and holds a bounded
//! part of what they contain.
//!
//! # Layout
//! - [`load`]: rates and run times, from the overviews.
//! - [`live`]: the invocations in flight, as a tree.
//! - [`requests`]: requests that have ended.

pub(in super::super) mod live;
pub(in super::super) mod load;
pub(in super::super) mod requests;

use std::time::Instant;

use self::live::Live;
use self::load::Load;
use self::requests::Requests;
use crate::http::admin::client::events::Event;

/// What is known of the host.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Why the host sends no events now.
    pub(super) disconnected: Option<String>,
    pub(super) load: Load,
    pub(super) live: Live,
    pub(super) requests: Requests,
}

impl Model {
    /// Handles an event that arrived at a time.
    pub(super) fn apply(&mut self, event: Event, at: Instant) {
        match event {
            Event::Overview(overview) => self.load.apply(overview),
            Event::Live(changes) => self.live.apply(changes, at),
            Event::Recorded(requests) => self.requests.add(requests),
        }
    }

    /// A new stream of events begins, perhaps of a host that has restarted.
    pub(super) fn connect(&mut self) {
        *self = Self::default();
    }

    /// The stream has ended. What was known stays visible.
    pub(super) fn disconnect(&mut self, reason: String) {
        self.disconnected = Some(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::client::answers::{Changes, Invocation};

    #[test]
    fn a_new_stream_starts_from_nothing() {
        let (mut model, now) = (Model::default(), Instant::now());
        let started = vec![Invocation { id: 1, ..Invocation::default() }];
        model.apply(Event::Live(Changes { started, ..Changes::default() }), now);
        model.disconnect("gone".to_owned());
        assert_eq!((model.live.len(), model.disconnected.is_some()), (1, true));
        model.connect();
        assert_eq!((model.live.len(), model.disconnected), (0, None));
    }
}
