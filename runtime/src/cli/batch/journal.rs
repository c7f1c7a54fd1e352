//! The file beside the output that says how far the input was started, so that a
//! resumed batch knows which jobs may have run without a result.
//!
//! It is written ahead, once for many jobs. The process may be killed at any
//! moment: what it has written stays with the system. A power failure may lose it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::output::is_kept;
use super::resume::Resume;

/// How many lines are announced at once.
const STEP: u64 = 64;

/// The journal of a batch, if its output is a file.
pub(super) struct Journal(Option<Open>);

struct Open {
    file: File,
    path: PathBuf,
    function: String,
    announced: u64,
}

/// The content.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) function: String,
    /// No line behind this one was started.
    pub(super) started: u64,
}

impl Journal {
    /// Creates the journal of a batch with that output, or continues it.
    pub(super) fn open(output: &Path, function: &str, resume: &Resume) -> anyhow::Result<Self> {
        if !is_kept(output) {
            return Ok(Self(None));
        }
        let path = path(output);
        let before = &resume.function;
        if let Some(before) = before.as_ref().filter(|before| **before != function) {
            bail!(
                "{} has the results of `{before}`; name that function, or another output",
                output.display()
            );
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("{} can't be written", path.display()))?;
        let announced = resume.started;
        let mut open = Open { file, path, function: function.to_owned(), announced };
        open.write(announced)?;
        Ok(Self(Some(open)))
    }

    /// Records that a line starts, before it does.
    pub(super) fn start(&mut self, line: u64) -> io::Result<()> {
        match &mut self.0 {
            Some(open) if line > open.announced => open.write(line + STEP),
            _ => Ok(()),
        }
    }

    /// Removes the journal: nothing is left to resume.
    pub(super) fn remove(&mut self) {
        if let Some(open) = self.0.take() {
            // It only costs a warning-free file if this fails.
            let _ = std::fs::remove_file(open.path);
        }
    }
}

impl Open {
    /// Writes the whole content, which has the same length each time.
    fn write(&mut self, started: u64) -> io::Result<()> {
        let content = Content { function: self.function.clone(), started };
        let mut text = serde_json::to_string(&content)?;
        let width = self.function.len() + 64;
        text += &" ".repeat(width.saturating_sub(text.len()));
        text.push('\n');
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.announced = started;
        Ok(())
    }
}

/// The journal of an output.
pub(super) fn path(output: &Path) -> PathBuf {
    let mut path = output.as_os_str().to_owned();
    path.push(".journal");
    path.into()
}

/// Reads the journal of an output. `None` means that its batch was complete.
pub(super) fn read(output: &Path) -> anyhow::Result<Option<Content>> {
    let path = path(output);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("{} can't be read", path.display()));
        }
    };
    let content = serde_json::from_slice(&text);
    content.map(Some).with_context(|| format!("{} is not the journal of a batch", path.display()))
}
