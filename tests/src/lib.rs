//! What the end-to-end tests share: real guests, made by the real compiler, in front of them real
//! sockets, and ways to learn *when* something happens rather than to wait and hope.
//!
//! # Layout
//! - [`guests`]: builds the functions under test.
//! - [`modules`]: makes modules by hand that no compiler would.
//! - [`host`]: a runtime, and a server on a free port.
//! - [`client`]: an HTTP client that sends exactly what it is told to.
//! - [`http2`]: one for HTTP/2.
//! - [`hung`]: a file system that never answers.
//! - [`input`]: a request body that the test feeds.
//! - [`lines`]: what guests print.
//! - [`tls`]: certificates, and clients that trust them.
//! - [`process`]: what this process holds of the system.
//! - [`program`]: the program under test.

pub mod client;
pub mod guests;
pub mod host;
pub mod http2;
pub mod hung;
pub mod input;
pub mod lines;
pub mod modules;
mod names;
pub mod poll;
pub mod process;
pub mod program;
pub mod tls;
pub mod upstream;
