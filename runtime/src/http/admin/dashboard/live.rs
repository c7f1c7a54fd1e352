//! The invocations in flight, as changes since the last reading.

use std::collections::HashMap;

use serde::Serialize;

use super::time::Clock;
use crate::runtime::Runtime;
use crate::runtime::listing::InvocationInfo;

/// The most invocations that are sent to a reader.
const MAX: usize = 10_000;

/// What a reader knows of the invocations in flight.
#[derive(Debug, Default)]
pub(super) struct LiveReader {
    known: HashMap<u64, Known>,
    is_begun: bool,
}

/// An invocation that the reader knows.
#[derive(Debug)]
struct Known {
    deadline: Option<f64>,
    is_done: bool,
    /// The reading that last saw it.
    is_seen: bool,
}

/// The changes since the last reading.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    now: f64,
    started: Vec<Invocation>,
    /// Those whose context is done now.
    changed: Vec<Invocation>,
    ended: Vec<u64>,
    /// The number of invocations in flight that exceed the limit.
    left_out: usize,
}

/// An invocation in flight.
#[derive(Debug, Serialize)]
struct Invocation {
    id: u64,
    parent: Option<u64>,
    function: String,
    request_id: Option<String>,
    started: f64,
    deadline: Option<f64>,
    done: Option<&'static str>,
    cause: Option<&'static str>,
}

impl LiveReader {
    /// The changes since the last reading, if there are any. The first reading
    /// always has a result.
    pub(super) fn read(&mut self, runtime: &Runtime) -> Option<Changes> {
        self.compare(runtime.invocations(), Clock::now())
    }

    fn compare(&mut self, invocations: Vec<InvocationInfo>, clock: Clock) -> Option<Changes> {
        let (now, mut left_out) = (clock.unix_ms(), 0);
        let (mut started, mut changed, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = self.known.len();
        for info in invocations {
            let is_done = info.done.is_some();
            let deadline = info.remaining.map(|remaining| clock.after(remaining));
            match self.known.get_mut(&info.id) {
                Some(known) => {
                    known.is_seen = true;
                    if is_done && !known.is_done {
                        known.is_done = true;
                        changed.push(Invocation::new(info, &clock, known.deadline));
                    }
                }
                None if count >= MAX => left_out += 1,
                None => {
                    count += 1;
                    self.known.insert(info.id, Known { deadline, is_done, is_seen: true });
                    started.push(Invocation::new(info, &clock, deadline));
                }
            }
        }
        self.known.retain(|id, known| {
            let is_live = std::mem::take(&mut known.is_seen);
            if !is_live {
                ended.push(*id);
            }
            is_live
        });
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        let is_empty = started.is_empty() && changed.is_empty() && ended.is_empty();
        (is_first || !is_empty).then_some(Changes { now, started, changed, ended, left_out })
    }
}

impl Invocation {
    fn new(info: InvocationInfo, clock: &Clock, deadline: Option<f64>) -> Self {
        let (done, cause) = info.done.unzip();
        Self {
            id: info.id,
            parent: info.parent,
            function: info.function.to_string(),
            request_id: info.request_id,
            started: clock.before(info.age),
            deadline,
            done: done.map(|done| done.name()),
            cause: cause.map(|cause| cause.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::{Cause, Done};

    fn info(id: u64, done: bool) -> InvocationInfo {
        InvocationInfo {
            id,
            function: "f".into(),
            parent: None,
            request_id: None,
            age: Duration::ZERO,
            remaining: Some(Duration::from_secs(if done { 0 } else { 1 })),
            done: done.then_some((Done::DeadlineExceeded, Cause::DeadlineExceeded)),
        }
    }

    #[test]
    fn a_reader_is_told_of_each_change_once() {
        let (mut reader, clock) = (LiveReader::default(), Clock::now());
        let mut read = |list: &[(u64, bool)]| {
            let list = list.iter().map(|(id, done)| info(*id, *done)).collect();
            reader.compare(list, clock).map(|changes| {
                let ids = |list: &[Invocation]| list.iter().map(|one| one.id).collect::<Vec<_>>();
                let deadline = changes.changed.first().and_then(|one| one.deadline);
                (ids(&changes.started), ids(&changes.changed), changes.ended, deadline)
            })
        };
        assert_eq!(read(&[]), Some((vec![], vec![], vec![], None)));
        assert_eq!(read(&[(1, false), (2, false)]), Some((vec![1, 2], vec![], vec![], None)));
        assert_eq!(read(&[(1, false), (2, false)]), None);
        // It keeps the deadline that it had while it was not done.
        let deadline = Some(clock.after(Duration::from_secs(1)));
        assert_eq!(read(&[(1, true), (2, false)]), Some((vec![], vec![1], vec![], deadline)));
        assert_eq!(read(&[(1, true), (2, false)]), None);
        assert_eq!(read(&[(2, false)]), Some((vec![], vec![], vec![1], None)));
    }

    #[test]
    fn a_reader_is_told_of_a_bounded_number() {
        let mut reader = LiveReader::default();
        let list = (0..MAX as u64 + 5).map(|id| info(id, false)).collect();
        let changes = reader.compare(list, Clock::now()).expect("changes");
        assert_eq!((changes.started.len(), changes.left_out), (MAX, 5));
    }
}
