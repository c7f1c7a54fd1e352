//! The interface of host and guest: the imports of Hourglass and WASI.
//!
//! This is the only module that follows a guest's pointers. Every pointer and
//! length is checked. A range outside the guest's memory traps, a size is
//! bounded before anything is allocated, and nothing here panics.
//!
//! # Layout
//! - [`state`]: what a store holds for its guest.
//! - [`linker`]: everything a guest may import.
//! - [`hourglass`]: the imports of the context ABI.
//! - [`wasi`]: the imports of WASI, preview 1.
//! - [`cgi`]: guests that use standard input as the request and standard output
//!   as the response.
//! - [`capabilities`]: what a function may call and fetch.
//! - [`memory`]: ranges of guest memory, and how long a host call may occupy its
//!   thread.
//! - [`wire`]: the layout of requests, responses and values in memory.
//!
//! The SDK's module `abi` documents the ABI for authors of guests.

/// Adds host functions to a linker, each under its own name: the module that
/// implements them, those that return at once, and those that may wait, which
/// take their arguments as a tuple.
macro_rules! define {
    ($linker:ident, $module:ident: $(
        $file:ident { $($name:ident),* } { $($waits:ident),* },
    )*) => {$(
        $($linker.func_wrap($module, stringify!($name), $file::$name)?;)*
        $($linker.func_wrap_async($module, stringify!($waits), |call: Call<'_>, args| {
            Box::new($file::$waits(call, args))
        })?;)*
    )*};
}

mod capabilities;
mod cgi;
mod hourglass;
mod linker;
mod memory;
mod state;
mod wasi;
mod wire;

pub(crate) use capabilities::{
    CallerInfo, Capabilities, Dispatcher, HeldFailure, HeldResponse, StartedCall,
};
pub(crate) use cgi::{Style, is_requests_own};
pub(crate) use hourglass::is_exchange;
pub(crate) use hourglass_abi::{MODULE, MODULE_PREFIX};
pub(crate) use linker::Linkers;
pub(crate) use state::response::ResponseSender;
pub(crate) use state::run::Inputs;
pub(crate) use state::{State, give_up_at, overdue};
pub(crate) use wasi::Exit;
pub(crate) use wire::too_long;

/// The codes that a host call returns instead of a length.
pub(crate) mod code {
    pub(crate) use hourglass_abi::TYPED;
    pub(crate) use hourglass_abi::code::{
        ABSENT, BODY_FAILED, CANCELED, DEADLINE_EXCEEDED, INVALID, OK, RESERVED,
    };

    use crate::context::Done;

    pub(crate) fn done(done: Done) -> i32 {
        match done {
            Done::Canceled => CANCELED,
            Done::DeadlineExceeded => DEADLINE_EXCEEDED,
        }
    }
}

/// A violation of the ABI. The guest's instance traps.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(String);
