//! Signals: SIGTERM, SIGINT and SIGHUP end the program.
//!
//! The handlers are installed before anything else: if the program is process 1
//! of a container, the kernel discards a signal without a handler. From then on
//! a separate thread receives the signals, so a signal is handled while the
//! main thread builds, compiles or reads.
//!
//! A signal ends the program immediately, with the builds it has started,
//! unless a command waits for it with [`Signals::next`]. A server waits for two,
//! see [`stop`](super::stop), and takes SIGHUP, see [`hangups`](super::hangups).

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::{Notify, oneshot};

use super::hangups::Hangups;
use hourglass_build as build;

/// Shells add this to a signal's number for the exit code of a program that the
/// signal ended.
const ENDED_BY_SIGNAL: i32 = 128;

/// The signals that end the program, and the futures that wait for one.
/// Handled from construction on.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Arc<Mutex<VecDeque<oneshot::Sender<Kind>>>>, Hangups);

/// One of these signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(SignalKind);

impl Signals {
    /// Installs the handlers.
    ///
    /// SIGHUP stays ignored if the program was started with it ignored, as
    /// `nohup` does.
    pub(crate) fn install() -> io::Result<Self> {
        let signals = Self(Arc::default(), Hangups::new());
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
                    if kind == SignalKind::hangup() && signals.1.take() {
                        continue;
                    }
                    let next = signals.waiting().pop_front();
                    match next {
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

    /// Receives SIGHUP from now on, which then does not end the program, unless
    /// its terminal was closed.
    pub(crate) fn hangups(&self) -> Arc<Notify> {
        self.1.received()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<Kind>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a signal. From this call on, even before the future is polled,
    /// one more signal does not end the program. Signals go to futures in the
    /// order of these calls. One without a future ends the program, with the
    /// exit code that shells use: 128 plus the signal's number.
    pub(crate) fn next(&self) -> impl Future<Output = Kind> + Send + use<> {
        let (received, signal) = oneshot::channel();
        self.waiting().push_back(received);
        async move {
            match signal.await {
                Ok(kind) => kind,
                // The thread that receives signals has ended, which it never does.
                Err(_) => pending().await,
            }
        }
    }
}

impl Kind {
    /// The exit code of a program that the signal ends.
    pub(crate) fn exit_code(self) -> u8 {
        u8::try_from(ENDED_BY_SIGNAL + self.0.as_raw_value()).unwrap_or(u8::MAX)
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
