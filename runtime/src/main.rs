//! The program. Everything it does is in [`hourglass::cli`]; here an error
//! becomes an exit code.

use std::process::ExitCode;

/// Buffers are allocated by one thread and freed by another, at which the
/// system's allocator makes the threads wait for each other.
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
