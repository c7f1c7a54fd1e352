//! The locks and atomics of admission: those of the standard library, or those
//! of loom. With loom the tests in `tests/interleavings` explore every
//! interleaving of the threads.

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

/// A fence between a store and a load that are both sequentially consistent.
/// Loom treats them as release and acquire, so it needs the fence to order
/// them.
pub(super) fn ordered() {
    #[cfg(interleavings)]
    loom::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}
