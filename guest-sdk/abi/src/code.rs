//! Results of host functions that are not a length or a handle.

/// Success.
pub const OK: i32 = 0;
/// The context is canceled.
pub const CANCELED: i32 = -1;
/// The context's deadline has passed.
pub const DEADLINE_EXCEEDED: i32 = -2;
/// There is no such value.
pub const ABSENT: i32 = -3;
/// An argument is invalid.
pub const INVALID: i32 = -4;
/// The body ended before it was complete.
pub const BODY_FAILED: i32 = -5;
/// The value's name is reserved for the host.
pub const RESERVED: i32 = -6;
