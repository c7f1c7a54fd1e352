//! `hourglass completions`: the script that completes its commands in a shell.

use clap_complete::Shell;

use super::output;

/// Prints a script with which a shell completes commands and flags.
///
/// bash reads it from ~/.local/share/bash-completion/completions/hourglass, zsh
/// from a directory of $fpath as _hourglass, and fish from
/// ~/.config/fish/completions/hourglass.fish.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, mut command: clap::Command) -> anyhow::Result<()> {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(output::body(&script)?)
}
