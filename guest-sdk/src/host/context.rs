//! Contexts, each identified by a handle. Every method is a host call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{done, sized};
use crate::{Cause, Done, wire};

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
    safe fn context_without_cancel(parent: i32) -> i32;
    fn context_cancel(ctx: i32, cause: *const u8, cause_len: usize) -> i32;
    safe fn context_drop(ctx: i32);
}

/// The largest value or cause that takes a single call, in bytes. Both are usually short.
const TEXT: usize = 128;

/// The handle of the invocation's own context.
const OWN: i32 = 0;

/// A context that the host knows. The invocation's own is `None`: it takes up no resources, and
/// there is no handle to close.
#[derive(Clone)]
pub(crate) struct Node(Option<Arc<Handle>>);

/// The handle of a derived context. Its last owner closes it.
struct Handle {
    number: i32,
    /// Whether closing the handle cancels the context.
    cancels: bool,
    /// The nearest ancestor that must not be canceled before this context is gone.
    above: Option<Arc<Self>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        context_drop(self.number);
        // Iterates, because recursion over a long chain would overflow the stack.
        let mut above = self.above.take();
        while let Some(mut handle) = above.and_then(Arc::into_inner) {
            above = handle.above.take();
        }
    }
}

impl Node {
    /// The context of this invocation.
    pub(super) const INVOCATION: Self = Self(None);

    /// The handle by which the host knows the context.
    pub(super) fn handle(&self) -> i32 {
        self.0.as_ref().map_or(OWN, |handle| handle.number)
    }

    fn of(number: i32, cancels: bool, above: Option<Arc<Handle>>) -> Self {
        Self(Some(Arc::new(Handle { number, cancels, above })))
    }

    /// The handle that a context derived from this one keeps: this one's, or the one that this one
    /// keeps.
    fn kept(&self) -> Option<Arc<Handle>> {
        let handle = self.0.as_ref()?;
        if handle.cancels { Some(handle.clone()) } else { handle.above.clone() }
    }

    pub(crate) fn with_timeout(&self, after: Option<Duration>) -> Self {
        Self::of(context_derive(self.handle(), after.map_or(-1, nanos)), true, self.kept())
    }

    pub(crate) fn with_deadline(&self, at: Instant) -> Self {
        self.with_timeout(Some(at.saturating_duration_since(Instant::now())))
    }

    /// Returns a context with one more value. An error is the host's code.
    pub(crate) fn with_value(&self, name: &str, value: String) -> Result<Self, i32> {
        let (parent, value_len) = (self.handle(), value.len());
        // SAFETY: both ranges are borrowed for the duration of the call, and only read.
        let code = unsafe {
            context_with_value(parent, name.as_ptr(), name.len(), value.as_ptr(), value_len)
        };
        if code > OWN { Ok(Self::of(code, false, self.kept())) } else { Err(code) }
    }

    pub(crate) fn without_cancel(&self) -> Self {
        Self::of(context_without_cancel(self.handle()), false, None)
    }

    /// Cancels a context that [`with_timeout`](Self::with_timeout) made.
    pub(crate) fn cancel(&self, cause: Cause) {
        let cause = cause.to_string();
        // SAFETY: the text is borrowed for the duration of the call, and only read. The code only
        // reports whether the context can be canceled at all, and this one can.
        unsafe { context_cancel(self.handle(), cause.as_ptr(), cause.len()) };
    }

    pub(crate) fn err(&self) -> Option<Done> {
        done(context_err(self.handle()))
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
        let text = sized(TEXT, |ptr, cap| unsafe { context_cause(self.handle(), ptr, cap) })?;
        Some(Cause::from(&*String::from_utf8_lossy(&text)))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.remaining()?)
    }

    pub(crate) fn remaining(&self) -> Option<Duration> {
        u64::try_from(context_remaining(self.handle())).ok().map(Duration::from_nanos)
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let (ctx, start, len) = (self.handle(), name.as_ptr(), name.len());
        // SAFETY: as in `cause`; the name is borrowed for the duration of the call, and only read.
        let text = sized(TEXT, |ptr, cap| unsafe { context_value(ctx, start, len, ptr, cap) })?;
        String::from_utf8(text).ok()
    }

    /// Reads an environment variable. The standard library would panic at some names.
    pub(crate) fn config(&self, name: &str) -> Option<String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }

    pub(crate) fn values(&self) -> Vec<(String, String)> {
        // SAFETY: as in `cause`.
        let values = sized(TEXT, |ptr, cap| unsafe { context_values(self.handle(), ptr, cap) });
        values.and_then(|values| wire::values(&values).ok()).unwrap_or_default()
    }

    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Done> {
        done(context_sleep(self.handle(), nanos(time))).map_or(Ok(()), Err)
    }
}

/// Converts a time to the host's format. The maximum, 292 years, is effectively no limit.
fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
