//! The pages: each command that they show is run, and its output compared.
//!
//! The info string of a fenced block says what happens to the block:
//!
//! | info string | |
//! |---|---|
//! | `sh` | is run by a shell, and must succeed; `hourglass up` and `hourglass serve` run until the next server or the end of the page |
//! | `console` | each line after `$ ` is run, and its output is compared with the lines below it, as `output` describes |
//! | a language and the path of a file of this repository | is an excerpt of that file |
//! | a language and another file's path | is written to that file |
//! | `rust` without a name | is compiled as a doctest: a crate includes the page |
//! | a language and `no-test` | nothing |
//! | `text`, `json` | nothing |
//!
//! The blocks of a page are run in order, in a directory of the page's own that looks like a clone.
//! `session` has the details.
//!
//! # Layout
//! - `page`: the blocks of a page.
//! - `session`: a directory, a server and a shell for the commands of a page.
//! - `output`: the comparison of outputs.
//! - `links`: the links between pages.

use std::process::Command;
use std::{fs, thread};

use anyhow::{Context as _, Result, anyhow, ensure};
use hourglass_tests::guests::repository;

use page::{Block, Kind, Page};
use session::Session;

mod links;
mod output;
mod page;
mod session;

/// The fewest blocks that are run, over all pages.
const RUN: usize = 38;

/// The most blocks that are marked `no-test`, over all pages.
const MARKED: usize = 5;

#[test]
fn every_command_works_as_shown() -> Result<()> {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: the commands of the pages need curl");
        return Ok(());
    }
    let pages = page::all()?;
    let results: Vec<_> = thread::scope(|scope| {
        let start = |page| (page, scope.spawn(move || run(page)));
        let running: Vec<_> = pages.iter().map(start).collect();
        let failed = |page: &Page| Err(anyhow!("{}: the test panics", page.name));
        running.into_iter().map(|(page, run)| run.join().unwrap_or_else(|_| failed(page))).collect()
    });
    let failures: String =
        results.iter().filter_map(|run| Some(format!("\n{:#}", run.as_ref().err()?))).collect();
    ensure!(failures.is_empty(), failures);
    let run: usize = results.into_iter().flatten().sum();
    let blocks: Vec<_> = pages.iter().flat_map(|page| &page.blocks).collect();
    let commands = blocks.iter().filter(|block| block.kind.is_run()).count();
    let marked = blocks.iter().filter(|block| matches!(block.kind, Kind::Unchecked)).count();
    assert_eq!(run, commands, "blocks are skipped without a mark");
    assert!(run >= RUN, "{run} blocks were run");
    assert!(marked <= MARKED, "{marked} blocks are marked `no-test`");
    Ok(())
}

/// Runs the blocks of a page, and returns how many have commands.
fn run(page: &Page) -> Result<usize> {
    let mut run = 0;
    if !page.blocks.iter().any(|block| block.kind.is_run()) {
        return Ok(run);
    }
    let mut session = Session::new()?;
    for block in &page.blocks {
        step(&mut session, block).with_context(|| format!("{}:{}", page.name, block.line))?;
        run += usize::from(block.kind.is_run());
    }
    session.stop_server()?;
    Ok(run)
}

fn step(session: &mut Session, block: &Block) -> Result<()> {
    match &block.kind {
        Kind::Script => session.run(&block.text),
        Kind::Console => {
            let mut commands = page::commands(&block.text).peekable();
            ensure!(commands.peek().is_some(), "no line begins with `$ `");
            commands.try_for_each(|(command, output)| session.compare(&command, &output))
        }
        Kind::File(path) => session.write(path, &block.text),
        Kind::Excerpt(_) | Kind::Doctest | Kind::Unchecked | Kind::Text => Ok(()),
    }
}

#[test]
fn excerpts_are_equal_to_their_files() -> Result<()> {
    for page in page::all()? {
        for block in &page.blocks {
            let Kind::Excerpt(path) = &block.kind else { continue };
            let file = fs::read_to_string(repository().join(path))?;
            let place = format!("{}:{}", page.name, block.line);
            assert!(file.contains(&block.text), "{place}: {path} has other lines");
        }
    }
    Ok(())
}

#[test]
fn every_page_with_rust_is_a_doctest() -> Result<()> {
    let crates = ["runtime/src/lib.rs", "guest-sdk/src/lib.rs"];
    let crates = crates.map(|file| fs::read_to_string(repository().join(file)));
    let [runtime, sdk] = crates;
    let crates = runtime? + &sdk?;
    for page in page::all()? {
        let has_rust = page.blocks.iter().any(|block| matches!(block.kind, Kind::Doctest));
        let included = crates.contains(&format!("include_str!(\"../../{}\")", page.name));
        assert!(included || !has_rust, "no crate includes {}", page.name);
    }
    Ok(())
}
