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
//! - `exchange`: one request, its context, and its response; `paced`: the body
//!   of the former; `framing`: where the latter ends; `untaken`: what is held of
//!   it until its client takes it.
//! - `values`: what is known of a request, as values of its context.
//! - [`Remote`]: a function on another host, to be called from this one.
//! - `problem`: the document that a client gets instead of a response.
//!
//! This is the only module that names the HTTP server library, and the only
//! one that knows which status a failure has.

pub(crate) mod admin;
mod connection;
mod exchange;
mod framing;
mod h2;
mod paced;
mod pattern;
mod problem;
mod remote;
pub mod routes;
mod server;
mod socket;
mod tls;
mod untaken;
mod values;
mod workers;

pub use admin::{Admin, Token, TokenError};
pub use remote::{Remote, RemoteError};
pub use routes::{Route, RouteError, Routes};
#[cfg(test)]
pub(crate) use server::PATIENCE;
pub use server::{Drained, Server};
pub use tls::{Tls, TlsError};
