//! Reads the lines of the input on a thread.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;

use super::resume::Resume;
use super::source::{Piece, Source};
use crate::batch::{Line, Lines};

/// The bytes that are read at once.
const PIECE: usize = 64 << 10;

/// The input, opened.
pub(super) struct Input {
    source: Box<dyn Read + Send>,
    /// Its length in bytes, if it is a file.
    pub(super) length: Option<u64>,
}

impl Input {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { source: Box::new(io::stdin()), length: None });
        }
        let cannot = || format!("{} can't be read", path.display());
        let file = File::open(path).with_context(cannot)?;
        let meta = file.metadata().with_context(cannot)?;
        Ok(Self { source: Box::new(file), length: meta.is_file().then_some(meta.len()) })
    }

    /// Starts the thread. It adds the lines to `to`, without those that `resume` knows,
    /// and counts the bytes in `read`.
    pub(super) fn start(
        mut self,
        lines: Lines,
        resume: Arc<Resume>,
        to: Arc<Source>,
        read: Arc<AtomicU64>,
    ) -> io::Result<()> {
        let body = move || to.close(read_all(&mut *self.source, lines, &resume, &to, &read));
        thread::Builder::new().name("batch input".to_owned()).spawn(body)?;
        Ok(())
    }
}

/// Reads the source to its end, or until no more lines are needed: then it returns
/// false.
fn read_all(
    source: &mut dyn Read,
    mut lines: Lines,
    resume: &Resume,
    to: &Source,
    read: &AtomicU64,
) -> anyhow::Result<bool> {
    let add = |piece: &mut Piece, line: &Line<'_>| {
        if !resume.is_done(line.number) {
            piece.add(line);
        }
    };
    let mut buffer = vec![0; PIECE];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("the input can't be read"),
        };
        let mut piece = Piece::default();
        lines.push(buffer.get(..count).unwrap_or_default(), |line| add(&mut piece, &line));
        read.fetch_add(count as u64, Ordering::Relaxed);
        if !to.add(piece) {
            return Ok(false);
        }
    }
    let mut piece = Piece::default();
    lines.finish(|line| add(&mut piece, &line));
    Ok(to.add(piece))
}
