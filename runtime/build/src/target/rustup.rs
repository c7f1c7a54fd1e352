//! The usual way to add a target: `rustup target add`.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::TARGET;
use crate::command::{self, CommandError};

/// The download is about 20 MB. rustup itself gives up after 30 seconds without
/// data, so this limit only stops a download that trickles.
const LIMIT: Duration = Duration::from_secs(300);

/// Adds the target to the toolchain in use at `dir`, through rustup.
pub(crate) fn add_target(dir: &Path) -> Result<(), CommandError> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(dir).args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    // If packets are dropped, each retry waits for its own 30 seconds.
    if env::var_os("RUSTUP_MAX_RETRIES").is_none() {
        rustup.env("RUSTUP_MAX_RETRIES", "1");
    }
    command::output(&mut rustup, LIMIT, &mut |_| ()).map(drop)
}
