//! Bodies that have not arrived: the client's, those of fetched responses, and those that a closure
//! writes.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use super::error::BodyError;
use super::writer::{Closure, written};
use crate::FetchError;
#[cfg(target_arch = "wasm32")]
use crate::abi::exchange;
use crate::fetch::Fetched;

/// The most that is allocated because a client announced it, in bytes. The buffer grows for a
/// larger body.
#[cfg(target_arch = "wasm32")]
const ANNOUNCED: u64 = 16 << 20;
/// The smallest buffer for one read of a body of unknown length, in bytes.
#[cfg(target_arch = "wasm32")]
const PIECE: usize = 16 << 10;

/// A body that is read or written once, on its first use.
pub(crate) struct Stream {
    source: Mutex<Source>,
    /// The result of reading the whole body, after that was requested.
    whole: OnceLock<Result<Bytes, Broken>>,
}

/// The source of the pieces.
pub(crate) enum Source {
    /// The client, through the host. The length is `None` if it is unknown.
    #[cfg(target_arch = "wasm32")]
    Host(Option<u64>),
    /// Another host. The length is `None` if it is unknown.
    Fetched(Fetched, Option<u64>),
    /// A closure.
    Written(Closure),
    /// Nothing: the pieces were taken.
    Gone,
}

/// The reason why a body is incomplete.
pub(super) enum Broken {
    /// A fetched response broke off.
    Fetch(FetchError),
    /// Any other body broke off.
    Body(BodyError),
}

impl Stream {
    pub(super) fn new(source: Source) -> Self {
        Self { source: Mutex::new(source), whole: OnceLock::new() }
    }

    /// Reads the whole body. Later calls return the same result.
    pub(super) fn whole(&self) -> Result<&Bytes, &Broken> {
        let collect = || match self.take() {
            #[cfg(target_arch = "wasm32")]
            Source::Host(length) => collect(length).map_err(Broken::Body),
            Source::Fetched(fetched, length) => fetched.collect(length).map_err(Broken::Fetch),
            Source::Written(write) => {
                written(write).map_err(|error| Broken::Body(BodyError::written(&error)))
            }
            Source::Gone => Ok(Bytes::new()),
        };
        self.whole.get_or_init(collect).as_ref()
    }

    /// Returns the result of [`whole`](Self::whole), if that was called.
    pub(super) fn known(&self) -> Option<Result<&Bytes, &Broken>> {
        self.whole.get().map(Result::as_ref)
    }

    /// Returns the remaining length, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match &*self.lock() {
            #[cfg(target_arch = "wasm32")]
            Source::Host(length) => *length,
            Source::Fetched(_, length) => *length,
            Source::Written(_) | Source::Gone => None,
        }
    }

    /// Takes the source. Later calls get [`Source::Gone`].
    pub(super) fn take(&self) -> Source {
        std::mem::replace(&mut *self.lock(), Source::Gone)
    }

    /// Reads the next piece from the host. `None` if the body does not come from there.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn read(&self, buffer: &mut [u8]) -> Option<Result<usize, Broken>> {
        let mut source = self.lock();
        // The remaining length is not tracked: the host reports the end.
        match &mut *source {
            Source::Host(length) | Source::Fetched(_, length) => *length = None,
            Source::Written(_) | Source::Gone => return None,
        }
        Some(match &*source {
            _ if buffer.is_empty() => Ok(0),
            Source::Fetched(fetched, _) => fetched.read(buffer).map_err(Broken::Fetch),
            _ => exchange::read(buffer).map_err(|code| Broken::Body(BodyError::from_code(code))),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Source> {
        // No change under the lock can panic midway.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the whole body of the client. If the length is known, the buffer has exactly that size and
/// nothing is read past it.
#[cfg(target_arch = "wasm32")]
fn collect(length: Option<u64>) -> Result<Bytes, BodyError> {
    let buffer = length.map_or(PIECE, |length| length.min(ANNOUNCED) as usize);
    let mut body = Vec::with_capacity(buffer);
    while length != Some(body.len() as u64) {
        if body.len() == body.capacity() {
            body.reserve(PIECE);
        }
        match exchange::read_body(&mut body) {
            Ok(0) => break,
            Ok(_) => {}
            Err(code) => return Err(BodyError::from_code(code)),
        }
    }
    Ok(body.into())
}
