//! Calls of other functions, each identified by a handle.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::{check, done, sized};
use crate::Done;

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    #[link_name = "call"]
    fn call_now(
        ctx: i32,
        name: *const u8,
        name_len: usize,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
        ptr: *mut u8,
        cap: usize,
    ) -> i64;
    fn call_start(
        ctx: i32,
        name: *const u8,
        name_len: usize,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    fn call_wait(ctx: i32, list: *const i32, count: usize) -> i32;
    fn call_result(call: i32, ptr: *mut u8, cap: usize) -> i32;
    /// Closes a handle, and cancels the call unless it has ended.
    #[link_name = "call_drop"]
    pub(crate) safe fn close(call: i32);
    /// Closes a handle, and lets the call continue.
    #[link_name = "call_detach"]
    pub(crate) safe fn detach(call: i32);
}

/// The largest result that takes a single call, in bytes.
const RESULT: usize = 2048;

/// A call that was started and run at once.
pub(crate) enum Begun {
    /// The call has ended, and this is its encoded result.
    Ended(Bytes),
    /// The handle of a call that continues, or that has a large result.
    Open(i32),
}

/// Calls a function, and runs the call until it has to wait. An error is the host's code.
pub(crate) fn call(ctx: i32, name: &str, head: &[u8], body: &[u8]) -> Result<Begun, i32> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); RESULT];
    // SAFETY: the first three ranges are borrowed for the duration of the call, and only read; the
    // last is the guest's and may be written.
    let code = unsafe {
        call_now(
            ctx,
            name.as_ptr(),
            name.len(),
            head.as_ptr(),
            head.len(),
            body.as_ptr(),
            body.len(),
            buffer.as_mut_ptr().cast(),
            RESULT,
        )
    };
    // A code is negative, a length is in the lower half, and a handle in the upper half.
    match (code >> 32, code as i32) {
        (..0, code) => Err(code),
        (0, len) => {
            let start = buffer.as_ptr().cast();
            // SAFETY: the host wrote all `len` bytes to `buffer`, which outlives the copy.
            let result = unsafe { std::slice::from_raw_parts(start, len as usize) };
            Ok(Begun::Ended(Bytes::copy_from_slice(result)))
        }
        (handle, _) => Ok(Begun::Open(handle as i32)),
    }
}

/// Starts a call and returns its handle, without waiting. An error is the host's code.
pub(crate) fn start(ctx: i32, name: &str, head: &[u8], body: &[u8]) -> Result<i32, i32> {
    // SAFETY: the three ranges are borrowed for the duration of the call, and only read. The host
    // keeps none of the ranges, although the function call continues.
    check(unsafe {
        call_start(
            ctx,
            name.as_ptr(),
            name.len(),
            head.as_ptr(),
            head.len(),
            body.as_ptr(),
            body.len(),
        )
    })
}

/// Waits until one of the calls has ended, and returns its index. `calls` must not be empty.
///
/// # Errors
///
/// [`Done`] if the context is done first.
pub(crate) fn wait(ctx: i32, calls: &[i32]) -> Result<usize, Done> {
    // SAFETY: the list is borrowed for the duration of the call, and only read. It consists of
    // 32-bit numbers in the machine's byte order, which is the one that the host reads.
    let code = unsafe { call_wait(ctx, calls.as_ptr(), calls.len()) };
    match done(code) {
        Some(done) => Err(done),
        None => Ok(usize::try_from(code).unwrap_or_default()),
    }
}

/// Returns the encoded result of a call that has ended, and closes the handle.
pub(crate) fn result(call: i32) -> Bytes {
    // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
    sized(RESULT, |ptr, cap| unsafe { call_result(call, ptr, cap) }).unwrap_or_default().into()
}
