//! Requests to other hosts, each known by its handle.

use bytes::Bytes;

use super::{handle, sized};

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    fn fetch_start(
        ctx: i32,
        redirects: u32,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    fn fetch_write(fetch: i32, ptr: *const u8, len: usize) -> i32;
    fn fetch_head(fetch: i32, ptr: *mut u8, cap: usize) -> i32;
    fn fetch_read(fetch: i32, ptr: *mut u8, cap: usize) -> i32;
    safe fn fetch_drop(fetch: i32);
}

/// Heads of responses that are no larger than this take a single call.
const HEAD: usize = 2048;

/// The length of a body that is written later, and of one that is the invocation's own request's.
const FOLLOWS: usize = hourglass_abi::BODY_FOLLOWS as usize;
const PASSED: usize = hourglass_abi::BODY_PASSED as usize;

/// What a fetch's request has for a body.
#[derive(Clone, Copy)]
pub(crate) enum Upload<'a> {
    Whole(&'a [u8]),
    /// What is left of the body that the function was asked with.
    Passed,
    /// It is written later.
    Follows,
}

/// Begins a fetch, and gives its handle. An error is the host's code.
pub(crate) fn start(ctx: i32, redirects: u32, head: &[u8], body: Upload<'_>) -> Result<i32, i32> {
    let (body, len) = match body {
        Upload::Whole(body) => (body.as_ptr(), body.len()),
        Upload::Passed => (head.as_ptr(), PASSED),
        Upload::Follows => (head.as_ptr(), FOLLOWS),
    };
    // SAFETY: both ranges are borrowed for the length of the call, and only read; where the length
    // is none, the host reads nothing there.
    handle(unsafe { fetch_start(ctx, redirects, head.as_ptr(), head.len(), body, len) })
}

/// Writes a piece of the request's body, and tells how much of it was taken; an empty one is the
/// end. An error is the host's code.
pub(crate) fn write(fetch: i32, piece: &[u8]) -> Result<usize, i32> {
    // SAFETY: the range is borrowed for the length of the call, and only read.
    let code = unsafe { fetch_write(fetch, piece.as_ptr(), piece.len()) };
    usize::try_from(code).map_err(|_| code)
}

/// The encoded head of the response, or failure, of a fetch that has one.
pub(crate) fn head(fetch: i32) -> Bytes {
    // SAFETY: `sized` hands over a pointer to `cap` bytes that are the guest's to be written.
    sized(HEAD, |ptr, cap| unsafe { fetch_head(fetch, ptr, cap) }).unwrap_or_default().into()
}

/// Reads the next piece of the response's body into a range that is not empty, and returns its
/// length: 0 at the end. An error is the host's code.
pub(crate) fn read(fetch: i32, room: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: the range is exclusively borrowed for the length of the call.
    let code = unsafe { fetch_read(fetch, room.as_mut_ptr(), room.len()) };
    usize::try_from(code).map_err(|_| code)
}

/// Gives a handle back, and ends what is left of the fetch.
pub(crate) fn give_up(fetch: i32) {
    fetch_drop(fetch);
}
