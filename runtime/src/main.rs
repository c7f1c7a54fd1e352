//! The program. [`hourglass::cli`] implements it; `main` only turns an error
//! into an exit code.

use std::process::ExitCode;

/// Buffers are allocated on one thread and freed on another. The system's
/// allocator makes the threads contend for its locks in that case.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match hourglass::cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            error.exit_code()
        }
    }
}
