//! `hourglass top`: a server in the terminal, live.
//!
//! # Layout
//! - [`model`]: what is known of the host; [`state`]: what the user sees of it.
//!   Both are pure.
//! - [`keys`]: what a key does; [`cursor`]: the selected row; [`functions`]: the
//!   columns of the functions.
//! - [`view`]: the screen of a state.
//! - [`feed`]: reads the events of the host, and connects again.
//! - [`screen`]: the terminal; [`app`]: the loop over all of these.
//!
//! # Cost
//! The screen is drawn after an event or a key, and four times a second while
//! bars run down. Every queue and list is bounded.

mod app;
mod cursor;
mod feed;
mod functions;
mod keys;
mod model;
mod screen;
mod state;
mod view;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use self::app::App;
use self::screen::Screen;
use super::access::AccessOptions;
use super::signals::{self, Signals};

/// Shows a server live: its load, its functions, the invocations in flight, and
/// requests that have ended.
///
/// The server must have been started with `--admin`. Press `?` for the keys.
/// Set NO_COLOR to see no colors.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    server: AccessOptions,
}

pub(crate) fn run(args: &TopArgs, signals: Signals) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        bail!(
            "`hourglass top` needs a terminal, and standard output is something else; \
             `hourglass ps --json` prints the invocations in flight"
        );
    }
    let client = Arc::new(args.server.client(Path::new(""))?);
    let ended = super::block_on(async {
        // Like the other commands, it fails if there is no server.
        let stream = client.events().await?;
        let signal = signals.next();
        let screen = Screen::enter()?;
        App::new(client, screen).run(stream, signal).await
    })?;
    match ended {
        Some(signal) => signals::end(signal),
        None => Ok(()),
    }
}
