//! The codes, names, limits and encoding that a Hourglass host and its functions share.
//!
//! The reference of the interface, including the functions that use these, is the documentation of
//! `hourglass-sdk`, module `abi`.

#![no_std]

extern crate alloc;

pub mod cause;
pub mod code;
pub mod failure;
pub mod key;
pub mod limit;
pub mod wire;

/// The module that functions import the host's functions from. It ends with the version.
pub const MODULE: &str = "hourglass_v1";

/// The prefix of [`MODULE`] in every version.
pub const MODULE_PREFIX: &str = "hourglass_v";

/// An unknown body length.
pub const UNKNOWN_LENGTH: u64 = u64::MAX;

/// The length of a fetch's body that is written later.
pub const BODY_FOLLOWS: u32 = u32::MAX;

/// The length of a fetch's body that is the rest of the invocation's own request body.
pub const BODY_PASSED: u32 = u32::MAX - 1;

/// Added to the level of a log record if its values have types.
pub const TYPED: u32 = 16;
