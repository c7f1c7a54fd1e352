//! The request and the response.

use super::{check, length, sized};

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    fn request(ptr: *mut u8, cap: usize) -> i32;
    fn body_read(ptr: *mut u8, cap: usize) -> i32;
    fn respond(head: *const u8, head_len: usize, body: *const u8, body_len: usize) -> i32;
    fn respond_begin(head: *const u8, head_len: usize) -> i32;
    fn respond_write(ptr: *const u8, len: usize) -> i32;
}

/// The largest head of a request that takes a single call, in bytes.
const HEAD: usize = 2048;

/// Returns the encoded head of the request.
pub(crate) fn request_head() -> Vec<u8> {
    // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
    sized(HEAD, |ptr, cap| unsafe { request(ptr, cap) }).unwrap_or_default()
}

/// Appends the next piece of the body to `body`, within its spare capacity, and returns its length:
/// 0 at the end. There must be spare capacity.
pub(crate) fn read_body(body: &mut Vec<u8>) -> Result<usize, i32> {
    let buffer = body.spare_capacity_mut();
    // SAFETY: the range is the vector's own spare capacity, which may be written.
    let read = length(unsafe { body_read(buffer.as_mut_ptr().cast(), buffer.len()) })?;
    // SAFETY: the host wrote `read` bytes there, and never more than the length that was passed.
    unsafe { body.set_len(body.len() + read) };
    Ok(read)
}

/// Reads the next piece of the body into a range that is not empty, and returns its length: 0 at
/// the end. An error is the host's code.
pub(crate) fn read(buffer: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: the range is exclusively borrowed for the duration of the call.
    length(unsafe { body_read(buffer.as_mut_ptr(), buffer.len()) })
}

/// Commits the head of a response. An error is the host's code.
pub(crate) fn begin_response(head: &[u8]) -> Result<(), i32> {
    // SAFETY: the range is borrowed for the duration of the call, and only read.
    check(unsafe { respond_begin(head.as_ptr(), head.len()) }).map(drop)
}

/// Writes a piece of the response's body, and returns the number of bytes that were accepted. An
/// error is the host's code.
pub(crate) fn write(piece: &[u8]) -> Result<usize, i32> {
    // SAFETY: as in `begin_response`.
    length(unsafe { respond_write(piece.as_ptr(), piece.len()) })
}

/// Sets the response. An error is the host's code.
pub(crate) fn give_response(head: &[u8], body: &[u8]) -> Result<(), i32> {
    // SAFETY: both ranges are borrowed for the duration of the call, and only read.
    check(unsafe { respond(head.as_ptr(), head.len(), body.as_ptr(), body.len()) }).map(drop)
}
