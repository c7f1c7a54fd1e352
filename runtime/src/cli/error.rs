//! Reports the error of a command.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::output;

/// Ends the program with this exit code. The reason was reported.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
pub(super) struct ExitWith(pub(super) u8);

/// The error of a command line, without clap's advice to pass an unknown flag as
/// a file, and with the name of the variable if the value is not that of a flag.
pub(super) fn clarified(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let advice = error.get(ContextKind::Suggested).map(ToString::to_string);
            if advice.is_some_and(|advice| advice.contains(" as a value")) {
                error.remove(ContextKind::Suggested);
            }
        }
        ErrorKind::ValueValidation => {
            if let Some(name) =
                error.get(ContextKind::InvalidArg).and_then(|arg| variable(arg, args))
            {
                error.insert(ContextKind::InvalidArg, ContextValue::String(name));
            }
        }
        _ => {}
    }
    error
}

/// The variable that has the value of a flag, if the flag is not among `args`.
fn variable(flag: &ContextValue, args: &[OsString]) -> Option<String> {
    let shown = flag.to_string();
    let name = shown.split_whitespace().next()?.strip_prefix("--")?;
    let flag = format!("--{name}");
    let is_flag = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        arg.split_once('=').map_or(&*arg, |(flag, _)| flag) == flag
    };
    let variable = format!("HOURGLASS_{}", name.to_uppercase().replace('-', "_"));
    (env::var_os(&variable).is_some() && !args.iter().any(is_flag)).then_some(variable)
}

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
    if let Some(ExitWith(code)) = error.downcast_ref() {
        return (*code).into();
    }
    // The reader of standard output has closed it, as `head` does.
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_closed) {
        return ExitCode::SUCCESS;
    }
    output::message(&format!("error: {}", chain(error)));
    ExitCode::FAILURE
}

/// The error with its causes, but without a cause that it already quotes.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_shown_once() {
        let error = anyhow!("refused").context("nothing listens (refused)").context("no list");
        assert_eq!(chain(&error), "no list: nothing listens (refused)");
    }
}
