//! The invocations in flight, with the time that each has left.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::model::live::{Children, LiveOrder, LiveRow};
use super::super::state::State;
use super::format;
use super::table::{self, Column, Window};
use super::theme::Theme;

/// The width of a bar.
const BAR: u16 = 10;

/// The deepest indentation, in levels.
const DEEPEST: usize = 16;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    theme: Theme,
    at: Instant,
) {
    let items = state.items();
    let window = Window::new(area, state.cursor(), &items);
    let (rows, now) = (state.live_rows(), state.model.live.now(at));
    let visible = rows.iter().skip(window.first).take(window.height);
    let cells = visible.map(|row| cells(row, now, theme));
    let sorted = Some((title(state.live_order.0), state.live_order.1));
    let longest = rows.iter().map(|row| row.invocation.id).max().unwrap_or(0);
    table::draw(frame, area, &columns(longest), sorted, cells, &window, theme);
    if items.is_empty() {
        let text = match state.filter.is_empty() {
            true => "nothing is in flight that waits or takes more than a moment",
            false => "nothing in flight fits the filter",
        };
        table::empty(frame, area, text, theme);
    }
}

fn title(order: LiveOrder) -> &'static str {
    match order {
        LiveOrder::Id => "ID",
        LiveOrder::Function => "FUNCTION",
        LiveOrder::Age => "AGE",
        LiveOrder::Left => "LEFT",
    }
}

/// The columns, wide enough for this id.
fn columns(longest: u64) -> [Column; 7] {
    let digits = longest.checked_ilog10().unwrap_or(0) + 1;
    [
        Column::number(title(LiveOrder::Id), digits.max(4) as u16),
        Column::text(title(LiveOrder::Function), 2),
        Column::number(title(LiveOrder::Age), 7).from(68),
        Column::number(title(LiveOrder::Left), 7),
        Column::word("", BAR),
        Column::word("STATE", 19),
        Column::text("REQUEST", 1).from(90),
    ]
}

fn cells(row: &LiveRow<'_>, now: f64, theme: Theme) -> Vec<(String, Style)> {
    let (one, plain) = (row.invocation, |text: String| (text, Style::new()));
    let fold = match row.children {
        Children::None => " ",
        Children::Shown => "▾",
        Children::Hidden => "▸",
    };
    let function = format!("{}{fold} {}", "  ".repeat(row.depth.min(DEEPEST)), one.function);
    let left = one.deadline.map(|deadline| (deadline - now).max(0.0));
    let share = one
        .deadline
        .map_or(0.0, |deadline| (deadline - now).max(0.0) / (deadline - one.started).max(1.0));
    let bar = match (left, &one.done) {
        (Some(_), None) => format::bar(share, BAR.into()),
        // Its grace period.
        (_, Some(_)) => "▒".repeat(BAR.into()),
        (None, None) => "no limit".to_owned(),
    };
    let state = match (&one.cause, &one.done) {
        (Some(cause), Some(done)) => (cause.to_string(), theme.outcome(done)),
        _ => ("running".to_owned(), Style::new()),
    };
    vec![
        plain(one.id.to_string()),
        plain(function),
        plain(format::millis(now - one.started)),
        plain(match (left, &one.done) {
            (_, Some(_)) => "done".to_owned(),
            (Some(left), None) => format::millis(left),
            (None, None) => "-".to_owned(),
        }),
        (bar, theme.share(share, true)),
        state,
        plain(one.request_id.as_deref().unwrap_or("-").to_owned()),
    ]
}
