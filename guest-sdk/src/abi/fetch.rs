//! Requests to other hosts, each identified by a handle.

use bytes::Bytes;

use super::{check, length, sized};

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
    /// Closes a handle, and ends the rest of the fetch.
    #[link_name = "fetch_drop"]
    pub(crate) safe fn close(fetch: i32);
}

/// The largest head of a response that takes a single call, in bytes.
const HEAD: usize = 2048;

/// The length that announces a body written later, and the one that forwards the invocation's own
/// request body.
const FOLLOWS: usize = hourglass_abi::BODY_FOLLOWS as usize;
const PASSED: usize = hourglass_abi::BODY_PASSED as usize;

/// The body of a fetch's request.
#[derive(Clone, Copy)]
pub(crate) enum Upload<'a> {
    Whole(&'a [u8]),
    /// The rest of the body of the function's own request.
    Passed,
    /// The body is written later.
    Follows,
}

/// Starts a fetch, and returns its handle. An error is the host's code.
pub(crate) fn start(ctx: i32, redirects: u32, head: &[u8], body: Upload<'_>) -> Result<i32, i32> {
    let (body, len) = match body {
        Upload::Whole(body) => (body.as_ptr(), body.len()),
        Upload::Passed => (head.as_ptr(), PASSED),
        Upload::Follows => (head.as_ptr(), FOLLOWS),
    };
    // SAFETY: both ranges are borrowed for the duration of the call, and only read. If the length
    // is one of the two special values, the host reads nothing at the body's pointer.
    check(unsafe { fetch_start(ctx, redirects, head.as_ptr(), head.len(), body, len) })
}

/// Writes a piece of the request's body, and returns the number of bytes that were accepted. An
/// empty piece ends the body. An error is the host's code.
pub(crate) fn write(fetch: i32, piece: &[u8]) -> Result<usize, i32> {
    // SAFETY: the range is borrowed for the length of the call, and only read.
    length(unsafe { fetch_write(fetch, piece.as_ptr(), piece.len()) })
}

/// Returns the encoded head of the response, or the failure, of a fetch that has one.
pub(crate) fn head(fetch: i32) -> Bytes {
    // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
    sized(HEAD, |ptr, cap| unsafe { fetch_head(fetch, ptr, cap) }).unwrap_or_default().into()
}

/// Reads the next piece of the response's body into a range that is not empty, and returns its
/// length: 0 at the end. An error is the host's code.
pub(crate) fn read(fetch: i32, buffer: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: the range is exclusively borrowed for the duration of the call.
    length(unsafe { fetch_read(fetch, buffer.as_mut_ptr(), buffer.len()) })
}
