//! Writes results on a thread.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::tally::Tally;
use crate::sync::lock;

/// Results wait for room while those that are not written have as many bytes.
const HELD: usize = 1 << 20;

/// The time in which results gather before they are written: to wake the thread costs
/// as much as several short jobs.
const PAUSE: Duration = Duration::from_millis(2);

/// The output, opened.
pub(super) struct Output(Box<dyn Write + Send>);

/// The result of the thread that writes.
pub(super) type Written = io::Result<()>;

/// The results that are not written yet, and the numbers of all.
#[derive(Default)]
pub(super) struct Sink {
    state: Mutex<State>,
    /// Wakes the thread when there is something to write.
    more: Condvar,
    /// Wakes workers when there is room.
    room: Notify,
}

#[derive(Default)]
struct State {
    text: Vec<u8>,
    tally: Tally,
    is_closed: bool,
    has_failed: bool,
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

    /// Starts the thread that writes what `from` holds, until it is closed.
    pub(super) fn start(mut self, from: Arc<Sink>) -> io::Result<oneshot::Receiver<Written>> {
        let (sender, written) = oneshot::channel();
        let body = move || {
            let ended = from.drain(&mut *self.0);
            // Sending fails if the batch has ended.
            drop(sender.send(ended));
        };
        thread::Builder::new().name("batch output".to_owned()).spawn(body)?;
        Ok(written)
    }
}

/// Whether an output keeps the results, as a file does. Standard output, a pipe and
/// a device do not.
pub(super) fn is_kept(path: &Path) -> bool {
    path != Path::new("-") && path.metadata().map_or(true, |meta| meta.is_file())
}

impl Sink {
    /// Adds the line of a result and counts it, once there is room. False means that
    /// results can't be written any more.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the result out.
    pub(super) async fn add(&self, line: &[u8], count: impl FnOnce(&mut Tally)) -> bool {
        let mut count = Some(count);
        loop {
            if let Some(is_added) = self.try_add(line, &mut count) {
                return is_added;
            }
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if let Some(is_added) = self.try_add(line, &mut count) {
                return is_added;
            }
            room.await;
        }
    }

    fn try_add(&self, line: &[u8], count: &mut Option<impl FnOnce(&mut Tally)>) -> Option<bool> {
        let mut state = lock(&self.state);
        if state.has_failed {
            return Some(false);
        }
        if state.text.len() >= HELD {
            return None;
        }
        let was_empty = state.text.is_empty();
        state.text.extend_from_slice(line);
        if let Some(count) = count.take() {
            count(&mut state.tally);
        }
        drop(state);
        if was_empty {
            self.more.notify_one();
        }
        Some(true)
    }

    /// The numbers so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.state).tally.clone()
    }

    /// Ends the thread that writes, once everything is written.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.more.notify_one();
    }

    /// Writes all lines until the end.
    fn drain(&self, to: &mut dyn Write) -> Written {
        let mut text = Vec::new();
        loop {
            let is_idle = |state: &mut State| state.text.is_empty() && !state.is_closed;
            let state = self.more.wait_while(lock(&self.state), is_idle);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            if state.text.is_empty() {
                return Ok(());
            }
            let is_closed = state.is_closed;
            drop(state);
            if !is_closed {
                thread::sleep(PAUSE);
            }
            std::mem::swap(&mut lock(&self.state).text, &mut text);
            self.room.notify_waiters();
            if let Err(error) = to.write_all(&text).and_then(|()| to.flush()) {
                lock(&self.state).has_failed = true;
                self.room.notify_waiters();
                return Err(error);
            }
            text.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc::{Receiver, channel};
    use std::task::{Context, Waker};

    use super::*;

    /// Fails once the test says so.
    struct Failing(Receiver<()>);

    impl Write for Failing {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn results_wait_for_room_and_are_all_written() {
        let (sink, line) = (Arc::new(Sink::default()), [b'x'; HELD / 8]);
        for _ in 0..8 {
            assert!(sink.add(&line, |tally| tally.add_failure("trap".into())).await);
        }
        let mut waiting = pin!(sink.add(&line, |tally| tally.add_failure("trap".into())));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(sink.tally().done(), 8);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let output = Output::open(file.path(), true).expect("it opens");
        let written = output.start(sink.clone()).expect("a thread");
        assert!(waiting.await);
        sink.close();
        written.await.expect("it ends").expect("it is written");
        assert_eq!(sink.tally().done(), 9);
        assert_eq!(file.path().metadata().expect("a file").len(), 9 * HELD as u64 / 8);
    }

    #[tokio::test]
    async fn nothing_is_added_once_writing_has_failed() {
        let (fail, failing) = channel();
        let sink = Arc::new(Sink::default());
        let written = Output(Box::new(Failing(failing))).start(sink.clone()).expect("a thread");
        assert!(sink.add(&[b'x'; HELD], |_| ()).await);
        drop(fail);
        written.await.expect("it ends").expect_err("it can't be written");
        assert!(!sink.add(b"x", |_| ()).await);
    }
}
