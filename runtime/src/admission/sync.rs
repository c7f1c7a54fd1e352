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
