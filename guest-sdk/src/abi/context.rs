//! Contexts, each identified by a handle.

use std::time::Duration;

use super::{done, sized};
use crate::Done;

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    safe fn context_err(ctx: i32) -> i32;
    safe fn context_remaining(ctx: i32) -> i64;
    fn context_cause(ctx: i32, ptr: *mut u8, cap: usize) -> i32;
    fn context_value(ctx: i32, name: *const u8, name_len: usize, ptr: *mut u8, cap: usize) -> i32;
    fn context_values(ctx: i32, ptr: *mut u8, cap: usize) -> i32;
    safe fn context_sleep(ctx: i32, nanos: i64) -> i32;
    safe fn context_derive(parent: i32, nanos: i64) -> i32;
    fn context_with_value(
        parent: i32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> i32;
    /// Derives a context that is not done when its parent is, and returns its handle.
    #[link_name = "context_without_cancel"]
    pub(crate) safe fn without_cancel(parent: i32) -> i32;
    fn context_cancel(ctx: i32, cause: *const u8, cause_len: usize) -> i32;
    /// Closes a handle.
    #[link_name = "context_drop"]
    pub(crate) safe fn close(ctx: i32);
}

/// The largest value or cause that takes a single call, in bytes. Both are usually short.
const TEXT: usize = 128;

/// The handle of the invocation's own context.
pub(crate) const OWN: i32 = 0;

/// Returns whether the context is done, and how.
pub(crate) fn err(ctx: i32) -> Option<Done> {
    done(context_err(ctx))
}

/// Returns the time until the deadline, if there is one.
pub(crate) fn remaining(ctx: i32) -> Option<Duration> {
    u64::try_from(context_remaining(ctx)).ok().map(Duration::from_nanos)
}

/// Returns why the context is done, as text.
pub(crate) fn cause(ctx: i32) -> Option<Vec<u8>> {
    // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
    sized(TEXT, |ptr, cap| unsafe { context_cause(ctx, ptr, cap) })
}

/// Returns one value of the context, as text.
pub(crate) fn value(ctx: i32, name: &str) -> Option<Vec<u8>> {
    let (start, len) = (name.as_ptr(), name.len());
    // SAFETY: as in `cause`; the name is borrowed for the duration of the call, and only read.
    sized(TEXT, |ptr, cap| unsafe { context_value(ctx, start, len, ptr, cap) })
}

/// Returns all values of the context, encoded.
pub(crate) fn values(ctx: i32) -> Vec<u8> {
    // SAFETY: as in `cause`.
    sized(TEXT, |ptr, cap| unsafe { context_values(ctx, ptr, cap) }).unwrap_or_default()
}

/// Waits for `time`. Fails if the context is done first.
pub(crate) fn sleep(ctx: i32, time: Duration) -> Result<(), Done> {
    done(context_sleep(ctx, nanos(time))).map_or(Ok(()), Err)
}

/// Derives a child with a timeout, or without one if it is `None`, and returns its handle.
pub(crate) fn derive(parent: i32, timeout: Option<Duration>) -> i32 {
    context_derive(parent, timeout.map_or(-1, nanos))
}

/// Derives a context with one more value, and returns its handle. An error is the host's code.
pub(crate) fn with_value(parent: i32, name: &str, value: &str) -> Result<i32, i32> {
    // SAFETY: both ranges are borrowed for the duration of the call, and only read.
    let code = unsafe {
        context_with_value(parent, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    if code > OWN { Ok(code) } else { Err(code) }
}

/// Cancels a context that [`derive`] made.
pub(crate) fn cancel(ctx: i32, cause: &str) {
    // SAFETY: the text is borrowed for the duration of the call, and only read. The code only
    // reports whether the context can be canceled at all, and this one can.
    unsafe { context_cancel(ctx, cause.as_ptr(), cause.len()) };
}

/// Converts a time to the host's format. The maximum, 292 years, is effectively no limit.
fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
