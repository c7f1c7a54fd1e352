//! How a serving program stops: the first signal drains, the second one cancels
//! what is in flight, and the third one ends the program.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use super::settings::ServerSettings;
use super::signals::Kind;
use super::systemd;
use crate::http::FAREWELL;
use crate::runtime::Runtime;
use crate::schema::Period;

/// Time for the program to write what is left and to end, as it is announced to
/// systemd.
const RESERVE: Duration = Duration::from_secs(10);

/// Ready at the first signal.
pub(crate) async fn drain(
    signal: impl Future<Output = Kind>,
    runtime: &Runtime,
    settings: &ServerSettings,
) {
    let signal = signal.await;
    tracing::info!(
        %signal,
        in_flight = runtime.in_flight(),
        drain_delay = Period::text(settings.drain_delay),
        drain = Period::text(settings.drain),
        "draining; a second signal cancels what is in flight, and a third one ends the program"
    );
    systemd::stopping(longest(runtime, settings));
}

/// Cancels what is in flight at the second signal. The server then ends by
/// itself.
pub(crate) async fn hurry(signal: impl Future<Output = Kind>, runtime: &Runtime) -> Infallible {
    let signal = signal.await;
    let in_flight = runtime.in_flight();
    tracing::info!(%signal, in_flight, "canceling what is in flight; the next signal ends the program");
    runtime.shutdown(Duration::ZERO).await;
    pending().await
}

/// The longest time to stop.
fn longest(runtime: &Runtime, settings: &ServerSettings) -> Duration {
    let functions = runtime.functions();
    let infos = functions.iter().filter_map(|name| runtime.function_info(name));
    let grace = infos.map(|info| info.limits.grace).max().unwrap_or_default();
    [settings.drain, grace, FAREWELL, RESERVE]
        .into_iter()
        .fold(settings.drain_delay, Duration::saturating_add)
}
