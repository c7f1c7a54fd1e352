//! Completions of shells, and manual pages.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::command::{hourglass, path, run};

/// The commands that the help lists.
fn commands() -> Result<Vec<String>> {
    let help = run(&mut hourglass(&["--help"]))?.out;
    let (_, listed) = help.split_once("Commands:\n").context("the help lists commands")?;
    let names = listed.lines().map_while(|line| line.strip_prefix("  "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() > 10 && names.iter().any(|name| name == "serve"), "{names:?}");
    Ok(names)
}

#[test]
fn each_shell_knows_all_commands() -> Result<()> {
    let commands = commands()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&mut hourglass(&["completions", shell]))?.out;
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("drain-delay"), "{shell}");
    }
    Ok(())
}

#[test]
fn bash_completes_a_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("hourglass");
    fs::write(&script, run(&mut hourglass(&["completions", "bash"]))?.out)?;
    let complete = format!(
        "source {} && complete -p hourglass && COMP_WORDS=(hourglass serv) COMP_CWORD=1 && \
         _hourglass hourglass serv hourglass && echo \"${{COMPREPLY[@]}}\"",
        path(&script)
    );
    let output = run(Command::new("bash").args(["-euo", "pipefail", "-c", &complete]))?;
    assert!(output.status.success() && output.err.is_empty(), "{}", output.err);
    assert!(output.out.contains(" -F _hourglass hourglass\n"), "{}", output.out);
    assert!(output.out.ends_with("\nserve\n"), "{}", output.out);
    Ok(())
}

#[test]
fn each_command_has_a_manual_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("man1");
    let output = run(&mut hourglass(&["man", path(&directory)]))?;
    assert!(output.status.success(), "{}", output.err);
    let main = fs::read_to_string(directory.join("hourglass.1"))?;
    assert_eq!(run(&mut hourglass(&["man"]))?.out, main);
    for command in commands()? {
        assert!(main.contains(&format!("hourglass\\-{command}(1)")), "{command}");
        let page = fs::read_to_string(directory.join(format!("hourglass-{command}.1")))?;
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    Ok(())
}
