//! Limits: what one invocation of a function may use, and the tools that
//! enforce such limits.
//!
//! # Layout
//! - [`Limits`]: the limits of a function.
//! - `fixed`: limits that are the same for all functions.
//! - `bytes`: byte budgets.
//! - `stall`: the stall timeout of a peer.
//! - `log_rate`: how much a function may log per second.

pub(crate) mod bytes;
pub(crate) mod fixed;
pub(crate) mod log_rate;
#[cfg(feature = "server")]
pub(crate) mod stall;

use std::time::Duration;

/// The bounds of one invocation. Every function has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long after admission the invocation's context becomes done.
    /// Default 10 seconds. A caller's earlier deadline wins.
    pub timeout: Duration,
    /// How long after its context is done the guest may go on, to tidy up and
    /// answer; then it is interrupted. Default 100 milliseconds.
    pub grace: Duration,
    /// The most linear memory in bytes, in whole Wasm pages of 64 KiB.
    /// Default 128 MiB; more than 4 GiB counts as 4 GiB.
    pub memory: u64,
    /// The largest request body in bytes. Default 10 MiB.
    pub request_body: u64,
    /// The largest response body in bytes. Default [`u64::MAX`], which is none:
    /// one that is handed on piece by piece may have any length, and one that is
    /// held as a whole has its bound in `memory`.
    pub response_body: u64,
    /// How many calls of other functions one invocation may make in all.
    /// Default 1,000. Which it may call is not a limit's business: see
    /// [`Function::calls`](crate::Function::calls).
    pub max_calls: u32,
    /// How many requests to other hosts one invocation may make in all, those
    /// that redirects lead to not counted. Default 1,000. Whom it may ask is not a limit's business: see
    /// [`Function::allow_hosts`](crate::Function::allow_hosts).
    pub max_fetches: u32,
    /// How many of them may be under way at once. Default 64.
    pub fetches_at_once: u32,
    /// The longest response of another host, in bytes. Default 10 MiB.
    pub fetch_body: u64,
    /// How long what a client or a caller asked for may go on without them:
    /// after a client of the [front](crate::http) has left, before the
    /// invocation is canceled; and after the invocation's own end, what it
    /// started under a context without cancel. Default zero: not at all.
    pub detach: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            grace: Duration::from_millis(100),
            memory: mib(128),
            request_body: mib(10),
            response_body: u64::MAX,
            max_calls: 1_000,
            max_fetches: 1_000,
            fetches_at_once: 64,
            fetch_body: mib(10),
            detach: Duration::ZERO,
        }
    }
}

/// Mebibytes in bytes.
pub const fn mib(n: u64) -> u64 {
    n.saturating_mul(1 << 20)
}
