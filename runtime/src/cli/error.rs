//! Reports the error of a command.

use std::io;
use std::process::ExitCode;

use super::output;

/// Prints an error to standard error, and returns the exit code. Requested
/// text, such as the help, goes to standard output.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        if usage.use_stderr() {
            // It quotes the invalid value.
            let text = usage.render();
            match output::is_colored() {
                true => output::colored_message(text.ansi().to_string().trim_end()),
                false => output::message(text.to_string().trim_end()),
            }
        } else {
            // A closed standard output is not reported.
            drop(usage.print());
        }
        return u8::try_from(usage.exit_code()).unwrap_or(2).into();
    }
    // The reader of standard output has closed it, as `head` does.
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_closed) {
        return ExitCode::SUCCESS;
    }
    output::message(&format!("error: {error:#}"));
    ExitCode::FAILURE
}
