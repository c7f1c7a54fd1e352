//! The HTTP front: connections in, invocations out.
//!
//! # Layout
//! - [`Server`]: accepts connections, and ends them in order.
//! - [`Admin`]: the same for operators, apart from clients.
//! - `workers`: the threads that serve connections.
//! - `connection`: one of them, from its first byte to its last; `socket`: what
//!   is below it; `h2`: what HTTP/2 needs beside.
//! - [`Tls`]: how they are encrypted.
//! - [`routes`]: which function a path belongs to, and what may come along;
//!   `pattern`: what a route may look like.
//! - `accept`: how connections come in, also where the system has no room.
//! - `header_limits`: how large a request's head may be; `refusal`: requests that
//!   are refused before a function is looked for.
//! - `exchange`: one request, its context, and its response; `paced`: the body
//!   of the former; `framing`: where the latter ends; `untaken`: what is held of
//!   it until its client takes it.
//! - `unread`: what an HTTP/2 client still sends after its answer; `linger`: how
//!   long any client may do so.
//! - `values`: what is known of a request, as values of its context.
//! - [`Remote`]: a function on another host, to be called from this one; `target`:
//!   what of it a call may reach.
//! - `problem`: the document that a client gets instead of a response.
//!
//! This is the only module that names the HTTP server library, and the only
//! one that knows which status a failure has.

mod accept;
pub(crate) mod admin;
mod connection;
mod context_values;
mod exchange;
pub(crate) mod header_limits;
mod http2;
mod linger;
mod pattern;
mod problem;
mod refusal;
mod remote;
mod request_body;
mod response_budget;
mod response_head;
pub mod routes;
mod server;
mod socket;
mod target;
mod tls;
mod unread;
mod workers;

pub use admin::{Admin, Token, TokenError};
pub use remote::{Remote, RemoteError};
pub use routes::{Route, RouteError, Routes};
#[cfg(test)]
pub(crate) use server::PATIENCE;
pub use server::{Drained, Server};
pub use tls::{Tls, TlsError};
