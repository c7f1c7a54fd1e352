//! Limits that the host enforces.

/// The longest name of a function, in bytes.
pub const FUNCTION_NAME: usize = 64;
/// The longest head of a request or a response, in bytes as it is encoded.
pub const HEAD: usize = 64 << 10;
/// The most headers in a head.
pub const HEADERS: usize = 256;
/// The longest text of a function that the host quotes in an error, in bytes.
pub const QUOTE: usize = 256;
/// The longest name of a context value that a function sets, in bytes.
pub const VALUE_NAME: usize = 128;
/// The longest context value that a function sets, in bytes.
pub const VALUE: usize = 4096;
/// The most fields of a log record.
pub const LOG_FIELDS: u32 = 64;
/// The most derived contexts at once.
pub const CONTEXTS: usize = 4_096;
/// The most handles of calls at once.
pub const CALLS: usize = 4_096;
/// The most handles of fetches at once.
pub const FETCHES: usize = 1_024;
