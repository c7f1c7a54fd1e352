//! Bodies that have not arrived: the client's, those of fetched responses, and those that a closure
//! writes.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use super::error::BodyError;
use super::writer::{Closure, written};
use crate::platform::Incoming;

/// A body that is read or written once, on its first use.
pub(crate) struct Stream {
    source: Mutex<Source>,
    /// The result of reading the whole body, after that was requested.
    whole: OnceLock<Result<Bytes, BodyError>>,
}

/// The source of the pieces.
pub(crate) enum Source {
    /// The client or another host. The length is `None` if it is unknown.
    Incoming(Incoming, Option<u64>),
    /// A closure.
    Written(Closure),
    /// Nothing: the pieces were taken.
    Gone,
}

impl Stream {
    pub(super) fn new(source: Source) -> Self {
        Self { source: Mutex::new(source), whole: OnceLock::new() }
    }

    /// Reads the whole body. Later calls return the same result.
    pub(super) fn whole(&self) -> Result<&Bytes, &BodyError> {
        let collect = || match self.take() {
            Source::Incoming(body, length) => body.collect(length),
            Source::Written(write) => written(write).map_err(|error| BodyError::written(&error)),
            Source::Gone => Ok(Bytes::new()),
        };
        self.whole.get_or_init(collect).as_ref()
    }

    /// Returns the result of [`whole`](Self::whole), if that was called.
    pub(super) fn known(&self) -> Option<Result<&Bytes, &BodyError>> {
        self.whole.get().map(Result::as_ref)
    }

    /// Returns the remaining length, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match &*self.lock() {
            Source::Incoming(_, length) => *length,
            Source::Written(_) | Source::Gone => None,
        }
    }

    /// Takes the source. Later calls get [`Source::Gone`].
    pub(super) fn take(&self) -> Source {
        std::mem::replace(&mut *self.lock(), Source::Gone)
    }

    /// Reads the next piece from the host. `None` if the body does not come from there.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn read(&self, buffer: &mut [u8]) -> Option<Result<usize, BodyError>> {
        match &mut *self.lock() {
            Source::Incoming(body, length) => {
                // The remaining length is not tracked: the host reports the end.
                *length = None;
                Some(body.read(buffer))
            }
            Source::Written(_) | Source::Gone => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Source> {
        // No change under the lock can panic midway.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
