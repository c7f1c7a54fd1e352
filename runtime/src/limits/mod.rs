//! Limits: what one invocation of a function may use, and the tools that
//! enforce such limits.
//!
//! # Layout
//! - [`Limits`]: the limits of a function.
//! - `fixed`: limits that are the same for all functions.
//! - `bytes`: byte budgets.
//! - `stall`: the stall timeout of a peer.
//! - `log_rate`: limits on the log output of a function.

pub(crate) mod bytes;
pub(crate) mod fixed;
pub(crate) mod log_rate;
#[cfg(feature = "server")]
pub(crate) mod stall;

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use crate::schema::settings;
#[cfg(feature = "cli")]
use crate::schema::{Count, Period, Size};

settings! {
    /// The limits of one invocation. Each function has its own.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Limits {
        /// Time from the admission of an invocation until its context is done.
        ///
        /// An earlier deadline of the caller applies.
        pub timeout: Duration = Duration::from_secs(10), Period::POSITIVE;
        /// Time after that for the function to clean up and respond; then it is
        /// interrupted.
        pub grace: Duration = Duration::from_millis(100), Period::ANY;
        /// The most linear memory of an instance.
        ///
        /// In bytes, in whole Wasm pages of 64 KiB; more than 4 GiB counts as
        /// 4 GiB.
        pub memory: u64 = mib(128), Size::within(64 << 10, 4 << 30);
        /// The longest body of a request.
        ///
        /// In bytes.
        pub request_body: u64 = mib(10), Size::ANY;
        /// The longest body of a response.
        ///
        /// In bytes; [`u64::MAX`] stands for no limit. A streamed response may
        /// then have any length, and `memory` bounds one that is buffered.
        pub response_body: u64 = u64::MAX, Size::POSITIVE, "no limit";
        /// The most calls of other functions by one invocation.
        ///
        /// [`Function::calls`](crate::Function::calls) says which functions it
        /// may call.
        pub max_calls: u32 = 1_000, Count::ANY;
        /// The most requests to other hosts by one invocation, redirects not
        /// counted.
        ///
        /// [`Function::allow_hosts`](crate::Function::allow_hosts) says which
        /// hosts it may reach.
        pub max_fetches: u32 = 1_000, Count::ANY;
        /// The most of these requests in flight at once.
        pub fetches_at_once: u32 = 64, Count::POSITIVE;
        /// The longest body of another host's response.
        ///
        /// In bytes.
        pub fetch_body: u64 = mib(10), Size::POSITIVE;
        /// Time that an invocation may continue after its client has
        /// disconnected, and its detached calls after its own end.
        ///
        /// The client is one of the HTTP [front](crate::http). A detached call
        /// runs under a context without cancel.
        pub detach: Duration = Duration::ZERO, Period::ANY;
    }
}

/// A quarter of the process's file descriptors, at most a million: the part for
/// one use by functions. Clients need the others.
pub(crate) fn quarter_of_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (limit / 4).min(1 << 20) as usize
}

/// Mebibytes in bytes.
pub const fn mib(n: u64) -> u64 {
    n.saturating_mul(1 << 20)
}
