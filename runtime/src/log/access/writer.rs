//! The buffers of the cores, and the thread that writes them.
//!
//! # Bounds
//! [`BUFFER`] bytes for each core, and as much again while it is written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use super::AccessFormat;
use super::format;
use crate::cores::PerCore;
use crate::sync::lock;

/// The most bytes of a core that wait for the writer. With [`WAKE`] the thread
/// writes before [`INTERVAL`] is over.
const BUFFER: usize = 1 << 20;
const WAKE: usize = BUFFER / 4;

/// The longest time that a line waits.
const INTERVAL: Duration = Duration::from_millis(100);

/// The lines of all cores.
pub(super) struct Writer {
    lines: PerCore<Mutex<Lines>>,
    output: Mutex<Output>,
    format: AccessFormat,
    thread: Thread,
}

/// The lines of one core.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Records that did not fit.
    left_out: u64,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// The lines that are written.
    bytes: Vec<u8>,
    has_failed: bool,
}

impl Writer {
    pub(super) fn start(
        writer: Box<dyn Write + Send>,
        format: AccessFormat,
    ) -> io::Result<Arc<Self>> {
        let (sender, receiver) = std::sync::mpsc::channel::<Weak<Self>>();
        let body = move || {
            let Ok(writer) = receiver.recv() else { return };
            loop {
                thread::park_timeout(INTERVAL);
                match writer.upgrade() {
                    Some(writer) => writer.flush(),
                    None => return,
                }
            }
        };
        let handle = thread::Builder::new().name("access-log".into()).spawn(body)?;
        let lines = PerCore::new(|_, _| Mutex::default());
        let output = Mutex::new(Output { writer, bytes: Vec::new(), has_failed: false });
        let thread = handle.thread().clone();
        let writer = Arc::new(Self { lines, output, format, thread });
        // The thread waits for it.
        let _ = sender.send(Arc::downgrade(&writer));
        Ok(writer)
    }

    /// Adds the line that `write` appends.
    pub(super) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(lines) = self.lines.own() else { return };
        let mut lines = lock(lines);
        let before = lines.bytes.len();
        if before >= BUFFER {
            lines.left_out += 1;
            return;
        }
        write(&mut lines.bytes);
        let is_enough = before < WAKE && lines.bytes.len() >= WAKE;
        drop(lines);
        if is_enough {
            self.thread.unpark();
        }
    }

    /// Writes all lines.
    pub(super) fn flush(&self) {
        let mut output = lock(&self.output);
        for lines in self.lines.iter() {
            output.bytes.clear();
            let mut own = lock(lines);
            std::mem::swap(&mut own.bytes, &mut output.bytes);
            let left_out = std::mem::take(&mut own.left_out);
            drop(own);
            if left_out > 0 {
                format::left_out(&mut output.bytes, self.format, left_out);
            }
            output.write();
        }
    }
}

impl Output {
    fn write(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let written = self.writer.write_all(&self.bytes).and_then(|()| self.writer.flush());
        let has_failed = written.is_err();
        if let (false, Err(error)) = (self.has_failed, written) {
            tracing::warn!(%error, "the access log can't be written; its records are lost");
        }
        self.has_failed = has_failed;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush();
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Sends what is written. Each write waits until the test allows it.
    struct Slow(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            self.1.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_writer_loses_lines_and_says_how_many() {
        let ((sent, written), (allow, allowed)) = (channel(), channel());
        let writer = Writer::start(Box::new(Slow(sent, allowed)), AccessFormat::Text);
        let writer = writer.expect("a thread");
        writer.add(|line| line.extend_from_slice(b"first\n"));
        assert_eq!(written.recv().expect("a write"), b"first\n");
        // The thread is writing now, so nothing is taken out of the buffers.
        let line = [b"x".repeat(1_023), b"\n".to_vec()].concat();
        let cores = writer.lines.iter().count();
        let count = 2 * cores * BUFFER / line.len();
        for _ in 0..count {
            writer.add(|lines| lines.extend_from_slice(&line));
        }
        let held: usize = writer.lines.iter().map(|lines| lock(lines).bytes.len()).sum();
        assert!(held <= cores * BUFFER, "{held}");
        let lost: u64 = writer.lines.iter().map(|lines| lock(lines).left_out).sum();
        drop(allow);
        drop(writer);
        let rest: Vec<u8> = written.iter().flatten().collect();
        let text = String::from_utf8(rest).expect("a text");
        let kept = text.lines().filter(|line| line.starts_with('x')).count();
        let said = text.lines().filter_map(|line| line.split_once("records="));
        let said: u64 = said.map(|(_, count)| count.parse::<u64>().expect("a number")).sum();
        assert!(lost > 0 && said >= lost, "{said} of {lost}");
        assert_eq!(kept as u64 + said, count as u64);
    }

    #[test]
    fn lines_are_written_soon_and_at_the_end() {
        let ((sent, written), (allow, allowed)) = (channel(), channel());
        let writer = Writer::start(Box::new(Slow(sent, allowed)), AccessFormat::Text);
        let writer = writer.expect("a thread");
        writer.add(|line| line.extend_from_slice(b"soon\n"));
        assert_eq!(written.recv().expect("without a flush"), b"soon\n");
        allow.send(()).expect("it waits");
        writer.add(|line| line.extend_from_slice(b"at the end\n"));
        drop(allow);
        drop(writer);
        assert_eq!(written.recv().expect("before it is dropped"), b"at the end\n");
    }
}
