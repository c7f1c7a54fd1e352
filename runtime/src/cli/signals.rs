//! Signals: SIGTERM, SIGINT and SIGHUP end the program.
//!
//! The handlers are installed before anything else: if the program is process 1
//! of a container, the kernel discards a signal without a handler. From then on
//! a separate thread receives the signals, so a signal is handled while the
//! main thread builds, compiles or reads.
//!
//! Until a command waits for a signal with [`Signals::first`], the first one
//! ends the program immediately, with the builds it has started. Afterwards the
//! first one goes to the command, and the second one ends the program.

use std::fmt;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::oneshot;

use hourglass_build as build;

/// Shells add this to a signal's number for the exit code of a program that the
/// signal ended.
const ENDED_BY_SIGNAL: i32 = 128;

/// The signals that end the program, with the command that waits for one, if
/// any does. Handled from construction on.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Arc<Mutex<Option<oneshot::Sender<Kind>>>>);

/// One of these signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(SignalKind);

impl Signals {
    /// Installs the handlers.
    ///
    /// SIGHUP stays ignored if the program was started with it ignored, as
    /// `nohup` does.
    pub(crate) fn install() -> io::Result<Self> {
        let signals = Self(Arc::default());
        // The signals need a separate event loop: the main thread blocks.
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
            if kind == SignalKind::hangup() && is_ignored(kind) {
                continue;
            }
            let (mut signal, signals) = (unix::signal(kind)?, signals.clone());
            runtime.spawn(async move {
                while signal.recv().await.is_some() {
                    match signals.waiting().take() {
                        // Sending fails if the command has just ended.
                        Some(command) => drop(command.send(Kind(kind))),
                        None => end(Kind(kind)),
                    }
                }
            });
        }
        drop(entered);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(pending::<()>()))?;
        Ok(signals)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<oneshot::Sender<Kind>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a signal. From this call on, even before the future is polled,
    /// the first signal does not end the program. The next one does, with the
    /// exit code that shells use: 128 plus the signal's number.
    ///
    /// Call this once.
    pub(crate) fn first(self) -> impl Future<Output = Kind> + Send {
        let (received, signal) = oneshot::channel();
        *self.waiting() = Some(received);
        async move {
            match signal.await {
                Ok(kind) => kind,
                // A later call has replaced this one; wait forever.
                Err(_) => pending().await,
            }
        }
    }
}

/// Ends the program and its builds, with the exit code of the signal.
pub(crate) fn end(kind: Kind) -> ! {
    tracing::info!(signal = %kind, "ended by a signal");
    build::kill_running();
    std::process::exit(ENDED_BY_SIGNAL + kind.0.as_raw_value());
}

/// Whether the program was started with a signal ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            kind if kind == SignalKind::interrupt() => "SIGINT",
            kind if kind == SignalKind::hangup() => "SIGHUP",
            _ => "SIGTERM",
        })
    }
}
