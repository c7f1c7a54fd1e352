//! The time that one host call may occupy its thread.
//!
//! Nothing interrupts a host call: the epoch only stops guest code. If a guest
//! can make the work of a call long, the call does it in pieces. Between two
//! pieces it checks the context and yields to the executor.

use std::time::{Duration, Instant};

use wasmtime::Trap;

use super::state::Call;

/// How long a host call runs before it yields: half a tick.
const TURN: Duration = Duration::from_micros(500);

/// The bytes copied between two checks of the context. With a page fault for
/// each page on both sides that takes about 0.1 ms.
pub(crate) const PIECE: usize = 256 << 10;

/// When a host call's turn on the thread began.
pub(crate) struct Turn(Instant);

impl Turn {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Checks the context, and yields if half a tick has passed. Call it
    /// between two pieces of work.
    ///
    /// # Errors
    /// A trap if the guest's grace period is over.
    pub(crate) async fn pass(&mut self, call: &mut Call<'_>) -> wasmtime::Result<()> {
        if call.data().overdue() {
            return Err(Trap::Interrupt.into());
        }
        if self.0.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
        Ok(())
    }
}
