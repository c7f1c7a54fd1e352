//! The host's log.

use super::length;

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log_now(level: i32, ptr: *const u8, len: usize) -> i32;
}

/// Logs an encoded record at a level, or nothing at level 0, and returns the last level that the
/// host logs. An error is the host's code.
pub(crate) fn log(level: i32, record: &[u8]) -> Result<usize, i32> {
    // SAFETY: the range is borrowed for the duration of the call, and only read.
    length(unsafe { log_now(level, record.as_ptr(), record.len()) })
}
