//! The host as a whole, and the tabs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::functions::SHARES;
use super::super::state::{State, Tab};
use super::format;
use super::theme::Theme;

/// The number of its lines.
pub(super) const HEIGHT: u16 = 5;

/// The columns of the gauge and of the sparkline.
const BAR: usize = 20;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let sparkline = usize::from(area.width).saturating_sub(52).clamp(8, 60);
    let lines = vec![
        host(state, theme),
        activity(state, sparkline, theme),
        capacity(state, theme),
        process(state),
        tabs(state, theme),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn host<'a>(state: &'a State, theme: Theme) -> Line<'a> {
    let overview = &state.model.load.overview;
    let (text, style) = match &state.model.disconnected {
        Some(reason) => (format!("disconnected: {reason}"), theme.bad().bold()),
        None if overview.draining => ("draining".to_owned(), theme.outcome("deadline-exceeded")),
        None => ("connected".to_owned(), theme.outcome("response")),
    };
    Line::from(vec![
        Span::styled("hourglass", theme.title()),
        format!(" {} at {}  ", overview.version, state.address).into(),
        Span::styled(text, style),
    ])
}

fn activity(state: &State, width: usize, theme: Theme) -> Line<'_> {
    let total = &state.model.load.total;
    let [p50, p95, p99] = total.quantiles(SHARES).map(format::maybe_micros);
    Line::from(vec![
        format!("Ended/s {:>6} ", format::rate(total.rate)).into(),
        Span::styled(format::sparkline(&total.history, width), theme.title()),
        format!("  p50 {p50:>6}  p95 {p95:>6}  p99 {p99:>6}").into(),
    ])
}

fn capacity(state: &State, theme: Theme) -> Line<'_> {
    let load = &state.model.load;
    let (now, most) = (load.overview.in_flight, load.overview.max_in_flight);
    let share = now as f64 / most.max(1) as f64;
    let rejections = load.rejections();
    let style =
        if load.rejected.is_some_and(|rate| rate > 0.0) { theme.bad() } else { theme.quiet() };
    let rejected =
        format!("  rejected {} ({}/s)", format::count(rejections), format::rate(load.rejected));
    Line::from(vec![
        "In flight ".into(),
        Span::styled(format::bar(share, BAR), theme.share(share, false)),
        format!(" {now} of {most}").into(),
        Span::styled(rejected, style),
    ])
}

fn process(state: &State) -> Line<'_> {
    let load = &state.model.load;
    let overview = &load.overview;
    Line::from(format!(
        "CPU {} of {}%  memory {}  contexts {}  connections {}",
        format::percent(load.cpu),
        overview.cores * 100,
        format::bytes(overview.resident_bytes),
        format::count(overview.contexts),
        format::count(overview.connections),
    ))
}

fn tabs(state: &State, theme: Theme) -> Line<'_> {
    let mut spans = Vec::new();
    for (number, tab) in (1..).zip(Tab::ALL) {
        let name = match tab {
            Tab::Live => format!(" {number} Live ({}) ", state.model.live.len()),
            tab => format!(" {number} {} ", tab.name()),
        };
        let style = if tab == state.tab { theme.selected() } else { theme.quiet() };
        spans.push(Span::styled(name, style));
    }
    if !state.filter.is_empty() {
        spans.push(format!(" filter: {}", state.filter).into());
    }
    Line::from(spans)
}
