//! Builds functions from source: finds the crates that are functions, adds their
//! target to the compiler, and builds them.
//!
//! Three calls, in this order:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hourglass_build as build;
//!
//! let mut progress = build::Progress::to_stderr();
//! let path = std::path::Path::new("examples");
//! let functions = build::functions(path)?;
//! build::target::ensure(path, &mut progress)?;
//! for built in build::build(&functions, &mut progress) {
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
//! - `crates`: which crates under a path are functions; `dep_info`: the files of a
//!   module.
//! - [`target`]: the `wasm32-wasip1` target, from rustup, or compiled from Debian's
//!   packages (`debian.sh`) if rustup's server can't be reached.
//! - `cargo`: one cargo call for all functions of a workspace; `messages` reads
//!   its output.
//! - [`Progress`]: progress reports for the caller.
//! - `command`: runs another program within a time limit; `running` kills
//!   running programs; `compiler` queries rustc.
//!
//! Everything here blocks its thread: call it before an async runtime starts,
//! or from a thread where blocking is allowed. Nothing here writes to stdout.

mod cargo;
mod command;
mod compiler;
mod crates;
mod dep_info;
mod messages;
mod progress;
mod running;
pub mod target;

pub use cargo::{Built, build};
pub use crates::{FunctionCrate, functions};
pub use progress::{Event, Progress};
pub use running::kill_running;
pub use target::TARGET;
