//! Boxes in the middle of the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::super::state::State;
use super::theme::Theme;

/// The width of a box.
const WIDTH: u16 = 56;

const HELP: [&str; 11] = [
    "1-5, Tab      show a list",
    "↑ ↓ PgUp PgDn move; Home and End: first, last row",
    "Enter         open a function or a request; fold",
    "← →           hide, show what an invocation called",
    "/             filter by text; Esc shows all again",
    "< >           sort by another column; r reverses",
    "x             cancel an invocation and all below it",
    "R             load the list of requests again",
    "Esc           back",
    "?             help",
    "q, Ctrl-C     quit",
];

/// The keys.
pub(super) fn help(frame: &mut Frame<'_>, theme: Theme) {
    let area = centered(frame.area(), WIDTH, HELP.len() as u16 + 2);
    frame.render_widget(Clear, area);
    let lines = HELP.map(Line::from).to_vec();
    frame.render_widget(Paragraph::new(lines).block(block("Keys", theme)), area);
}

/// The question before a cancellation.
pub(super) fn confirm(frame: &mut Frame<'_>, state: &State, id: u64, theme: Theme) {
    let live = &state.model.live;
    let function = live.get(id).map(|one| one.function.to_string()).unwrap_or_default();
    let below = match live.descendants(id) {
        0 => String::new(),
        1 => " and 1 invocation below it".to_owned(),
        count => format!(" and {count} invocations below it"),
    };
    let at_least = if live.left_out > 0 { ", or more" } else { "" };
    let question = format!("Cancel invocation {id} of {function}{below}{at_least}?");
    let width = WIDTH.min(frame.area().width);
    // Breaks between words may leave a line half empty.
    let height = question.len().div_ceil(usize::from(width / 2).max(1)) as u16;
    let area = centered(frame.area(), WIDTH, height + 2);
    let block = block("Cancel", theme).title_bottom(" y: yes, any other key: no ");
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(question).wrap(Wrap { trim: true }).block(block), area);
}

fn block(title: &str, theme: Theme) -> Block<'static> {
    Block::bordered().title(format!(" {title} ")).border_style(theme.title())
}

fn centered(area: Rect, width: u16, height: u16) -> Rect {
    area.centered(Constraint::Length(width), Constraint::Length(height.min(area.height)))
}
