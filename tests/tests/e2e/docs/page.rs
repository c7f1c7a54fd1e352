//! The blocks of a page.

use std::fs;

use anyhow::{Result, bail, ensure};
use hourglass_tests::guests::repository;

/// A page of the documentation.
pub(crate) struct Page {
    /// Its path in the repository.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block.
pub(crate) struct Block {
    /// The line of its first fence.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What happens to a block.
pub(crate) enum Kind {
    Script,
    Console,
    Excerpt(String),
    File(String),
    Doctest,
    Unchecked,
    Text,
}

impl Kind {
    /// Whether its commands are run.
    pub(crate) fn is_run(&self) -> bool {
        matches!(self, Self::Script | Self::Console)
    }

    fn new(info: &str) -> Result<Self> {
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        Ok(match (language, rest) {
            (_, "no-test") => Self::Unchecked,
            ("sh", "") => Self::Script,
            ("console", "") => Self::Console,
            ("rust", "") => Self::Doctest,
            ("text" | "json", "") => Self::Text,
            (_, "") => bail!("name a file for this block, or mark it `no-test`"),
            ("sh" | "console", _) => bail!("{rest:?} is no mark of a command"),
            (_, path) if repository().join(path).exists() => Self::Excerpt(path.to_owned()),
            (_, path) => Self::File(path.to_owned()),
        })
    }
}

/// All pages.
pub(crate) fn all() -> Result<Vec<Page>> {
    let mut names = vec!["README.md".to_owned(), "examples/README.md".to_owned()];
    for entry in fs::read_dir(repository().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    names.sort_unstable();
    names.into_iter().map(read).collect()
}

/// A page by its path in the repository.
pub(crate) fn read(name: String) -> Result<Page> {
    let text = fs::read_to_string(repository().join(&name))?;
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, number) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                // An attribute of a doctest follows a comma: `rust,no_run`.
                let info = info.replacen(",no_run", "", 1);
                let kind = Kind::new(&info).map_err(|e| e.context(format!("{name}:{number}")))?;
                open = Some(Block { line: number, kind, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => ensure!(
                !line.starts_with("    ") && !line.trim_start().starts_with("```"),
                "{name}:{number}: a block begins with a fence at the start of a line"
            ),
        }
    }
    ensure!(open.is_none(), "{name}: the last block does not end");
    Ok(Page { name, text, blocks })
}

/// The commands of a `console` block, each with the output that follows it. A line that ends in `\`
/// continues on the next.
pub(crate) fn commands(block: &str) -> impl Iterator<Item = (String, String)> {
    block.split("\n$ ").map(|part| {
        let part = part.strip_prefix("$ ").unwrap_or(part);
        let mut lines = part.lines();
        let (mut command, mut more) = (String::new(), true);
        while let Some(line) = more.then(|| lines.next()).flatten() {
            command += &format!("{line}\n");
            more = line.ends_with('\\');
        }
        (command, lines.map(|line| format!("{line}\n")).collect())
    })
}
