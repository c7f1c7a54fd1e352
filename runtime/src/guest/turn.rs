//! The time for which one host call may have the thread.
//!
//! Nothing interrupts a host call: the epoch stops guests alone. So a call whose
//! work a guest can make long does it in pieces, and between two of them looks
//! at the context, and lets others have the thread.

use std::time::{Duration, Instant};

use wasmtime::Trap;

use super::state::Call;

/// How long a host call runs before it yields: half a tick.
const TURN: Duration = Duration::from_micros(500);

/// How much is copied between two looks at the context, in bytes. With a page
/// fault for each page on both sides that takes about 0.1 ms.
pub(crate) const PIECE: usize = 256 << 10;

/// How long a host call has had the thread.
pub(crate) struct Turn(Instant);

impl Turn {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// To be called between two pieces of work: looks at the context, and
    /// yields where half a tick has passed.
    ///
    /// # Errors
    /// A trap where the guest has had its grace.
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
