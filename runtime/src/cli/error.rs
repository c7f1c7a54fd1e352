//! The error of a command: its message and its exit code.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use super::output;

/// Why a command failed.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    /// The command line is invalid, or asks for help.
    Usage(clap::Error),
    Failed(anyhow::Error),
}

impl Error {
    /// Prints the message to standard error. Requested text, such as the help,
    /// goes to standard output.
    pub fn print(&self) {
        match &self.0 {
            Kind::Usage(error) if error.use_stderr() => usage(error),
            // A closed standard output is not reported.
            Kind::Usage(error) => drop(error.print()),
            Kind::Failed(error) if is_closed(error) => {}
            Kind::Failed(error) => output::tell(&format!("error: {error:#}")),
        }
    }

    /// 2 if the command line is invalid, 0 if it asks for help or the reader of
    /// standard output has closed it, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match &self.0 {
            Kind::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2).into(),
            Kind::Failed(error) if is_closed(error) => ExitCode::SUCCESS,
            Kind::Failed(_) => ExitCode::FAILURE,
        }
    }
}

/// Prints an error about the command line. It quotes the invalid value.
fn usage(error: &clap::Error) {
    let text = error.render();
    if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        output::tell_colored(text.ansi().to_string().trim_end());
    } else {
        output::tell(text.to_string().trim_end());
    }
}

/// Whether the reader of standard output has closed it, as `head` does.
fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl From<clap::Error> for Error {
    fn from(error: clap::Error) -> Self {
        Self(Kind::Usage(error))
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self(Kind::Failed(error))
    }
}
