//! Builds functions: finds the crates that are functions, sees to it that the
//! compiler can build for their target, and builds them.
//!
//! Three calls, in this order, are the whole of it:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hourglass::build;
//!
//! let mut progress = build::progress::to_stderr();
//! let path = std::path::Path::new("examples");
//! let functions = build::functions(path)?;
//! build::target::ensure(path, &mut *progress)?;
//! for built in build::build(&functions, &mut *progress) {
//!     match built.outcome {
//!         Ok(wasm) => println!("{}: {}", built.function.name(), wasm.display()),
//!         Err(failure) => eprintln!("{failure}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! - `crates`: which crates under a path are functions.
//! - [`target`]: the `wasm32-wasip1` target, and the ways to get it: rustup
//!   (`rustup`), or Debian's packages (`debian` finds and unpacks them,
//!   `stdlib` compiles them).
//! - `cargo`: one cargo call for all functions of a workspace; `messages`
//!   reads what it says.
//! - [`progress`]: how the caller learns how far it is.
//! - `command`: running another program, within a time and with its words
//!   kept; `running` ends those that run; `compiler` asks rustc about itself.
//!
//! Everything here blocks its thread: call it before an async runtime starts,
//! or from a thread where blocking is allowed. Nothing here writes to stdout.

mod cargo;
mod command;
mod compiler;
mod crates;
mod debian;
mod messages;
pub mod progress;
mod running;
mod rustup;
mod stage;
mod stdlib;
mod suites;
pub mod target;

pub use cargo::{BuildFailure, Built, build};
pub use command::CommandError;
pub use crates::{FunctionCrate, FunctionsError, functions};
pub use progress::Progress;
pub use running::kill_running;
pub use target::TARGET;
