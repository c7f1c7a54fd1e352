//! The endpoints that the dashboard reads. `hourglass top` reads the same ones.
//!
//! # Layout
//! - [`events`]: the stream of what happens: [`overview`], once a second;
//!   [`live`], the invocations in flight; and the requests that were recorded.
//! - [`recordings`]: recorded requests, as JSON; [`functions`]: the functions.
//! - [`invoke`]: runs a function once.
//! - [`time`]: moments and durations, as JSON.

pub(super) mod events;
pub(super) mod functions;
pub(super) mod invoke;
mod live;
mod overview;
pub(super) mod recordings;
mod time;
