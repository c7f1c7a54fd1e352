//! Writes results on a thread.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::batch::{self, Rejected};
use crate::tasks::TaskResult;

/// The bytes that are written at once.
const PIECE: usize = 64 << 10;

/// The lists of results that wait to be written.
const WAITING: usize = 4;

/// The output, opened.
pub(super) struct Output(Box<dyn Write + Send>);

/// Results to write.
pub(super) enum Written {
    Results(Vec<TaskResult>),
    Rejected(Rejected),
}

/// The thread that writes.
pub(super) struct Writer {
    pub(super) sender: mpsc::Sender<Written>,
    thread: JoinHandle<io::Result<()>>,
}

impl Output {
    /// Opens the file, which may only exist if a batch is resumed.
    pub(super) fn open(path: &Path, resumes: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self(Box::new(io::stdout())));
        }
        let is_new = !resumes && is_kept(path);
        let file = OpenOptions::new().append(true).create(true).create_new(is_new).open(path);
        let file: File = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => anyhow::anyhow!(
                "{} exists; continue its batch with `--resume`, or name another file",
                path.display()
            ),
            _ => anyhow::Error::new(error).context(format!("{} can't be written", path.display())),
        })?;
        Ok(Self(Box::new(file)))
    }

    pub(super) fn start(self) -> io::Result<Writer> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("batch output".to_owned());
        Ok(Writer { sender, thread: thread.spawn(move || write(self.0, receiver))? })
    }
}

/// Whether an output keeps the results, as a file does. Standard output, a pipe and
/// a device do not.
pub(super) fn is_kept(path: &Path) -> bool {
    path != Path::new("-") && path.metadata().map_or(true, |meta| meta.is_file())
}

impl Writer {
    /// Waits until everything is written.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        drop(self.sender);
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
        let written = ended.map_err(|_| anyhow::anyhow!("the writer of results panicked"))?;
        written.context("the results can't be written")
    }
}

/// Writes what arrives. It flushes whenever nothing waits.
fn write(mut to: Box<dyn Write + Send>, mut from: mpsc::Receiver<Written>) -> io::Result<()> {
    let mut text = Vec::with_capacity(2 * PIECE);
    while let Some(first) = from.blocking_recv() {
        let mut next = Some(first);
        while let Some(written) = next.take() {
            match written {
                Written::Results(results) => {
                    results.into_iter().for_each(|ended| batch::write(&mut text, ended));
                }
                Written::Rejected(rejected) => batch::write_rejected(&mut text, &rejected),
            }
            if text.len() >= PIECE {
                break;
            }
            // An error means that nothing waits.
            next = from.try_recv().ok();
        }
        to.write_all(&text)?;
        to.flush()?;
        text.clear();
    }
    Ok(())
}
