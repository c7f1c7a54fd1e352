//! The context inside of a host: every question is a call to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Cause, Context, Done};
use crate::abi::context as abi;
use crate::wire;

/// A context that the host knows. The invocation's own is `None`: it costs nothing to have, and
/// there is nothing to give back.
#[derive(Clone)]
pub(super) struct Node(Option<Arc<Handle>>);

/// The handle of a derived context. Its last owner gives it back.
struct Handle {
    number: i32,
    /// Whether giving it back cancels the context.
    cancels: bool,
    /// The nearest context above it that must not be canceled before it is gone.
    above: Option<Arc<Self>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        abi::give_back(self.number);
        // One after the other: a long chain would overflow the stack.
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

    /// What the host knows it by.
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

    /// What a context derived from this one keeps: this one, or what it keeps itself.
    fn kept(&self) -> Option<Arc<Handle>> {
        let handle = self.0.as_ref()?;
        if handle.cancels { Some(handle.clone()) } else { handle.above.clone() }
    }

    /// Keeps the context, and all that it is derived from, until the invocation ends.
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

    pub(super) fn wait(&self) -> Done {
        loop {
            if let Err(done) = abi::sleep(self.handle(), None) {
                return done;
            }
        }
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

    /// A variable of the environment. The standard library would panic at some names.
    pub(super) fn config(&self, name: &str) -> Option<String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }

    pub(super) fn values(&self) -> Vec<(String, String)> {
        wire::values(Bytes::from(abi::values(self.handle()))).unwrap_or_default()
    }

    pub(super) fn sleep(&self, time: Duration) -> Result<(), Done> {
        abi::sleep(self.handle(), Some(time))
    }
}
