//! One of something for each core, so that threads which run side by side do
//! not write to the same cache lines.
//!
//! A line that two cores write to in turn costs each of them about as much as
//! a system call. What every invocation writes to is therefore kept once per
//! core, and put together only by those who ask for the whole, which is rare.
//!
//! A thread may be moved to another core at any moment, so that none is ever
//! alone with its core's own: that is quick to get at, and no more.

use std::sync::LazyLock;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu};

/// One `T` for each core.
#[derive(Debug)]
pub(crate) struct PerCore<T>(Box<[Line<T>]>);

/// Alone on its cache lines; processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct Line<T>(T);

/// A place for each of the cores that the process may use, by their numbers.
static PLACES: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let all = thread::available_parallelism().map_or(1, usize::from);
    let Ok(allowed) = sched_getaffinity(None) else { return (0..all).collect() };
    let mut next = 0..;
    let place = |core| if allowed.is_set(core) { next.next().unwrap_or(0) } else { 0 };
    (0..CpuSet::MAX_CPU).map(place).collect()
});

impl<T> PerCore<T> {
    /// As many as the process may use cores, each made from its number and how
    /// many there are.
    pub(crate) fn new(make: impl Fn(usize, usize) -> T) -> Self {
        let cores = PLACES.iter().max().map_or(1, |last| last + 1);
        Self((0..cores).map(|core| Line(make(core, cores))).collect())
    }

    /// All of them, this core's own first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let own = PLACES.get(sched_getcpu()).copied().unwrap_or(0);
        let (before, own) = self.0.split_at_checked(own).unwrap_or((&[], &self.0));
        own.iter().chain(before).map(|line| &line.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_seen_from_every_core() {
        let numbers = PerCore::new(|core, _| core);
        let cores = numbers.0.len();
        for _ in 0..1_000 {
            let mut seen: Vec<_> = numbers.iter().copied().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..cores).collect::<Vec<_>>());
            thread::yield_now();
        }
    }
}
