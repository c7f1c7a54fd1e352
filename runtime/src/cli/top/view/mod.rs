//! What the screen shows of the state.
//!
//! # Layout
//! - [`header`]: the host as a whole; [`footer`]: keys, the filter, notices.
//! - [`functions`], [`live`], [`requests`]: the lists; [`table`]: their common
//!   form.
//! - [`details`]: a function; [`waterfall`]: a request; [`step`]: its rows;
//!   [`track`]: their bars.
//! - [`overlay`]: the help and the question before a cancellation.
//! - [`theme`]: colors; [`format`]: numbers.

mod details;
mod footer;
mod format;
mod functions;
mod header;
mod live;
mod overlay;
mod requests;
mod step;
mod table;
pub(super) mod theme;
mod track;
pub(super) mod waterfall;

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};

use self::theme::Theme;
use super::state::{Detail, Mode, State, Tab};

#[cfg(test)]
mod tests;

/// Draws everything, at a time.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, theme: Theme, at: Instant) {
    let header = if state.detail.is_some() { 1 } else { header::HEIGHT };
    let rows = [Constraint::Length(header), Constraint::Fill(1), Constraint::Length(1)];
    let [top, body, bottom] = Layout::vertical(rows).areas(frame.area());
    header::draw(frame, top, state, theme);
    footer::draw(frame, bottom, state, theme);
    // It is changed by what it draws.
    match state.detail.take() {
        Some(Detail::Request { recording, mut cursor }) => {
            waterfall::draw(frame, body, &recording, &mut cursor, theme);
            state.detail = Some(Detail::Request { recording, cursor });
        }
        Some(Detail::Function { details, offset }) => {
            let offset = details::draw(frame, body, &details, offset, state, theme);
            state.detail = Some(Detail::Function { details, offset });
        }
        None => match state.tab {
            Tab::Functions => functions::draw(frame, body, state, theme),
            Tab::Live => live::draw(frame, body, state, theme, at),
            Tab::Requests(list) => requests::draw(frame, body, state, list, theme),
        },
    }
    match state.mode {
        Mode::Confirm(id) => overlay::confirm(frame, state, id, theme),
        Mode::Help => overlay::help(frame, theme),
        Mode::Browse | Mode::Filter => {}
    }
}
