//! The terminal: taken over while the program shows something, and restored
//! however it ends.

use std::io;
use std::mem::ManuallyDrop;
use std::time::Instant;

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use tokio::sync::mpsc;

use super::state::State;
use super::view::{self, theme::Theme};

/// The most keys that wait.
const KEYS: usize = 64;

/// The terminal. It is restored on drop, and by the hook of a panic.
#[derive(Debug)]
pub(super) struct Screen {
    /// Its own drop prints an error, which is a panic if standard error is a
    /// terminal that is gone.
    terminal: ManuallyDrop<DefaultTerminal>,
    theme: Theme,
}

impl Screen {
    /// Takes over the terminal.
    pub(super) fn enter() -> anyhow::Result<Self> {
        let entered = ratatui::try_init();
        if entered.is_err() {
            // It may have failed halfway.
            let _ = ratatui::try_restore();
        }
        let terminal = entered.context("the terminal can't be controlled")?;
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok(Self { terminal: ManuallyDrop::new(terminal), theme: Theme { is_colored: !no_color } })
    }

    pub(super) fn draw(&mut self, state: &mut State, at: Instant) -> anyhow::Result<()> {
        let drawn = self.terminal.draw(|frame| view::draw(frame, state, self.theme, at));
        drawn.context("the terminal is gone")?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoration.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}

/// Reads the keys and the changes of the size. The thread ends with the
/// program: reading can't be interrupted.
pub(super) fn keys() -> io::Result<mpsc::Receiver<io::Result<event::Event>>> {
    let (sender, keys) = mpsc::channel(KEYS);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let read = event::read();
            let has_failed = read.is_err();
            if sender.blocking_send(read).is_err() || has_failed {
                return;
            }
        }
    })?;
    Ok(keys)
}
