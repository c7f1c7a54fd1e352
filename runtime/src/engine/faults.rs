//! Tells without a scan that a guest touched no page that it had not touched
//! before.
//!
//! Asking the kernel which pages of a memory were touched takes longer than the
//! rest of a reset. But a page becomes touched only through a page fault, and
//! the kernel counts the faults of each thread. So if no thread had a fault
//! while it ran the guest, every page that the guest wrote to is among those
//! that the last scan of its memory found. Once a function is warm, this is
//! nearly always the case.
//!
//! Three things could break that argument, and are handled:
//!
//! - The kernel may merge pages into a huge one in the background, and its
//!   parts are then touched without a fault: guests' memories are
//!   [exempt](super::pages::PageMap::watch) from that, or always scanned.
//! - A kernel might not count: its count is trusted only after it has counted a
//!   fault that was caused on purpose.
//! - A guest that waited may have run on several threads: each of its turns is
//!   [watched](FaultWatch) on the thread that it has. After a fault in any of
//!   them, whatever its reason, the memory is scanned.
//!
//! With debug assertions every memory is scanned anyway, and the scan must find
//! nothing new.
#![allow(unsafe_code, reason = "the system call has no safe wrapper")]

use std::cell::Cell;
use std::mem::MaybeUninit;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

thread_local! {
    /// The fault count of this thread when it was last read.
    static LAST: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Snapshots this thread's fault count without a system call. The cached count
/// may be stale (too low); then the later check fails and the memory is scanned.
pub(super) fn snapshot() -> Option<u64> {
    LAST.get()
}

/// Whether this thread, which must be the one that took the snapshot, has had no
/// page fault since.
pub(super) fn is_unchanged(snapshot: Option<u64>) -> bool {
    let now = count();
    LAST.set(now);
    now.is_some() && now == snapshot
}

/// Watches a run for page faults. The run has one turn after the other, each on
/// one thread.
#[derive(Debug, Default)]
pub(crate) struct FaultWatch {
    /// The snapshot at the start of the current turn.
    turn: Option<Option<u64>>,
    /// Whether a former turn had a fault.
    faulted: bool,
}

impl FaultWatch {
    /// Of a run that was not watched to its end.
    pub(crate) fn unknown() -> Self {
        Self { turn: None, faulted: true }
    }

    /// A turn begins on this thread.
    pub(crate) fn begin(&mut self) {
        self.turn = Some(snapshot());
    }

    /// The current turn, if any, ends on this thread. After a turn with a fault
    /// this makes no system call.
    pub(crate) fn end(&mut self) {
        if let Some(snapshot) = self.turn.take() {
            self.faulted = self.faulted || !is_unchanged(snapshot);
        }
    }

    /// Ends the current turn, and returns whether no turn had a fault.
    pub(crate) fn saw_none(&mut self) -> bool {
        self.end();
        !self.faulted
    }
}

/// Whether the kernel counts faults: causes one, and checks.
///
/// It uses a page of its own, because an allocator might return one that was
/// touched before.
pub(super) fn are_counted() -> bool {
    let page = rustix::param::page_size();
    // SAFETY: a new mapping, at an address that the kernel chooses, overlaps no
    // other.
    let mapped = unsafe {
        let (access, kind) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        mmap_anonymous(std::ptr::null_mut(), page, access, kind)
    };
    let Ok(mapped) = mapped else { return false };
    let before = count();
    // SAFETY: the mapping exists and is writable.
    unsafe { mapped.cast::<u8>().write_volatile(1) };
    let after = count();
    // SAFETY: the mapping is this function's own, and nothing points into it
    // any more.
    let unmapped = unsafe { munmap(mapped, page) };
    unmapped.is_ok() && matches!((before, after), (Some(before), Some(after)) if before < after)
}

/// The number of page faults of this thread so far.
fn count() -> Option<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes a `rusage` to the pointer, which is valid for
    // that; all zeros are a valid `rusage` too.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    Some(usage.ru_minflt.unsigned_abs().wrapping_add(usage.ru_majflt.unsigned_abs()))
}
