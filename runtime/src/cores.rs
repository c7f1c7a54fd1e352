//! One value per core, so that threads that run in parallel do not write to the
//! same cache lines (false sharing).
//!
//! A cache line that two cores write to in turn costs each of them about as
//! much as a system call. Values that every invocation writes to are therefore
//! kept once per core and summed only when the total is needed, which is rare.
//!
//! A thread may be moved to another core at any moment, so it never has
//! exclusive access to its core's value. The value is only cheap to reach.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use std::{fs, io, thread};

use rustix::process::getpid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu};

/// One `T` for each core.
#[derive(Debug)]
pub(crate) struct PerCore<T>(Box<[CacheLine<T>]>);

/// Has its cache lines to itself; processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct CacheLine<T>(T);

/// The numbers of the cores that the process may use. They are those of its
/// first thread, because the calling thread may have been pinned to one core.
static ALLOWED: LazyLock<Vec<usize>> = LazyLock::new(|| match sched_getaffinity(Some(getpid())) {
    Ok(allowed) => (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect(),
    Err(_) => (0..count()).collect(),
});

/// The index of each core in [`ALLOWED`], by the core's number.
static PLACES: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let place = |core| ALLOWED.iter().position(|&allowed| allowed == core).unwrap_or(0);
    (0..=ALLOWED.last().copied().unwrap_or(0)).map(place).collect()
});

/// The processor time that the process may use, in cores.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Pins this thread to one core if it is one of as many threads as there are
/// cores, and returns whether it did. It does not if the process may use many
/// cores but only a little time of each: its neighbours would pick the same
/// ones.
#[cfg(feature = "server")]
pub(crate) fn stay(thread: usize, threads: usize) -> bool {
    if threads != ALLOWED.len() || threads != count() {
        return false;
    }
    let Some(&core) = ALLOWED.get(thread) else { return false };
    let mut only = CpuSet::new();
    only.set(core);
    rustix::thread::sched_setaffinity(None, &only).is_ok()
}

/// Fails if the system does not give the process this number of threads. The
/// threads end before this returns, so success is no guarantee for later
/// threads.
pub(crate) fn try_threads(count: usize) -> io::Result<()> {
    let (before, gate) = (threads(), Mutex::new(()));
    let started = thread::scope(|scope| {
        let held = gate.lock();
        let started = (0..count).try_for_each(|_| {
            thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop)
        });
        // The scope waits for the threads.
        drop(held);
        started
    });
    // A joined thread still counts for a moment, and would take the place of
    // the next one.
    for _ in 0..1_000 {
        if threads() <= before {
            break;
        }
        thread::sleep(Duration::from_micros(100));
    }
    started
}

/// The number of threads of the process.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

impl<T> PerCore<T> {
    /// Makes one value for each core that the process may use, from the core's
    /// index and the number of cores.
    pub(crate) fn new(make: impl Fn(usize, usize) -> T) -> Self {
        let cores = ALLOWED.len().max(1);
        Self((0..cores).map(|core| CacheLine(make(core, cores))).collect())
    }

    /// The value of the current core.
    pub(crate) fn own(&self) -> Option<&T> {
        self.iter().next()
    }

    /// The value of the current core. The same as [`own`](Self::own): there is a
    /// value for at least one core.
    #[cfg(feature = "server")]
    pub(crate) fn here(&self) -> &T {
        let here = PLACES.get(sched_getcpu()).copied().unwrap_or(0);
        &self.0[here.min(self.0.len() - 1)].0
    }

    /// All values, in the same order on every core.
    #[cfg(feature = "server")]
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }

    /// All values, starting with that of the current core.
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
    fn a_thread_stays_only_where_it_has_a_core_to_itself() {
        let stays = |thread, threads| thread::spawn(move || stay(thread, threads)).join();
        assert!(!stays(0, count() + 1).expect("no panic"));
        assert!(!stays(count(), count()).expect("no panic"));
    }

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
