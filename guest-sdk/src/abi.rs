//! The contract between a function and its host, version 1; this page is its reference.
//!
//! Everything else in this crate is convenience on top of it, and a function may be written in any
//! language that can import nine functions. This module is also the only one with `unsafe` code.
//!
//! # The module
//!
//! A function is a WASI preview 1 command: a WebAssembly module that exports its `memory` and
//! `_start`. The host calls `_start` once per invocation, in a fresh instance, so nothing is kept
//! from one invocation to the next. What `_start` does decides the outcome:
//!
//! - it calls `respond` and returns (or exits with code 0): that response is the client's;
//! - it returns without `respond`: a bad response;
//! - it traps, or exits with another code: a failure, and a response given before is void. But
//!   when the context is done, the outcome is the context's: its deadline, or its cancellation.
//!
//! # The version
//!
//! All functions are imported from the module [`MODULE`], whose name holds the version. A host
//! looks at a module's imports when it is deployed, and refuses a version that it does not serve
//! with an error that names both; nothing is checked when a function runs.
//!
//! # Values
//!
//! - Pointers and lengths are unsigned 32 bit offsets and sizes in the guest's memory, passed as
//!   `i32`. A range that lies outside the memory traps.
//! - Codes are `i32`: zero or a length is success, negative numbers are the constants below.
//! - Times are `i64` nanoseconds.
//! - Encoded integers are unsigned and little endian, without padding. `str` and `bytes` are a
//!   `u32` length and then that many bytes; `str` is UTF-8.
//!
//! # Ownership
//!
//! All memory is the guest's: the host allocates nothing, writes only to the range it was handed
//! and keeps no pointer past the call.
//!
//! The functions that return something of unknown size take a buffer as `ptr` and `cap`, and
//! return the length of the whole. It is written when it fits in `cap`, else nothing is: call
//! again with room.
//!
//! # The functions
//!
//! | function | returns |
//! |---|---|
//! | `request(ptr, cap) -> i32` | the length of the request's head |
//! | `body_read(ptr, cap) -> i32` | how many bytes of the body it moved, 0 at the end |
//! | `respond(head_ptr, head_len, body_ptr, body_len) -> i32` | 0 |
//! | `context_err() -> i32` | 0 while the context is not done |
//! | `context_remaining() -> i64` | nanoseconds until the deadline |
//! | `context_cause(ptr, cap) -> i32` | the length of the cause |
//! | `context_value(name_ptr, name_len, ptr, cap) -> i32` | the length of the value |
//! | `context_values(ptr, cap) -> i32` | the length of all values |
//! | `context_sleep(nanos: i64) -> i32` | 0 after the whole time |
//!
//! **`request`** gives the head: `body_len: u64` (`u64::MAX` when it is not known), `method: str`,
//! `uri: str` (origin form: path and query), `count: u32`, and then `count` times `name: str` (in
//! lower case) and `value: bytes`. It can be called any number of times.
//!
//! **`body_read`** waits for the next piece of the request's body and moves it to `ptr`, at most
//! `cap` bytes. [`CANCELED`] or [`DEADLINE_EXCEEDED`] when the context is done first,
//! [`BODY_FAILED`] when the client broke off or sent more than the function accepts, [`INVALID`]
//! when `cap` is 0.
//!
//! **`respond`** gives the whole response; the host hands it on when `_start` returns. The head is
//! `status: u16`, `count: u32`, and then `count` times `name: str` and `value: bytes`.
//! [`INVALID`] when the head is malformed, or a response was given before.
//!
//! **`context_err`** tells whether the context is done: [`CANCELED`] or [`DEADLINE_EXCEEDED`].
//! Once it is done, that never changes.
//!
//! **`context_remaining`** is 0 when the deadline is past, and -1 when there is none.
//!
//! **`context_cause`** tells why the context is done: `name` or `name: message`, where the name is
//! one of `canceled`, `deadline-exceeded`, `client-disconnected`, `parent-done`, `shutdown`,
//! `operator`, `limit-exceeded` and `custom`; a host may add others. [`ABSENT`] while it is not
//! done.
//!
//! **`context_value`** gives the value that goes by a wire name, such as `request-id` or
//! `function`, as UTF-8 text. [`ABSENT`] when there is none, [`INVALID`] when the name is not
//! UTF-8.
//!
//! **`context_values`** gives them all: `count: u32`, and then `count` times `name: str` and
//! `value: str`; the nearest first, without those that a nearer one of the same name hides.
//!
//! **`context_sleep`** waits that long, or until the context is done: then it returns [`CANCELED`]
//! or [`DEADLINE_EXCEEDED`]. A negative time waits until the context is done.

#![allow(unsafe_code, reason = "the host's functions are foreign functions")]

/// The module that all of the host's functions are imported from.
pub const MODULE: &str = "hourglass_v1";

/// The context was cancelled.
pub const CANCELED: i32 = -1;
/// The context's deadline passed.
pub const DEADLINE_EXCEEDED: i32 = -2;
/// There is no such value.
pub const ABSENT: i32 = -3;
/// An argument made no sense.
pub const INVALID: i32 = -4;
/// The request's body ended before it was complete.
pub const BODY_FAILED: i32 = -5;

#[cfg(target_arch = "wasm32")]
pub(crate) use calls::*;

/// The imports, each wrapped in a safe function.
#[cfg(target_arch = "wasm32")]
mod calls {
    use std::time::Duration;

    use super::{CANCELED, DEADLINE_EXCEEDED};
    use crate::Done;

    #[link(wasm_import_module = "hourglass_v1")]
    unsafe extern "C" {
        fn request(ptr: *mut u8, cap: usize) -> i32;
        fn body_read(ptr: *mut u8, cap: usize) -> i32;
        fn respond(head: *const u8, head_len: usize, body: *const u8, body_len: usize) -> i32;
        safe fn context_err() -> i32;
        safe fn context_remaining() -> i64;
        fn context_cause(ptr: *mut u8, cap: usize) -> i32;
        fn context_value(name: *const u8, name_len: usize, ptr: *mut u8, cap: usize) -> i32;
        fn context_values(ptr: *mut u8, cap: usize) -> i32;
        safe fn context_sleep(nanos: i64) -> i32;
    }

    /// Heads of requests that are no larger than this take a single call.
    const HEAD: usize = 2048;
    /// The same for values and causes, which are short.
    const TEXT: usize = 128;

    /// The encoded head of the request.
    pub(crate) fn request_head() -> Vec<u8> {
        // SAFETY: `sized` hands over a pointer to `cap` bytes that are the guest's to be written.
        sized(HEAD, |ptr, cap| unsafe { request(ptr, cap) }).unwrap_or_default()
    }

    /// Appends the next piece of the body in what room `body` has left, and returns its length: 0
    /// at the end. There must be room.
    pub(crate) fn read_body(body: &mut Vec<u8>) -> Result<usize, i32> {
        let room = body.spare_capacity_mut();
        // SAFETY: the range is the vector's own spare capacity, which may be written.
        let code = unsafe { body_read(room.as_mut_ptr().cast(), room.len()) };
        let read = usize::try_from(code).map_err(|_| code)?;
        // SAFETY: the host wrote `read` bytes there, and never more than it was given room for.
        unsafe { body.set_len(body.len() + read) };
        Ok(read)
    }

    /// Gives the response; an error is the host's code.
    pub(crate) fn give_response(head: &[u8], body: &[u8]) -> Result<(), i32> {
        // SAFETY: both ranges are borrowed for the length of the call, and only read.
        match unsafe { respond(head.as_ptr(), head.len(), body.as_ptr(), body.len()) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// Whether the context is done, and how.
    pub(crate) fn err() -> Option<Done> {
        done(context_err())
    }

    /// The time until the deadline, if there is one.
    pub(crate) fn remaining() -> Option<Duration> {
        u64::try_from(context_remaining()).ok().map(Duration::from_nanos)
    }

    /// Why the context is done, as text.
    pub(crate) fn cause() -> Option<Vec<u8>> {
        // SAFETY: as in `request_head`.
        sized(TEXT, |ptr, cap| unsafe { context_cause(ptr, cap) })
    }

    /// One value of the context, as text.
    pub(crate) fn value(name: &str) -> Option<Vec<u8>> {
        let (start, len) = (name.as_ptr(), name.len());
        // SAFETY: as in `request_head`; the name is borrowed for the length of the call.
        sized(TEXT, |ptr, cap| unsafe { context_value(start, len, ptr, cap) })
    }

    /// All values of the context, encoded.
    pub(crate) fn values() -> Vec<u8> {
        // SAFETY: as in `request_head`.
        sized(TEXT, |ptr, cap| unsafe { context_values(ptr, cap) }).unwrap_or_default()
    }

    /// Waits for so long, or with `None` for ever; an error when the context is done first.
    pub(crate) fn sleep(time: Option<Duration>) -> Result<(), Done> {
        let nanos = time.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        done(context_sleep(nanos)).map_or(Ok(()), Err)
    }

    /// What a code says about the context.
    pub(crate) fn done(code: i32) -> Option<Done> {
        match code {
            CANCELED => Some(Done::Canceled),
            DEADLINE_EXCEEDED => Some(Done::DeadlineExceeded),
            _ => None,
        }
    }

    /// Calls a function that fills a buffer with something of unknown size: once with the room
    /// that it will likely take, and again should that not have been enough. `None` when the
    /// function fails.
    fn sized(likely: usize, fill: impl Fn(*mut u8, usize) -> i32) -> Option<Vec<u8>> {
        let mut buffer = Vec::with_capacity(likely);
        loop {
            let len = usize::try_from(fill(buffer.as_mut_ptr(), buffer.capacity())).ok()?;
            if len <= buffer.capacity() {
                // SAFETY: the host wrote all `len` bytes, because they fit.
                unsafe { buffer.set_len(len) };
                return Some(buffer);
            }
            buffer.reserve(len);
        }
    }
}
