//! Limits that the host enforces.

/// The longest name of a function, in bytes.
pub const FUNCTION_NAME: usize = 64;
/// The longest encoded head of a request or a response, in bytes.
pub const HEAD: usize = 64 << 10;
/// The maximum number of headers in a head.
pub const HEADERS: usize = 256;
/// The longest text from a function that the host quotes in an error, in bytes.
pub const QUOTE: usize = 256;
/// The longest name of a context value that a function sets, in bytes.
pub const VALUE_NAME: usize = 128;
/// The longest context value that a function sets, in bytes.
pub const VALUE: usize = 4096;
/// The maximum number of fields of a log record.
pub const LOG_FIELDS: u32 = 64;
/// The maximum number of derived contexts at once.
pub const CONTEXTS: usize = 4_096;
/// The maximum number of call handles at once.
pub const CALLS: usize = 4_096;
/// The maximum number of fetch handles at once.
pub const FETCHES: usize = 1_024;
