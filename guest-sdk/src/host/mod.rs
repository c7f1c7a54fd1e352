//! The implementation inside a host.
//!
//! # Layout
//!
//! The imports of [`abi`](crate::abi), each in the module that uses it: `context` has those of
//! contexts, `call` and `fetch` those of calls and fetches, `body` those that read and write bodies,
//! `serve` those of the request and the response, and `log` and `sha2` the others.

#![allow(unsafe_code, reason = "the host's functions are foreign functions")]

mod body;
mod call;
mod context;
mod fetch;
pub(crate) mod log;
mod serve;
#[cfg(feature = "sha2")]
pub(crate) mod sha2;

use std::marker::PhantomData;
use std::mem::ManuallyDrop;

pub(crate) use self::body::Incoming;
pub(crate) use self::call::{call, enqueue, start as start_call, wait};
pub(crate) use self::context::Node;
pub(crate) use self::fetch::start as start_fetch;
pub(crate) use self::serve::run;
use crate::abi::{CANCELED, DEADLINE_EXCEEDED, MAX_HEAD};
use crate::named::Named;
use crate::pending::private::Failure;
use crate::{Done, wire};

/// A call or a fetch that the host knows by this handle. Dropping it ends it.
#[derive(Debug)]
pub struct Started<E: Failure>(i32, PhantomData<E>);

impl<E: Failure> Started<E> {
    fn new(handle: i32) -> Self {
        Self(handle, PhantomData)
    }

    /// Returns the handle, which the receiver must close.
    fn into_handle(self) -> i32 {
        ManuallyDrop::new(self).0
    }
}

impl<E: Failure> Drop for Started<E> {
    fn drop(&mut self) {
        E::close(self.0);
    }
}

/// Converts a code to the end of a context that it stands for.
fn done(code: i32) -> Option<Done> {
    match code {
        CANCELED => Some(Done::Canceled),
        DEADLINE_EXCEEDED => Some(Done::DeadlineExceeded),
        _ => None,
    }
}

/// Returns a decoded result, or the failure that it stands for.
fn decoded<T, E: Named>(
    target: &str,
    result: Result<Result<T, wire::Failure>, wire::Malformed>,
) -> Result<T, E> {
    let result = result.unwrap_or_else(|malformed| Err(malformed.into()));
    result.map_err(|failure| E::named(target, failure))
}

/// Explains why the host rejects a request's head of this length.
fn refused(head: usize) -> String {
    if head > MAX_HEAD {
        return format!("the request's head has {head} bytes, the most is {MAX_HEAD}");
    }
    "the host refuses the request's head: it has more than 256 headers, or is not HTTP".to_owned()
}

/// Checks a returned length. An error is the host's code.
fn length(code: i32) -> Result<usize, i32> {
    usize::try_from(code).map_err(|_| code)
}

/// Calls a function that fills a buffer with a value of unknown size: once with a buffer of the
/// likely size, and again if that was too small. `None` if the function fails.
fn sized(likely: usize, fill: impl Fn(*mut u8, usize) -> i32) -> Option<Vec<u8>> {
    let mut buffer = Vec::with_capacity(likely);
    loop {
        let len = usize::try_from(fill(buffer.as_mut_ptr(), buffer.capacity())).ok()?;
        if len <= buffer.capacity() {
            // SAFETY: the host wrote all `len` bytes, because they fit.
            unsafe { buffer.set_len(len) };
            return Some(buffer);
        }
        buffer.reserve_exact(len);
    }
}
