//! The command line: errors, and text that is escaped on the terminal.

use std::fs;

use anyhow::Result;
use hourglass_tests::modules;

use super::command::{hourglass, path, run};

#[test]
fn names_from_a_module_are_escaped_on_the_terminal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut module = modules::Module::with_memory(1);
    module.import(
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31mOK would deploy",
        "x\nfake line: would deploy\u{202e}\u{9b}2J",
        modules::takes(0),
    );
    module.code(0, |_| ());
    let file = folder.path().join("esc\u{1b}[2J\nx.wasm");
    fs::write(&file, module.finish())?;
    for command in ["check", "serve", "invoke"] {
        let said = run(&mut hourglass(&[command, path(&file)]))?;
        assert_eq!(said.status.code(), Some(1), "{command}");
        let all = said.out + &said.err;
        let is_bad = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
        assert!(!all.contains(is_bad), "{command}: {all:?}");
        assert!(all.lines().count() <= 2, "{command}: {all}");
    }
    Ok(())
}

#[test]
fn a_command_line_error_suggests_a_fix() -> Result<()> {
    for (arguments, variable, instead) in [
        (&["--timeout", "0s"][..], None, "`10s`"),
        (&["--memory", "8GiB"], None, "64KiB to 4GiB"),
        (&["--memory", "1KiB"], None, "64KiB to 4GiB"),
        (&["--response-body", "0"], None, "`10MiB`"),
        (&["--fetches-at-once", "0"], None, "from 1 to 4294967295"),
        (&["--head-timeout", "0s"], None, "`10s`"),
        (&["--log", "verbose"], None, "error, warn, info, debug and trace"),
        (&[], Some(("HOURGLASS_LOG", "hourglas=debug")), "error, warn, info, debug and trace"),
        (&[], Some(("HOURGLASS_TIMEOUT", "0s")), "`10s`"),
        (&[], Some(("HOURGLASS_TIMEOUT", "0s")), "for 'HOURGLASS_TIMEOUT'"),
        (&["--timeout=0s"], Some(("HOURGLASS_TIMEOUT", "1s")), "for '--timeout <TIME>'"),
        (&[], Some(("HOURGLASS_TIMEOUT", "")), "HOURGLASS_TIMEOUT is empty"),
        (&[], Some(("HOURGLASS_TLS_CERT", "")), "HOURGLASS_TLS_CERT is empty"),
        (&["--max-in-flight", "0"], None, "from 1 to 4294967295"),
        (&["--max-functions", "0"], None, "from 1 to 4294967295"),
        (&["--admin-token", "hush"], None, "at least 16"),
        (&[], Some(("HOURGLASS_ADMIN_TOKEN", "hush")), "HOURGLASS_ADMIN_TOKEN"),
    ] {
        let mut command = hourglass(&["serve", "none.wasm"]);
        let said = run(command.args(arguments).envs(variable))?;
        assert_eq!(said.status.code(), Some(2), "{arguments:?} {variable:?}: {}", said.err);
        assert!(said.err.contains(instead), "{arguments:?} {variable:?}: {}", said.err);
        assert!(!said.err.contains("hush"), "{}", said.err);
    }
    for flag in ["--port", "-v", "--config"] {
        let said = run(&mut hourglass(&["serve", flag, "none.wasm"]))?;
        assert_eq!(said.status.code(), Some(2), "{flag}: {}", said.err);
        assert!(said.err.contains(flag) && !said.err.contains("-- -"), "{}", said.err);
    }
    let said = run(&mut hourglass(&["cancel", "x"]))?;
    assert!(said.err.contains("the number that `hourglass ps` shows"), "{}", said.err);
    for (arguments, instead) in [
        (["-X", "get"], "write `GET`"),
        (["--method", "Post"], "write `POST`"),
        (["--method", "a b"], "such as `GET`"),
        (["--path", "hello"], "write `/hello`"),
        (["--path", "http://h/a"], "begins with `/`"),
        (["--path", "/a#b"], "`%23`"),
        (["--path", "/a b"], "`%20`"),
    ] {
        let said = run(hourglass(&["invoke", "none.wasm"]).args(arguments))?;
        assert_eq!(said.status.code(), Some(2), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(instead), "{arguments:?}: {}", said.err);
    }
    Ok(())
}

#[test]
fn arguments_are_escaped_on_the_terminal() -> Result<()> {
    let value = "\u{9b}2J\u{202e}\u{1b}[2Jx";
    let said = run(&mut hourglass(&["serve", "none.wasm", "--timeout", value]))?;
    assert_eq!(said.status.code(), Some(2));
    assert!(said.err.contains("is not a time"), "{}", said.err);
    let is_bad = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
    assert!(!said.err.contains(is_bad), "{:?}", said.err);
    Ok(())
}
