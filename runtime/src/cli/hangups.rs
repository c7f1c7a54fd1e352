//! SIGHUP to a server: it reads its configuration again.
//!
//! When a terminal is closed, the kernel and the shell send SIGHUP to all that
//! was started in it. Then it ends a server as well, which could not be stopped
//! by Ctrl-C any more.

use std::fs::File;
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// Whether a command takes SIGHUP, and the terminal of the program.
#[derive(Clone, Debug)]
pub(crate) struct Hangups {
    received: Arc<OnceLock<Arc<Notify>>>,
    has_terminal: bool,
}

impl Hangups {
    pub(super) fn new() -> Self {
        Self { received: Arc::default(), has_terminal: has_terminal() }
    }

    /// Whether a command takes this signal. Otherwise it ends the program.
    pub(super) fn take(&self) -> bool {
        let Some(received) = self.received.get() else { return false };
        if self.has_terminal && !has_terminal() {
            return false;
        }
        received.notify_one();
        true
    }

    /// Takes the signals from now on. Those that arrive before the last one is
    /// handled count as one.
    pub(super) fn received(&self) -> Arc<Notify> {
        self.received.get_or_init(Arc::default).clone()
    }
}

/// Whether the program has a controlling terminal.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
