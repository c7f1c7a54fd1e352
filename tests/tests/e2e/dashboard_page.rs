//! The page of the dashboard in a real browser, against the real program. `.ci/dashboard` installs
//! what that needs. Without it, this prints what is missing and is skipped.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use hourglass_tests::guests::{module, repository};
use hourglass_tests::program::Serving;

use super::command::{hourglass, path};

/// The examples that the browser uses, with their settings.
const EXAMPLES: [(&str, &str); 9] = [
    ("fanout", "calls = [\"price\"]\n"),
    ("hello", ""),
    // Time to write the picture after its deadline, also on a busy machine.
    ("mandelbrot", "grace = \"5s\"\n"),
    ("markdown", ""),
    ("pipeline", "calls = [\"markdown\", \"word-count\", \"summary\"]\n"),
    ("price", "public = false\n"),
    ("spin", ""),
    ("summary", "public = false\n"),
    ("word-count", "public = false\n"),
];

/// What is missing for a test in a browser.
fn missing() -> Option<&'static str> {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !has("node") {
        Some("there is no node")
    } else if !Path::new("/usr/bin/chromium").exists() && std::env::var_os("CHROMIUM").is_none() {
        Some("there is no Chromium")
    } else if !repository().join("dashboard/node_modules").exists() {
        Some("`npm ci` was not run in dashboard")
    } else {
        None
    }
}

#[test]
fn a_browser_sees_what_the_host_does() -> Result<()> {
    if let Some(missing) = missing() {
        // `stderr` directly, which the test harness does not capture.
        writeln!(std::io::stderr(), "skipped: the dashboard in a browser: {missing}")?;
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hourglass.toml");
    let mut config = "admin = \"127.0.0.1:0\"\n".to_owned();
    for (name, settings) in EXAMPLES {
        write!(config, "[function.{name}]\nfile = {:?}\n{settings}", module(name))?;
    }
    fs::write(&file, config)?;
    let serving = Serving::start(&mut hourglass(&["serve", path(&file)]))?;
    let url = format!("http://{}", serving.admin());
    let dashboard = repository().join("dashboard");
    let tests = fs::read_dir(dashboard.join("test/browser"))?;
    let tests: Vec<_> = tests.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let tests = tests.iter().filter(|path| path.to_string_lossy().ends_with(".test.mjs"));
    let mut node = Command::new("node");
    node.args(["--test", "--test-concurrency=1"]).args(tests);
    let ended = node.current_dir(&dashboard).env("DASHBOARD_URL", url).output()?;
    let said = String::from_utf8_lossy(&ended.stdout);
    ensure!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
