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
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::oneshot;

use hourglass_build as build;

/// Shells add this to a signal's number for the exit code of a program that the
/// signal ended.
const ENDED_BY_SIGNAL: i32 = 128;

/// The command that waits for a signal, if any does.
type Waiting = Arc<Mutex<Option<oneshot::Sender<Kind>>>>;

/// The signals that end the program. Handled from construction on.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Waiting);

/// One of these signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(SignalKind);

impl Signals {
    /// Installs the handlers.
    ///
    /// SIGHUP stays ignored if the program was started with it ignored, as
    /// `nohup` does.
    pub(crate) fn install() -> io::Result<Self> {
        // The signals need a separate event loop: the main thread blocks.
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let listen = |kind: SignalKind| Ok::<_, io::Error>((Kind(kind), unix::signal(kind)?));
        let (mut terminate, mut interrupt) =
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let mut hang_up = match is_ignored(SignalKind::hangup()) {
            true => None,
            false => Some(listen(SignalKind::hangup())?),
        };
        drop(entered);

        let signals = Self(Arc::default());
        let waiting = signals.0.clone();
        let receive = async move {
            loop {
                let kind = tokio::select! {
                    _ = terminate.1.recv() => terminate.0,
                    _ = interrupt.1.recv() => interrupt.0,
                    Some(kind) = received(hang_up.as_mut()) => kind,
                };
                let command = waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
                match command {
                    // Sending fails if the command has just ended.
                    Some(command) => drop(command.send(kind)),
                    None => end(kind),
                }
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(receive))?;
        Ok(signals)
    }

    /// Waits for a signal. From this call on, even before the future is polled,
    /// the first signal does not end the program. The next one does, with the
    /// exit code that shells use: 128 plus the signal's number.
    ///
    /// Call this once.
    pub(crate) fn first(self) -> impl Future<Output = Kind> + Send {
        let (received, signal) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(received);
        async move {
            match signal.await {
                Ok(kind) => kind,
                // A later call has replaced this one; wait forever.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// Waits for a signal; `None` if it has no handler.
async fn received(signal: Option<&mut (Kind, unix::Signal)>) -> Option<Kind> {
    let (kind, signal) = signal?;
    signal.recv().await;
    Some(*kind)
}

/// Ends the program and its builds.
fn end(kind: Kind) -> ! {
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
