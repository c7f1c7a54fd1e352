//! The program. Everything it does is in [`hourglass::cli`]; here an error
//! becomes an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match hourglass::cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            error.exit_code()
        }
    }
}
