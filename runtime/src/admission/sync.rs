//! The locks and atomics of admission: the standard library's, or those of loom,
//! with which the tests in `tests/interleavings` go through every order in which
//! threads can meet at them.

#[cfg(interleavings)]
pub(super) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize},
};
#[cfg(not(interleavings))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize},
};

/// Stands between a store and a load that are both sequentially consistent. Loom
/// takes them for a release and an acquire, so it needs a fence to know that.
pub(super) fn ordered() {
    #[cfg(interleavings)]
    loom::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}
