//! The host's log.

use std::fmt::Display;

use super::length;
use crate::abi::TYPED;
use crate::record::{Fields, shown};
use crate::wire;

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log_now(level: i32, ptr: *const u8, len: usize) -> i32;
}

/// The most that is sent of a message, in bytes.
const MESSAGE: usize = 8 << 10;

/// The host's number for the level `error`, and the target of this crate's own records.
const ERROR: i32 = 1;
const TARGET: &str = "hourglass_sdk";

/// Sends a record, and returns the last level that the host logs, if the host reports it.
pub(crate) fn send(
    level: i32,
    target: &str,
    message: impl Display,
    fields: &Fields,
) -> Option<usize> {
    let record = wire::record(&shown("", message, MESSAGE), target, fields.pairs());
    log(level | TYPED as i32, &record)
}

/// Logs an error of this crate or of the handler.
#[cold]
pub(crate) fn error(message: impl Display, fields: &Fields) {
    let _ = send(ERROR, TARGET, message, fields);
}

/// Logs an encoded record at a level, or nothing at level 0, and returns the last level that the
/// host logs, if the host reports it.
pub(crate) fn log(level: i32, record: &[u8]) -> Option<usize> {
    // SAFETY: the range is borrowed for the duration of the call, and only read.
    length(unsafe { log_now(level, record.as_ptr(), record.len()) }).ok()
}
