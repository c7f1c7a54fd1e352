//! Polling, for states that have no event: every millisecond, with a generous bound.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// How often a state is looked at.
const INTERVAL: Duration = Duration::from_millis(1);

/// The default bound.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until a state is reached. `Err` is a state that is not the expected one.
///
/// # Panics
/// If the state is not reached within a minute.
pub async fn until<T, E: Debug>(state: impl FnMut() -> Result<T, E>) -> T {
    until_within(LIMIT, state).await
}

/// Waits until a state is reached, with a bound of its own.
///
/// # Panics
/// If the state is not reached within the bound.
pub async fn until_within<T, E: Debug>(
    limit: Duration,
    mut state: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match state() {
            Ok(value) => return value,
            Err(other) => assert!(start.elapsed() < limit, "after {limit:?}: {other:?}"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// As [`until`], on a thread that may block.
///
/// # Panics
/// If the state is not reached within a minute.
pub fn until_blocking<T, E: Debug>(mut state: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match state() {
            Ok(value) => return value,
            Err(other) => assert!(start.elapsed() < LIMIT, "after {LIMIT:?}: {other:?}"),
        }
        thread::sleep(INTERVAL);
    }
}
