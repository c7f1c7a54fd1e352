//! A request, with everything that it started, over time.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Span as Styled};
use ratatui::widgets::{Paragraph, Wrap};

use super::super::cursor::Cursor;
use super::format;
use super::step::{self, Row};
use super::theme::Theme;
use super::track::{LEGEND, Scale};
use crate::http::admin::client::answers::Recording;

/// The width of a duration, with a space on each side.
const DURATION: usize = 9;

/// The number of rows: spans and log lines.
pub(in super::super) fn len(recording: &Recording) -> usize {
    recording.spans.len() + recording.logs.len()
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    recording: &Recording,
    cursor: &mut Cursor<usize>,
    theme: Theme,
) {
    let rows = step::rows(recording);
    let about = if area.height > 20 { 4 } else { 2 };
    let heights = [2, 1, 0, about, 1].map(|height| match height {
        0 => Constraint::Fill(1),
        height => Constraint::Length(height),
    });
    let [title, axis, list, details, legend] = Layout::vertical(heights).areas(area);
    frame.render_widget(Paragraph::new(titles(recording, theme)), title);

    let name = (usize::from(area.width) / 3).clamp(16, 40);
    let width = usize::from(area.width).saturating_sub(name + DURATION);
    let deadline = rows.iter().find_map(|row| match row {
        Row::Span { span, .. } => Some(span.deadline_us),
        Row::Log(_) => None,
    });
    let deadline = deadline.flatten();
    let scale = Scale::new(&recording.spans, deadline, width);
    let line = scale.axis(deadline, &format::micros(scale.total));
    let line = format!("{:name$}{:DURATION$}{line}", "SPAN", "  TIME");
    frame.render_widget(Line::from(line).style(theme.title()), axis);

    let places: Vec<_> = (0..rows.len()).collect();
    let selected = cursor.settle(&places);
    let height = usize::from(list.height);
    let first = cursor.scroll(rows.len(), height);
    let lines = rows.iter().enumerate().skip(first).take(height).map(|(index, row)| {
        let line = row.line(scale, name, theme);
        if selected == Some(index) { line.patch_style(theme.selected()) } else { line }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), list);

    let text = selected.and_then(|index| rows.get(index)).map(Row::about).unwrap_or_default();
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), details);
    frame.render_widget(Line::from(LEGEND).style(theme.quiet()), legend);
}

fn titles<'a>(recording: &'a Recording, theme: Theme) -> Vec<Line<'a>> {
    let request = &recording.summary;
    let mut first = vec![Styled::raw(&*request.function).bold(), "  ".into()];
    for text in [&request.method, &request.path].into_iter().flatten() {
        first.extend([Styled::raw(&**text), " ".into()]);
    }
    let status = request.status.map_or_else(String::new, |status| format!(" {status}"));
    first.push(Styled::styled(
        format!(" {}{status}", request.outcome),
        theme.outcome(&request.outcome),
    ));
    first.push(format!(" in {}", format::micros(request.duration_us)).into());
    let second = [
        ("cause", &request.cause),
        ("request", &request.request_id),
        ("principal", &request.principal),
        ("trace", &request.trace_id),
    ];
    let second =
        second.into_iter().filter_map(|(name, text)| Some(format!("{name} {}", text.as_ref()?)));
    let left_out = match recording.left_out {
        0 => None,
        count => Some(format!("{count} spans and lines left out")),
    };
    let second: Vec<_> = second.chain(left_out).collect();
    vec![Line::from(first), Line::from(second.join("  "))]
}
