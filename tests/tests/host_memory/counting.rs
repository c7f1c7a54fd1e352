//! An allocator that counts the allocated bytes of the process, and their peak.
#![allow(unsafe_code, reason = "an allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use tokio::sync::{Mutex, MutexGuard};

#[global_allocator]
static COUNTING: Counting = Counting;

static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static TURN: Mutex<()> = Mutex::const_new(());

struct Counting;

/// The growth of the heap since a start. Only one exists at a time.
pub(crate) struct Growth {
    before: i64,
    _turn: MutexGuard<'static, ()>,
}

impl Growth {
    /// Starts to count, after other tests have finished.
    pub(crate) async fn count() -> Self {
        let turn = TURN.lock().await;
        let mut growth = Self { before: 0, _turn: turn };
        growth.restart();
        growth
    }

    /// Starts again.
    pub(crate) fn restart(&mut self) {
        self.before = LIVE.load(Relaxed);
        PEAK.store(self.before, Relaxed);
    }

    /// The peak growth in bytes.
    pub(crate) fn peak(&self) -> u64 {
        (PEAK.load(Relaxed) - self.before).max(0).cast_unsigned()
    }
}

fn count(bytes: i64) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    if bytes > 0 {
        PEAK.fetch_max(live, Relaxed);
    }
}

// SAFETY: every method passes its arguments to `System` and returns its result. Counting neither
// allocates nor panics nor accesses allocated memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promises are those that `System` needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above; and the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above; and the memory came from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }
}
