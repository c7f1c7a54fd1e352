//! Signals: SIGTERM, SIGINT and SIGHUP end the program.
//!
//! The handlers are installed before anything else, because the kernel discards
//! a signal without a handler where the program is a container's process 1.
//! From then on a thread of its own receives the signals, so a signal is
//! handled while the main thread builds, compiles or reads.
//!
//! Until a command waits for a signal with [`Signals::first`], the first one
//! ends the program at once, and with it what it started to build. Afterwards
//! the first one is the command's and the second one ends the program.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::oneshot;

use hourglass_build as build;

/// What a shell adds to a signal's number for the exit code of a program that
/// the signal ended.
const ENDED_BY_SIGNAL: i32 = 128;

/// The command that waits for a signal, if any does.
type Waiting = Arc<Mutex<Option<oneshot::Sender<Kind>>>>;

/// The signals that end the program, handled from when this is made.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Waiting);

/// One of those signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(SignalKind);

impl Signals {
    /// Installs the handlers.
    ///
    /// SIGHUP stays ignored where the program was started so, as `nohup` does.
    pub(crate) fn install() -> io::Result<Self> {
        // The signals need an event loop of their own: the main thread blocks.
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
                    // An error is a command that has ended meanwhile.
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

    /// Waits for a signal. From this call on, before the future is polled, the
    /// first one does not end the program. One after it does, with the exit code
    /// that shells use: 128 and the signal's number.
    ///
    /// To be called once.
    pub(crate) fn first(self) -> impl Future<Output = Kind> + Send {
        let (received, signal) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(received);
        async move {
            match signal.await {
                Ok(kind) => kind,
                // A later call waits in place of this one.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// Waits for a signal; `None` where it has no handler.
async fn received(signal: Option<&mut (Kind, unix::Signal)>) -> Option<Kind> {
    let (kind, signal) = signal?;
    signal.recv().await;
    Some(*kind)
}

/// Ends the program, and what it builds with.
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
