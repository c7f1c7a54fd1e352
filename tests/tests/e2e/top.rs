//! `hourglass top`, in a terminal.

use std::future::pending;
use std::process::Command;

use anyhow::Result;
use hourglass::Runtime;
use hourglass::http::Admin;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::terminal::Terminal;
use hourglass_tests::{LONG, lines, program};
use http::Method;
use rustix::process::Signal;
use tokio::sync::oneshot;

use super::command::{PROGRAM, fails};

const SIZE: (u16, u16) = (100, 30);

/// Starts an admin listener for a runtime in the background, and returns its address.
async fn admin(runtime: &Runtime) -> Result<String> {
    let admin = Admin::bind("127.0.0.1:0", runtime.clone()).await?;
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    Ok(address.to_string())
}

/// The command, so that it controls its terminal.
fn top(address: &str) -> Command {
    let mut command = program::command("setsid", &["--ctty", PROGRAM, "top", "--admin", address]);
    command.env_remove("NO_COLOR");
    command
}

/// The program in its terminal, once it shows the host.
fn started(address: &str) -> Result<Terminal> {
    let mut terminal = Terminal::start(top(address), SIZE)?;
    terminal.shows("connected");
    assert!(terminal.screen().alternate_screen() && !terminal.is_cooked()?);
    Ok(terminal)
}

/// Checks that the terminal is as it was.
fn assert_restored(terminal: &Terminal) -> Result<()> {
    assert!(!terminal.screen().alternate_screen(), "{}", terminal.screen().contents());
    assert!(!terminal.screen().hide_cursor() && terminal.is_cooked()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_is_shown_filtered_canceled_and_explained() -> Result<()> {
    let stuck = |name| function(name, "stuck").timeout(LONG).grace(LONG);
    let caller = function("top-caller", "caller").timeout(LONG).grace(LONG).calls(["top-stuck"]);
    let host = Host::serve([caller, stuck("top-stuck"), stuck("top-other")]).await?;
    let mut terminal = started(&admin(&host.runtime).await?)?;

    let (mut client, mut other) = (host.client().await?, host.client().await?);
    client.send("GET /top-caller/hold/top-stuck/2/check HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told_times("top-stuck", "begun", 2).await;
    other.send("GET /top-other/check HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    terminal.press("2")?;
    let shown = terminal.until("a tree", |shown| {
        let of = |name: &str| shown.matches(name).count();
        (of("▾ top-caller"), of("    top-stuck"), of("  top-other")) == (1, 2, 1)
    });
    assert!(shown.contains("Live (4)") && shown.contains("running"), "{shown}");

    terminal.press("/TOP-STUCK\r")?;
    terminal.until("filtered", |shown| {
        shown.contains("▾ top-caller")
            && shown.contains("  top-stuck")
            && !shown.contains("top-other")
    });
    terminal.press("\u{1b}")?;
    terminal.shows("top-other");

    // The oldest invocation is the first.
    terminal.press("gx")?;
    terminal.shows("of top-caller and 2 invocations");
    terminal.press("n")?;
    terminal.until("closed", |shown| !shown.contains("Cancel invocation"));
    terminal.press("xy")?;
    terminal
        .until("canceled", |shown| shown.contains("and 2 below it") && shown.contains("Live (1)"));
    // The caller responds with what became of its calls.
    assert_eq!(client.answer(&Method::GET).await?.body(), b"canceled\ncanceled\n");

    terminal.press("3")?;
    terminal.shows("/top-caller/hold/top-stuck");
    terminal.press("\r")?;
    let shown = terminal.shows("(cause: operator)");
    assert_eq!(shown.matches("✗top-stuck").count(), 2, "{shown}");
    assert!(shown.contains("█") && shown.contains("◆") && shown.contains("begun"), "{shown}");
    terminal.press("\u{1b}")?;
    terminal.shows("OUTCOME");

    terminal.press("q")?;
    assert_eq!(terminal.ended()?.code(), Some(0));
    assert_restored(&terminal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_restores_the_terminal() -> Result<()> {
    let runtime = host::runtime([]);
    let address = admin(&runtime).await?;
    let mut terminal = started(&address)?;
    terminal.press("\u{3}")?;
    assert_eq!(terminal.ended()?.code(), Some(0));
    assert_restored(&terminal)?;
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut terminal = started(&address)?;
        terminal.signal(signal);
        assert_eq!(terminal.ended()?.code(), Some(code), "{signal:?}");
        assert_restored(&terminal)?;
    }
    // By SIGHUP, or because it can't write first.
    let status = started(&address)?.close()?;
    assert!(matches!(status.code(), Some(1 | 129)), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_are_shown_in_any_size_and_without_colors() -> Result<()> {
    let host = Host::serve([function("top-echo", "echo").timeout(LONG)]).await?;
    let address = admin(&host.runtime).await?;
    let has_color = |terminal: &Terminal| {
        let ((columns, rows), screen) = (SIZE, terminal.screen());
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
    };
    let mut terminal = started(&address)?;
    assert_eq!(host.get("/top-echo").await?.status(), 200);
    terminal.until("a function", |shown| shown.contains("top-echo") && shown.contains("MEMORY"));
    assert!(has_color(&terminal));
    terminal.resize(60, 15)?;
    terminal.until("a small screen", |shown| {
        shown.contains("top-echo") && shown.contains("FAILED") && !shown.contains("MEMORY")
    });
    terminal.press("\r")?;
    terminal.shows("response          1");
    drop(terminal);

    let mut command = top(&address);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command, SIZE)?;
    terminal.shows("top-echo");
    assert!(!has_color(&terminal));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_is_reported_and_found_again() -> Result<()> {
    let runtime = host::runtime([]);
    let first = Admin::bind("127.0.0.1:0", runtime.clone()).await?;
    let address = first.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let first = tokio::spawn(first.run(async { drop(stopped.await) }));
    let mut terminal = started(&address.to_string())?;
    drop(stop);
    first.await??;
    terminal.shows("disconnected");
    let second = Admin::bind(address, runtime.clone()).await?;
    tokio::spawn(second.run(pending()));
    terminal.until("connected", |shown| !shown.contains("disconnected"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_name_the_remedy() -> Result<()> {
    let said = tokio::task::spawn_blocking(|| fails(&["top"])).await??;
    assert!(said.contains("needs a terminal") && said.contains("hourglass ps --json"), "{said}");
    // No server has this port, and no test gets it.
    let mut terminal = Terminal::start(top("127.0.0.1:1"), SIZE)?;
    terminal.shows("nothing listens on");
    assert_eq!(terminal.ended()?.code(), Some(1));
    assert_restored(&terminal)
}
