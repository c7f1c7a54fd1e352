//! The ordinary way to a target: `rustup target add`.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::TARGET;
use crate::command::{self, CommandError};

/// The download is some 20 MB. rustup gives up by itself after 30 seconds in
/// which nothing comes, so this only stops one that trickles.
const LIMIT: Duration = Duration::from_secs(300);

/// Has rustup add the target to the toolchain in use at `dir`.
pub(crate) fn add_target(dir: &Path) -> Result<(), CommandError> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(dir).args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    // Each try waits for its own 30 seconds where packets are swallowed.
    if env::var_os("RUSTUP_MAX_RETRIES").is_none() {
        rustup.env("RUSTUP_MAX_RETRIES", "1");
    }
    command::output(&mut rustup, LIMIT, &mut |_| ()).map(drop)
}
