//! Reads jobs on a thread, ahead of those that run, by a bounded amount.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::resume::Resume;
use crate::batch::{Entry, Reader};

/// The bytes that are read at once.
const PIECE: usize = 256 << 10;

/// The pieces that are read ahead.
const AHEAD: usize = 2;

/// The input, opened.
pub(super) struct Input {
    source: Box<dyn Read + Send>,
    /// Its length in bytes, if it is a file.
    pub(super) length: Option<u64>,
}

/// The entries of the input, piece by piece.
pub(super) struct Entries {
    receiver: mpsc::Receiver<io::Result<Vec<Entry>>>,
    /// The bytes read so far.
    pub(super) read: Arc<AtomicU64>,
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

    /// Starts to read. `body` is the longest body of a request. Lines that `resume`
    /// knows are left out.
    pub(super) fn start(self, function: &str, body: u64, resume: Resume) -> io::Result<Entries> {
        let reader = Reader::new(function, body);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let read = Arc::new(AtomicU64::new(0));
        let (mut source, counter) = (self.source, read.clone());
        thread::Builder::new().name("batch input".to_owned()).spawn(move || {
            if let Err(error) = read_all(reader, &resume, &mut *source, &sender, &counter) {
                // Sending fails if the batch has ended.
                drop(sender.blocking_send(Err(error)));
            }
        })?;
        Ok(Entries { receiver, read })
    }
}

impl Entries {
    /// The entries of the next piece; `None` at the end of the input.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<Entry>>> {
        self.receiver.recv().await
    }
}

/// Reads the source to its end, or until the batch has ended.
fn read_all(
    mut reader: Reader,
    resume: &Resume,
    source: &mut dyn Read,
    sender: &mpsc::Sender<io::Result<Vec<Entry>>>,
    read: &AtomicU64,
) -> io::Result<()> {
    let skip = |line| resume.is_done(line);
    let mut buffer = vec![0; PIECE];
    loop {
        let mut entries = Vec::new();
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        reader.push(piece, skip, |entry| entries.push(entry));
        read.fetch_add(count as u64, Ordering::Relaxed);
        if !entries.is_empty() && sender.blocking_send(Ok(entries)).is_err() {
            return Ok(());
        }
    }
    let mut entries = Vec::new();
    reader.finish(skip, |entry| entries.push(entry));
    // Sending fails if the batch has ended.
    drop(sender.blocking_send(Ok(entries)));
    Ok(())
}
