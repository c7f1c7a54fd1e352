//! The locks and atomics of the tree: those of the standard library, or those
//! of loom. With loom the tests in `tests/interleavings` explore every
//! interleaving of the threads.

#[cfg(interleavings)]
pub(super) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize},
};
#[cfg(not(interleavings))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize},
};
