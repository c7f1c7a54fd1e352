//! The program. [`hourglass::cli`] implements it.

use std::process::ExitCode;

/// Buffers are allocated on one thread and freed on another. The system's
/// allocator makes the threads contend for its locks in that case.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hourglass::cli::run(std::env::args_os())
}
