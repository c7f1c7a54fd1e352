//! Notifications to systemd, for units with `Type=notify`. Without systemd they
//! do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The program serves.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The program stops, and that takes `longest` at most. systemd waits as long,
/// also if `TimeoutStopSec=` is shorter.
pub(crate) fn stopping(longest: Duration) {
    let longest = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(longest)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be notified; does the unit allow AF_UNIX?");
    }
}
