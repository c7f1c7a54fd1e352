//! `hourglass man`: the manual pages of the program and its commands.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap_mangen::Man;

use super::output;
use crate::escape::OneLine;

/// Writes the manual pages: hourglass.1, and one for each command.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The directory for the pages, such as ~/.local/share/man/man1 [default:
    /// the page of the program, on standard output]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs, command: clap::Command) -> anyhow::Result<()> {
    // The page of each command has its help.
    let command = command.disable_help_subcommand(true);
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return Ok(output::body(&page)?);
    };
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .with_context(|| format!("cannot write pages to {}", OneLine(directory.display())))
}
