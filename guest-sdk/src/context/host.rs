//! The context inside of a host: every question is a call to it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Cause, Context, Done};
use crate::{abi, wire};

/// The invocation's context. There is one, and the host knows it, so there is nothing to hold.
#[derive(Clone)]
pub(super) struct Node;

impl Context {
    /// The context of this invocation.
    pub(crate) fn of_invocation() -> Self {
        Self(Node)
    }
}

impl Node {
    pub(super) fn err(&self) -> Option<Done> {
        abi::err()
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let text = abi::cause()?;
        Some(Cause::from(&*String::from_utf8_lossy(&text)))
    }

    pub(super) fn wait(&self) -> Done {
        loop {
            if let Err(done) = abi::sleep(None) {
                return done;
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.remaining()?)
    }

    pub(super) fn remaining(&self) -> Option<Duration> {
        abi::remaining()
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        String::from_utf8(abi::value(name)?).ok()
    }

    pub(super) fn values(&self) -> Vec<(String, String)> {
        wire::values(Bytes::from(abi::values())).unwrap_or_default()
    }

    pub(super) fn sleep(&self, time: Duration) -> Result<(), Done> {
        abi::sleep(Some(time))
    }
}
