//! The context inside a host: every method is a host call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cause, Context, Done};
use crate::abi::context as abi;
use crate::wire;

/// A context that the host knows. The invocation's own is `None`: it takes up no resources, and
/// there is no handle to close.
#[derive(Clone)]
pub(super) struct Node(Option<Arc<Handle>>);

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
        abi::close(self.number);
        // Iterates, because recursion over a long chain would overflow the stack.
        let mut above = self.above.take();
        while let Some(mut handle) = above.and_then(Arc::into_inner) {
            above = handle.above.take();
        }
    }
}

impl Context {
    /// The context of this invocation.
    pub(crate) fn of_invocation() -> Self {
        Self(Node(None))
    }

    /// The handle by which the host knows the context.
    pub(crate) fn handle(&self) -> i32 {
        self.0.handle()
    }
}

impl Node {
    fn of(number: i32, cancels: bool, above: Option<Arc<Handle>>) -> Self {
        Self(Some(Arc::new(Handle { number, cancels, above })))
    }

    fn handle(&self) -> i32 {
        self.0.as_ref().map_or(abi::OWN, |handle| handle.number)
    }

    /// The handle that a context derived from this one keeps: this one's, or the one that this one
    /// keeps.
    fn kept(&self) -> Option<Arc<Handle>> {
        let handle = self.0.as_ref()?;
        if handle.cancels { Some(handle.clone()) } else { handle.above.clone() }
    }

    /// Keeps the context and all its ancestors until the invocation ends.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }

    pub(super) fn with_timeout(&self, after: Option<Duration>) -> Self {
        Self::of(abi::derive(self.handle(), after), true, self.kept())
    }

    pub(super) fn with_deadline(&self, at: Instant) -> Self {
        self.with_timeout(Some(at.saturating_duration_since(Instant::now())))
    }

    pub(super) fn with_value(&self, name: &str, value: String) -> Result<Self, i32> {
        let handle = abi::with_value(self.handle(), name, &value)?;
        Ok(Self::of(handle, false, self.kept()))
    }

    pub(super) fn without_cancel(&self) -> Self {
        Self::of(abi::without_cancel(self.handle()), false, None)
    }

    pub(super) fn cancel(&self, cause: Cause) {
        abi::cancel(self.handle(), &cause.to_string());
    }

    pub(super) fn err(&self) -> Option<Done> {
        abi::err(self.handle())
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let text = abi::cause(self.handle())?;
        Some(Cause::from(&*String::from_utf8_lossy(&text)))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.remaining()?)
    }

    pub(super) fn remaining(&self) -> Option<Duration> {
        abi::remaining(self.handle())
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        String::from_utf8(abi::value(self.handle(), name)?).ok()
    }

    /// Reads an environment variable. The standard library would panic at some names.
    pub(super) fn config(&self, name: &str) -> Option<String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }

    pub(super) fn values(&self) -> Vec<(String, String)> {
        wire::values(&abi::values(self.handle())).unwrap_or_default()
    }

    pub(super) fn sleep(&self, time: Duration) -> Result<(), Done> {
        abi::sleep(self.handle(), time)
    }
}
