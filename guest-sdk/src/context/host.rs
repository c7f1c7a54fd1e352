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

/// The handle of a derived context. The last one who has it gives it back.
struct Handle(i32);

impl Drop for Handle {
    fn drop(&mut self) {
        abi::give_back(self.0);
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
    fn of(handle: i32) -> Self {
        Self(Some(Arc::new(Handle(handle))))
    }

    fn handle(&self) -> i32 {
        self.0.as_ref().map_or(abi::OWN, |handle| handle.0)
    }

    pub(super) fn with_timeout(&self, after: Option<Duration>) -> Self {
        Self::of(abi::derive(self.handle(), after))
    }

    pub(super) fn with_deadline(&self, at: Instant) -> Self {
        self.with_timeout(Some(at.saturating_duration_since(Instant::now())))
    }

    pub(super) fn with_value(&self, name: &str, value: String) -> Result<Self, i32> {
        abi::with_value(self.handle(), name, &value).map(Self::of)
    }

    pub(super) fn without_cancel(&self) -> Self {
        Self::of(abi::without_cancel(self.handle()))
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
