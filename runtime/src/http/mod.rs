//! The HTTP front: connections in, invocations out.
//!
//! # Layout
//! - [`Server`]: accepts connections and shuts them down in order.
//! - [`Admin`]: the listener for operators, separate from clients.
//! - `accept`: how connections arrive; `backlog`: the last ones; `workers`: the
//!   threads that serve them.
//! - `connection`: a connection, from its first byte to its last; `socket`: the
//!   stream below it; `http2`: limits of HTTP/2; `stop`: its end with the server.
//! - `tls`: encryption.
//! - `routes`: the function that a path belongs to; `pattern`: the patterns of
//!   routes; `route_table`: the routes in force.
//! - `header_limits`: the largest head of a request; `refusal`: requests that are
//!   refused before routing.
//! - `request`: a request, its context, and its response; `request_body`: the
//!   body of the former; `response_head`: the head of the latter.
//! - `unread`: the rest of a request's body after the response; `linger`: for how
//!   long it is read.
//! - `index`: the list of functions at `/`; `health`: whether the host serves.
//! - `reserved`: paths below `/-/`, which the host answers itself; `batch`, `jobs`:
//!   those of batches and of jobs.
//! - [`Remote`]: a function on another host; `target`: the paths that a call may
//!   request there.
//! - `problem`: the problem document of a failure.
//!
//! This is the only module that names the HTTP server library, and the only
//! one that maps failures to responses.

mod accept;
pub(crate) mod admin;
mod backlog;
mod batch;
mod connection;
pub(crate) mod header_limits;
mod health;
mod http2;
mod index;
#[cfg(feature = "jobs")]
mod jobs;
mod linger;
mod pattern;
mod problem;
mod refusal;
mod remote;
mod request;
mod request_body;
mod reserved;
mod response_head;
mod route_table;
mod routes;
mod server;
mod socket;
mod stop;
mod target;
mod tls;
mod unread;
mod workers;

pub use crate::log::access::{AccessFormat, AccessLog};
pub use admin::{Admin, AdminToken, AdminTokenError};
#[cfg(feature = "cli")]
pub(crate) use connection::FAREWELL;
pub use remote::{Remote, RemoteError};
pub use route_table::RouteTable;
pub use routes::{Route, RouteError, Routes};
#[cfg(feature = "cli")]
pub(crate) use server::{DRAIN, RESPONSE_MEMORY, STALL_TIMEOUT};
pub use server::{Drained, Server};
pub use tls::{Tls, TlsError};
