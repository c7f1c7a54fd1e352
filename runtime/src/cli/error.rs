//! How a command fails: what is said, and the exit code.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use super::output;

/// Why a command did not do what it was told to.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    /// The command line can't be read, or asks for help.
    Usage(clap::Error),
    Failed(anyhow::Error),
}

impl Error {
    /// Says on standard error what went wrong and what to do; a text that was
    /// asked for, such as the help, goes to standard output.
    pub fn print(&self) {
        match &self.0 {
            Kind::Usage(error) if error.use_stderr() => usage(error),
            // Where nobody listens nothing can be done about it.
            Kind::Usage(error) => drop(error.print()),
            Kind::Failed(error) if is_closed(error) => {}
            Kind::Failed(error) => output::tell(&format!("error: {error:#}")),
        }
    }

    /// 2 where the command line can't be read, 0 where it asks for help or
    /// where the reader of standard output has left, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match &self.0 {
            Kind::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2).into(),
            Kind::Failed(error) if is_closed(error) => ExitCode::SUCCESS,
            Kind::Failed(_) => ExitCode::FAILURE,
        }
    }
}

/// Tells of a mistake on the command line, which repeats the value that is wrong.
fn usage(error: &clap::Error) {
    let text = error.render();
    if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        output::tell_colored(text.ansi().to_string().trim_end());
    } else {
        output::tell(text.to_string().trim_end());
    }
}

/// Whether the reader of standard output has left, as `head` does: it has what
/// it wanted.
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
