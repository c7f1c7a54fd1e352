//! The table of functions.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::functions::{FunctionColumn, SHARES};
use super::super::model::load::FunctionLoad;
use super::super::state::State;
use super::format;
use super::table::{self, Column, Window};
use super::theme::Theme;

/// The width of the sparkline of a function.
const TREND: u16 = 20;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &mut State, theme: Theme) {
    let items = state.items();
    let window = Window::new(area, state.cursor(), &items);
    let rows = state.function_rows();
    let visible = rows.iter().skip(window.first).take(window.height);
    let cells = visible.map(|function| cells(function, theme));
    let (sorted, is_reversed) = state.function_order;
    let sorted = Some((sorted.title(), is_reversed));
    table::draw(frame, area, &columns(), sorted, cells, &window, theme);
    if items.is_empty() {
        table::empty(frame, area, "no function", theme);
    }
}

fn columns() -> Vec<Column> {
    let all = FunctionColumn::ALL.map(|column| match column {
        FunctionColumn::Name => Column::text(column.title(), 1),
        FunctionColumn::Memory => Column::number(column.title(), 8).from(84),
        FunctionColumn::Cpu => Column::number(column.title(), 6).from(76),
        FunctionColumn::P95 => Column::number(column.title(), 7).from(70),
        FunctionColumn::Live => Column::number(column.title(), 6),
        _ => Column::number(column.title(), 7),
    });
    all.into_iter().chain([Column::word("TREND", TREND).from(110)]).collect()
}

fn cells(function: &FunctionLoad, theme: Theme) -> Vec<(String, Style)> {
    let plain = |text: String| (text, Style::new());
    let (overview, activity) = (&function.overview, &function.activity);
    let name = match &*overview.name {
        "" => "(unnamed)",
        name => name,
    };
    let failures = function.failures();
    let failed = if failures > 0 { theme.bad() } else { Style::new() };
    let [p50, p95, p99] = activity.quantiles(SHARES).map(format::maybe_micros).map(plain);
    vec![
        plain(name.to_owned()),
        plain(format::rate(activity.rate)),
        plain(format::count(overview.in_flight)),
        p50,
        p95,
        p99,
        (format::count(failures), failed),
        plain(format::percent(function.cpu)),
        plain(format::bytes(overview.peak_memory)),
        (format::sparkline(&activity.history, TREND.into()), theme.title()),
    ]
}
