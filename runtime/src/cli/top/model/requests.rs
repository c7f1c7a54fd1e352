//! Requests that have ended.

use std::sync::Arc;

use crate::http::admin::client::answers::Summary;

/// The most requests of a list. The host sends no more at once.
const MOST: usize = 200;

/// The lists of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    lists: [Vec<Arc<Summary>>; 3],
}

/// One list of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Recent,
    Slowest,
    Failed,
}

/// Identifies a request: by its id, or by its start if it was refused.
pub(crate) type RequestKey = (Option<u64>, u64);

impl List {
    /// Its name in a URL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Slowest => "slowest",
            Self::Failed => "failed",
        }
    }
}

impl Requests {
    /// A list in its order: newest first, or slowest first.
    pub(crate) fn list(&self, list: List) -> &[Arc<Summary>] {
        &self.lists[list as usize]
    }

    /// Adds requests that have just ended, newest last.
    pub(crate) fn add(&mut self, requests: Vec<Summary>) {
        for request in requests.into_iter().map(Arc::new) {
            if request.is_failed {
                self.insert(List::Failed, 0, &request);
            }
            let is_slower = |other: &Arc<Summary>| other.duration_us >= request.duration_us;
            let place = self.list(List::Slowest).partition_point(is_slower);
            self.insert(List::Slowest, place, &request);
            self.insert(List::Recent, 0, &request);
        }
    }

    /// Replaces a list by that of the host.
    pub(crate) fn replace(&mut self, list: List, mut requests: Vec<Summary>) {
        requests.truncate(MOST);
        self.lists[list as usize] = requests.into_iter().map(Arc::new).collect();
    }

    fn insert(&mut self, list: List, place: usize, request: &Arc<Summary>) {
        let list = &mut self.lists[list as usize];
        // The list of the host may have contained it already.
        if place < MOST && !list.iter().any(|other| key(other) == key(request)) {
            list.insert(place, request.clone());
            list.truncate(MOST);
        }
    }
}

pub(crate) fn key(request: &Summary) -> RequestKey {
    (request.id, request.started.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u64, duration_us: f64, outcome: &str) -> Summary {
        let is_failed = outcome != "response";
        let outcome = outcome.into();
        Summary { id: Some(id), duration_us, outcome, is_failed, ..Summary::default() }
    }

    fn ids(requests: &Requests, list: List) -> Vec<u64> {
        requests.list(list).iter().filter_map(|request| request.id).collect()
    }

    #[test]
    fn each_list_has_its_order() {
        let mut requests = Requests::default();
        requests.add(vec![
            request(1, 5.0, "trap"),
            request(2, 9.0, "response"),
            request(3, 5.0, "exit"),
        ]);
        assert_eq!(ids(&requests, List::Recent), [3, 2, 1]);
        assert_eq!(ids(&requests, List::Slowest), [2, 1, 3]);
        assert_eq!(ids(&requests, List::Failed), [3, 1]);
        // Something that it started has failed.
        let below = Summary { is_failed: true, ..request(4, 1.0, "response") };
        requests.add(vec![below]);
        assert_eq!(ids(&requests, List::Failed), [4, 3, 1]);
    }

    #[test]
    fn a_request_is_in_a_list_once() {
        let mut requests = Requests::default();
        requests
            .replace(List::Recent, vec![request(2, 1.0, "response"), request(1, 1.0, "response")]);
        requests.add(vec![request(2, 1.0, "response"), request(3, 1.0, "response")]);
        assert_eq!(ids(&requests, List::Recent), [3, 2, 1]);
    }

    #[test]
    fn lists_are_bounded() {
        let mut requests = Requests::default();
        requests.add((0..1_000).map(|id| request(id, id as f64, "trap")).collect());
        requests.replace(List::Failed, (0..1_000).map(|id| request(id, 1.0, "trap")).collect());
        for list in [List::Recent, List::Slowest, List::Failed] {
            assert_eq!(requests.list(list).len(), MOST);
        }
        assert_eq!(ids(&requests, List::Slowest)[0], 999);
    }
}
