//! A list of requests that have ended.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::model::requests::{List, key};
use super::super::state::{Item, State};
use super::format;
use super::table::{self, Column, Window};
use super::theme::Theme;
use crate::http::admin::client::answers::Summary;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &mut State, list: List, theme: Theme) {
    let items: Vec<_> =
        state.request_rows(list).into_iter().map(|row| Item::Request(key(row))).collect();
    let window = Window::new(area, state.cursor(), &items);
    let rows = state.request_rows(list);
    let now = state.model.load.overview.now;
    let visible = rows.iter().skip(window.first).take(window.height);
    let cells = visible.map(|request| cells(request, now, theme));
    table::draw(frame, area, &columns(), None, cells, &window, theme);
    if items.is_empty() {
        let text = match state.filter.is_empty() {
            true => "no request; those that succeed are recorded while a dashboard is open",
            false => "no request fits the filter",
        };
        table::empty(frame, area, text, theme);
    }
}

fn columns() -> [Column; 8] {
    [
        Column::number("ENDED", 6),
        Column::number("TOOK", 7),
        Column::number("STATUS", 6),
        Column::word("OUTCOME", 18),
        Column::text("FUNCTION", 2),
        Column::word("METHOD", 6).from(90),
        Column::text("PATH", 3).from(70),
        Column::text("REQUEST", 2).from(120),
    ]
}

fn cells(request: &Summary, now: f64, theme: Theme) -> Vec<(String, Style)> {
    let plain = |text: String| (text, Style::new());
    let ended = request.started + request.duration_us / 1e3;
    let status = request
        .status
        .map_or((String::new(), Style::new()), |status| (status.to_string(), theme.status(status)));
    let text = |text: &Option<_>| plain(text.as_ref().map(ToString::to_string).unwrap_or_default());
    vec![
        plain(format::ago(now - ended)),
        plain(format::micros(request.duration_us)),
        status,
        (request.outcome.to_string(), theme.outcome(&request.outcome)),
        plain(request.function.to_string()),
        text(&request.method),
        text(&request.path),
        text(&request.request_id),
    ]
}
