//! Shared helpers of the end-to-end tests: real guests built by the real compiler, real sockets,
//! and events to wait for instead of sleeping.
//!
//! # Layout
//! - [`guests`]: builds the functions under test.
//! - [`modules`]: hand-written modules that no compiler would emit.
//! - [`host`]: a runtime, and a server on a free port.
//! - [`client`]: an HTTP/1.1 client that sends exact bytes.
//! - [`collector`]: a collector of traces and logs.
//! - [`http2`]: an HTTP/2 client, and raw frames.
//! - [`hung`]: a file system that never answers.
//! - [`input`]: a request body that the test feeds.
//! - [`lines`]: the recorded output of guests.
//! - [`tls`]: certificates, and clients that trust them.
//! - `names`: checks that recorded functions have unique names.
//! - [`poll`]: waits for states that have no event.
//! - [`upstream`]: another host for functions to fetch from.
//! - [`process`]: resources of this process, and tests in their own processes.
//! - [`program`]: the program under test; [`terminal`]: in a terminal.
//! - [`tools`]: programs of others.

pub mod client;
pub mod collector;
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
pub mod terminal;
pub mod tls;
pub mod tools;
pub mod upstream;

/// A time that no test reaches.
pub const LONG: std::time::Duration = std::time::Duration::from_secs(600);
