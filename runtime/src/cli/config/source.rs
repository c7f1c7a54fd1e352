//! The text of the file, and errors that point into it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::escape::OneLine;

/// The text of the file. It may hold a secret, so neither `Debug` nor an error
/// shows a value of it.
#[derive(Clone, Default)]
pub(crate) struct Source {
    /// The path of the file. Empty if there is no file.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", OneLine(path.display())))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// The directory of the file, which its paths are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error about the text at `span`, which is in bytes.
    pub(super) fn error(&self, span: Range<usize>, reason: impl ToString) -> anyhow::Error {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let (line, column) =
            (before.matches('\n').count() + 1, before.get(start..).unwrap_or_default());
        let column = column.chars().count() + 1;
        let text = self.shown(line).map(|text| format!("\n  {line} | {text}"));
        anyhow!(
            "{}:{line}:{column}: {}{}",
            OneLine(self.path.display()),
            OneLine(reason.to_string()),
            text.unwrap_or_default()
        )
    }

    /// An error of the TOML parser, or of a value's type.
    pub(super) fn toml_error(&self, error: &toml::de::Error, span: Range<usize>) -> anyhow::Error {
        self.error(error.span().unwrap_or(span), error.message())
    }

    /// A line without its value, which may be a misplaced secret. `None` if it
    /// is unclear which part is the value.
    fn shown(&self, line: usize) -> Option<String> {
        let mut lines = self.text.lines();
        let before: Vec<_> = lines.by_ref().take(line - 1).collect();
        let in_string = |quotes: &str| {
            before.iter().map(|line| line.matches(quotes).count()).sum::<usize>() % 2 == 1
        };
        if in_string("\"\"\"") || in_string("\'\'\'") {
            return None;
        }
        let text = lines.next()?.trim_end();
        let is_key = |char: char| char.is_alphanumeric() || "-_. \t\"[]/".contains(char);
        match text.split_once('=') {
            Some((key, _)) => key.chars().all(is_key).then(|| format!("{} = ...", key.trim_end())),
            None if text.starts_with('[') && text.chars().all(is_key) => Some(text.to_owned()),
            None => None,
        }
    }
}
