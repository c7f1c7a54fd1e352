//! A function: what it may do, and how its invocations ended.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::state::State;
use super::format;
use super::theme::Theme;
use crate::http::admin::client::answers::FunctionDetails;
use crate::http::admin::client::text::Text;

/// Draws it from a line on, and returns the line that is the first one.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    function: &FunctionDetails,
    offset: usize,
    state: &State,
    theme: Theme,
) -> usize {
    let mut lines = vec![Line::from(function.name.to_string()).style(theme.title())];
    lines.extend(outcomes(&function.name, state, theme));
    lines.extend(capabilities(function));
    let last = lines.len().saturating_sub(area.height.into());
    let offset = offset.min(last);
    frame.render_widget(Paragraph::new(lines.split_off(offset)), area);
    offset
}

fn outcomes(name: &Text, state: &State, theme: Theme) -> Vec<Line<'static>> {
    let Some(load) = state.model.load.functions.get(name) else { return Vec::new() };
    let overview = &load.overview;
    let mut lines: Vec<_> = overview
        .outcomes
        .iter()
        .map(|(outcome, count)| {
            let outcome = Span::styled(format!("{outcome:18}"), theme.outcome(outcome));
            Line::from(vec![outcome, count.to_string().into()])
        })
        .collect();
    lines.push(pair("cpu", &format::micros(overview.cpu_seconds * 1e6)));
    for (name, bytes) in
        [("request bodies", overview.request_bytes), ("response bodies", overview.response_bytes)]
    {
        lines.push(pair(name, &format::bytes(bytes)));
    }
    lines.push(pair("calls, fetches", &format!("{}, {}", overview.calls, overview.fetches)));
    lines
}

fn capabilities(function: &FunctionDetails) -> Vec<Line<'static>> {
    let list = |texts: &[Text]| match texts.is_empty() {
        true => "-".to_owned(),
        false => texts.iter().map(|text| &**text).collect::<Vec<_>>().join(" "),
    };
    let mut lines = vec![pair("kind", &function.kind.replace('_', " "))];
    if let Some(instances) = &function.instances {
        lines.push(pair("instances", instances));
    }
    lines.extend(function.limits.iter().map(|(name, limit)| pair(name, limit)));
    for (name, texts) in [
        ("routes", &function.routes),
        ("calls", &function.calls),
        ("allow_hosts", &function.allow_hosts),
        ("mounts", &function.mounts),
        ("environment", &function.environment),
    ] {
        lines.push(pair(name, &list(texts)));
    }
    lines
}

fn pair(name: &str, value: &str) -> Line<'static> {
    Line::from(vec![format!("{name:18}").dim(), value.to_owned().into()])
}
