//! What a guest prints: line by line into the host's log, bounded, and the end
//! of its standard error kept for the report of a trap.

/// How much of standard error a trap's report carries, in bytes.
const TAIL: usize = 4 << 10;

/// How much one invocation may log, in bytes.
const LOGGED: usize = 64 << 10;

/// A guest's standard output and standard error.
#[derive(Default)]
pub(crate) struct Stdio {
    out: Stream,
    err: Stream,
    tail: Vec<u8>,
    logged: usize,
}

#[derive(Default)]
struct Stream {
    line: Vec<u8>,
}

/// Which of the two a guest writes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    Out,
    Err,
}

impl Stdio {
    /// Takes what `function` wrote.
    pub(super) fn write(&mut self, sink: Sink, function: &str, bytes: &[u8]) {
        if sink == Sink::Err {
            self.keep_tail(bytes);
        }
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let stream = if sink == Sink::Err { &mut self.err } else { &mut self.out };
            let room = LOGGED.saturating_sub(stream.line.len());
            stream.line.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
            if part.ends_with(b"\n") || part.len() >= room {
                let line = std::mem::take(&mut stream.line);
                self.log(function, &line);
            }
        }
    }

    /// Logs what has no newline at its end. To be called when the guest has
    /// ended.
    pub(crate) fn finish(&mut self, function: &str) {
        for line in [std::mem::take(&mut self.out.line), std::mem::take(&mut self.err.line)] {
            if !line.is_empty() {
                self.log(function, &line);
            }
        }
    }

    /// The end of what the guest wrote to standard error.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(bytes));
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn log(&mut self, function: &str, line: &[u8]) {
        if self.logged >= LOGGED {
            return;
        }
        self.logged += line.len();
        let text = String::from_utf8_lossy(line);
        tracing::info!(target: "hourglass::guest", function, "{}", text.trim_end());
        if self.logged >= LOGGED {
            tracing::info!(target: "hourglass::guest", function, "(the rest is left out)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end() {
        let mut stdio = Stdio::default();
        stdio.write(Sink::Err, "f", &[b'a'; TAIL]);
        stdio.write(Sink::Err, "f", b"the end");
        stdio.write(Sink::Out, "f", b"not this");
        assert_eq!(stdio.tail().len(), TAIL);
        assert!(stdio.tail().ends_with("athe end"));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut stdio = Stdio::default();
        for _ in 0..10 {
            stdio.write(Sink::Out, "f", &[b'x'; LOGGED]);
            assert!(stdio.out.line.len() <= LOGGED);
        }
    }
}
