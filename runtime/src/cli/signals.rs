//! SIGTERM and SIGINT: the first one asks the program to end in order, the
//! second one ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell adds to a signal's number where a signal ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// The two signals, listened to from when this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Must be called on a tokio runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first signal. From then on a second one exits with the
    /// code that shells know for it: 143 or 130.
    pub(crate) async fn first(mut self) {
        let kind = self.next().await;
        tracing::debug!(signal = kind.as_raw_value(), "told to end");
        tokio::spawn(async move {
            let kind = self.next().await;
            std::process::exit(ENDED_BY_SIGNAL + kind.as_raw_value());
        });
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}
