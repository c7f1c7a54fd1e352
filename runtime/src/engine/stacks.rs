//! Returns deep stacks to the system.
//!
//! A guest runs on a stack of the engine's pool, and the pages that it touched
//! stay resident when the stack is reused. Without a remedy a function that
//! recurses deeply once would leave half a megabyte behind in every slot.
//!
//! The engine can clear each stack when its instance is dropped
//! (`Config::async_stack_zeroing`), at the price of a system call over the
//! whole stack: about 1.3 us, more than a tenth of a new instance. [`Trim`]
//! queries a single page instead. That is exact, because every frame larger
//! than a page is probed page by page, in guests and in the host, so a stack is
//! touched without gaps. After a run without a page fault even that query is
//! unnecessary, see [`super::faults`].
#![allow(unsafe_code, reason = "the pages of a stack have no safe wrapper")]

use std::pin::pin;
use std::task::{Context, Waker};

use rustix::mm::{Advice, madvise};
use wasmtime::{Func, Store, TypedFunc};

/// The size of a guest's stack, including host functions.
pub(super) const STACK: usize = 2 << 20;

/// The part of it that a guest's own frames may use.
pub(super) const GUEST: usize = 512 << 10;

/// How much of a stack stays resident. Guests that do not recurse deeply, and
/// the host functions that they call, use less.
const RESIDENT: usize = 64 << 10;

/// The maximum distance from the top of its stack at which a host function runs
/// if it is called without a guest in between.
const TOP: usize = 64 << 10;

/// A host function that trims the stack that it runs on.
pub(crate) struct Trim(TypedFunc<(), ()>);

impl Trim {
    /// Adds the function to a store. It lives as long as the store.
    pub(crate) fn new<T: 'static>(store: &mut Store<T>) -> Option<Self> {
        let trim = Func::wrap(&mut *store, trim_this_stack);
        trim.typed(&*store).ok().map(Self)
    }

    /// Returns the deep part of the store's stack to the system, if it is
    /// resident. The store may have trapped, and its last call may have been
    /// dropped.
    pub(crate) fn run<T: Send + 'static>(&self, store: &mut Store<T>) {
        // The engine calls it on the stack that the store keeps for its next
        // call. It never waits.
        let _ = pin!(self.0.call_async(store, ())).poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// Returns the deep part of the current stack to the system.
fn trim_this_stack() {
    let page = rustix::param::page_size();
    let here = std::hint::black_box(&raw const page).addr();
    let deep = (here - RESIDENT) & !(page - 1);
    let bottom = (here - (STACK - TOP)).next_multiple_of(page);
    let mut resident = 0_u8;
    // SAFETY: both ranges lie within the stack that this runs on: its size is
    // `STACK`, and this is less than `TOP` below its top. They are page
    // aligned. Nothing is alive there: the current frame is `RESIDENT` above
    // them, which is more than this function and its callees use.
    unsafe {
        let start = std::ptr::without_provenance_mut::<libc::c_void>(deep);
        if libc::mincore(start, page, &raw mut resident) == 0 && resident & 1 == 1 {
            let start = std::ptr::without_provenance_mut(bottom);
            let _ = madvise(start, deep + page - bottom, Advice::LinuxDontNeed);
        }
    }
}
