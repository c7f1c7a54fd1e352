//! Tells without a scan that a guest touched no page that it had not touched
//! before.
//!
//! Asking the kernel which pages of a memory were touched takes longer than
//! everything else about a reset. But a page can only become one of them by a
//! page fault, and the kernel counts each thread's faults. So where a guest ran
//! on one thread, and that thread had no fault at all meanwhile, whatever it
//! wrote to is among the pages that the last scan of its memory found. Once a
//! function is warm, this is nearly always so.
//!
//! Three things could break that argument, and are seen to:
//!
//! - The kernel may merge pages into a huge one in the background, and its
//!   parts are then touched without a fault: guests' memories are
//!   [exempt](super::pages::PageMap::watch) from that, or always scanned.
//! - A kernel might not count: it is believed only once it has counted a fault
//!   that was made on purpose.
//! - A guest that waited may have run on several threads: its memory is
//!   scanned. So is any memory after a fault, whatever that was about.
//!
//! With debug assertions every memory is scanned all the same, and the scan
//! must find nothing new.
#![allow(unsafe_code, reason = "the system call has no safe wrapper")]

use std::cell::Cell;
use std::mem::MaybeUninit;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

thread_local! {
    /// This thread's faults, when they were last asked for.
    static LAST: Cell<Option<u64>> = const { Cell::new(None) };
}

/// How many faults a thread had had at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness(u64);

impl Witness {
    /// A witness of what this thread does from now on. It costs nothing: what
    /// was counted last is as good, or too low, and then does not hold.
    pub(crate) fn call() -> Option<Self> {
        LAST.get().map(Self)
    }

    /// Whether this thread, which must be the one that called the witness, has
    /// had no page fault since.
    pub(crate) fn holds(witness: Option<Self>) -> bool {
        let now = count();
        LAST.set(now);
        matches!((witness, now), (Some(Self(then)), Some(now)) if then == now)
    }
}

/// Whether the kernel counts: makes a fault, and looks.
///
/// It does so on a page of its own, as an allocator might hand out one that
/// was touched before.
pub(super) fn are_counted() -> bool {
    let page = rustix::param::page_size();
    // SAFETY: a new mapping, wherever there is room, is nobody else's.
    let mapped = unsafe {
        let (access, kind) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        mmap_anonymous(std::ptr::null_mut(), page, access, kind)
    };
    let Ok(mapped) = mapped else { return false };
    let before = count();
    // SAFETY: the mapping is there, and can be written to.
    unsafe { mapped.cast::<u8>().write_volatile(1) };
    let after = count();
    // SAFETY: it is this function's own, and nothing points into it any more.
    let unmapped = unsafe { munmap(mapped, page) };
    unmapped.is_ok() && matches!((before, after), (Some(before), Some(after)) if before < after)
}

/// This thread's page faults so far.
fn count() -> Option<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes a `rusage` to the pointer, which is valid for
    // that; all zeros are a valid one too.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    Some(usage.ru_minflt.unsigned_abs().wrapping_add(usage.ru_majflt.unsigned_abs()))
}
