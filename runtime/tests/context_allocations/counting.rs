//! An allocator that counts the requests of each thread.
#![allow(unsafe_code, reason = "an allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// Passes every request to `A`.
pub(crate) struct Counting<A>(pub(crate) A);

/// The requests of this thread so far.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// The number of allocations.
    pub(crate) allocations: usize,
    /// The allocated bytes that are not freed.
    pub(crate) bytes: isize,
}

thread_local! {
    // It needs neither memory nor a destructor, so the allocator may use it.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, bytes: 0 }) };
}

/// Calls `run`, and returns its requests.
pub(crate) fn counts(run: impl FnOnce()) -> Counts {
    let before = COUNTS.get();
    run();
    let after = COUNTS.get();
    Counts {
        allocations: after.allocations - before.allocations,
        bytes: after.bytes - before.bytes,
    }
}

fn count(allocations: usize, bytes: isize) {
    let counts = COUNTS.get();
    COUNTS
        .set(Counts { allocations: counts.allocations + allocations, bytes: counts.bytes + bytes });
}

// SAFETY: every method passes its arguments to `A` and returns its result.
// Counting neither allocates nor panics nor accesses allocated memory.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller's promises are those that `A` needs.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: as above; and the memory came from `A`.
        unsafe { self.0.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        // SAFETY: as above; and the memory came from `A`.
        unsafe { self.0.realloc(memory, layout, size) }
    }
}
