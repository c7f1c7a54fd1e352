//! An allocator that counts what each thread asks of another one.
#![allow(unsafe_code, reason = "an allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// Hands every request on to `A`.
pub(crate) struct Counting<A>(pub(crate) A);

/// What this thread has asked for so far.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// How often it asked for memory.
    pub(crate) allocations: usize,
    /// The bytes that it has and has not given back.
    pub(crate) bytes: isize,
}

thread_local! {
    // Needs neither memory nor a destructor, so the allocator may use it.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, bytes: 0 }) };
}

/// Calls `run`, and says what it asked for.
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

// SAFETY: every method hands its arguments on to `A` as they are and returns
// what `A` returns; counting neither allocates nor panics nor touches memory
// that is handed out.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: what the caller promises is what `A` needs.
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
