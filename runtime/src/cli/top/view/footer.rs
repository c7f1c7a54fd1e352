//! The last line: the filter while it is typed, a notice, or the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize as _;
use ratatui::text::Line;

use super::super::state::{Detail, Mode, State, Tab};
use super::theme::Theme;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let line = match (&state.mode, &state.notice) {
        (Mode::Filter, _) => {
            Line::from(format!("/{}█  Enter keeps it, Esc clears it", state.filter))
        }
        (_, Some(notice)) => Line::from(notice.clone()).bold(),
        _ => Line::from(keys(state)).style(theme.quiet()),
    };
    frame.render_widget(line, area);
}

fn keys(state: &State) -> &'static str {
    match (&state.detail, state.tab) {
        (Some(Detail::Request { .. }), _) => "↑↓ step  Esc back  ? help  q quit",
        (Some(Detail::Function { .. }), _) => "↑↓ scroll  Esc back  ? help  q quit",
        (None, Tab::Functions) => "↑↓ select  Enter open  < > sort  / filter  ? help  q quit",
        (None, Tab::Live) => "↑↓ select  Enter fold  x cancel  / filter  ? help  q quit",
        (None, Tab::Requests(_)) => "↑↓ select  Enter open  / filter  R load  ? help  q quit",
    }
}
