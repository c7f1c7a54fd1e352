//! The program under test, as a command.

use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::Result;
use hourglass_tests::program;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hourglass-under-test");

/// The program with these arguments.
pub(crate) fn hourglass(arguments: &[&str]) -> Command {
    program::command(PROGRAM, arguments)
}

/// The output and the exit status of a command.
pub(crate) struct CommandOutput {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<CommandOutput> {
    let output = command.output()?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    Ok(CommandOutput { status: output.status, out, err })
}

/// Runs the program, which must fail, and returns its error output.
pub(crate) fn fails(arguments: &[&str]) -> Result<String> {
    let output = run(&mut hourglass(arguments))?;
    assert_eq!(output.status.code(), Some(1), "{}", output.err);
    assert_eq!(output.out, "");
    Ok(output.err)
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
