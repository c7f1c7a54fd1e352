//! A row of a waterfall: a span, or a line that a function has logged.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::style::Style;
use ratatui::text::{Line, Span as Styled};

use super::format;
use super::theme::Theme;
use super::track::Scale;
use crate::http::admin::client::answers::{LogLine, Recording, Span};

/// The deepest indentation, in levels.
const DEEPEST: usize = 8;

/// A row.
pub(super) enum Row<'a> {
    Span { depth: usize, span: &'a Span },
    Log(&'a LogLine),
}

/// The spans, each below its caller and by their starts, and then the lines of
/// the log.
pub(super) fn rows(recording: &Recording) -> Vec<Row<'_>> {
    let ids: BTreeSet<_> = recording.spans.iter().map(|span| span.id).collect();
    let mut below: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for span in &recording.spans {
        let parent = span.parent.filter(|id| *id != span.id && ids.contains(id));
        below.entry(parent).or_default().push(span);
    }
    for siblings in below.values_mut() {
        // The last one is taken first.
        siblings.sort_by(|one, other| other.start_us.total_cmp(&one.start_us));
    }
    let mut take = |parent| below.remove(&parent).unwrap_or_default();
    let mut left: Vec<_> = take(None).into_iter().map(|root| (0, root)).collect();
    let mut rows = Vec::new();
    while let Some((depth, span)) = left.pop() {
        rows.push(Row::Span { depth, span });
        left.extend(take(Some(span.id)).into_iter().map(|child| (depth + 1, child)));
    }
    rows.extend(recording.logs.iter().map(Row::Log));
    rows
}

impl Row<'_> {
    pub(super) fn line(&self, scale: Scale, name: usize, theme: Theme) -> Line<'static> {
        match self {
            Self::Span { depth, span } => {
                let mark = if is_failed(span) { "✗" } else { " " };
                let label = format!("{}{mark}{}", "  ".repeat((*depth).min(DEEPEST)), span.name);
                let time = format::micros(span.end_us - span.start_us);
                let style = match is_failed(span) {
                    true => theme.outcome(&span.outcome),
                    false => Style::new(),
                };
                Line::from(vec![
                    Styled::styled(fit(&label, name), style),
                    format!(" {time:>7} ").into(),
                    Styled::styled(scale.track(span), theme.outcome(&span.outcome)),
                ])
            }
            Self::Log(log) => {
                let label = format!("{:>8} {}", format::micros(log.at_us), log.level);
                let text = format!(" {} {}", log.source, log.text);
                Line::from(vec![
                    Styled::styled(fit(&label, name), theme.level(&log.level)),
                    text.into(),
                ])
            }
        }
    }

    /// Everything about a row.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Span { span, .. } => about(span),
            Self::Log(log) => log.text.to_string(),
        }
    }
}

fn about(span: &Span) -> String {
    let run = span.end_us - span.start_us - span.queue_us - span.checkout_us - span.grace_us;
    let mut text = format!("{} {}: {}", span.kind.replace('_', " "), span.name, span.outcome);
    if let Some(status) = span.status {
        text.push_str(&format!(" {status}"));
    }
    if let (Some(cause), Some(at)) = (&span.cause, span.done_us) {
        text.push_str(&format!(", done at {} (cause: {cause})", format::micros(at)));
    }
    if let Some(message) = &span.message {
        text.push_str(&format!(": {message}"));
    }
    for (name, time) in [
        ("queue", span.queue_us),
        ("checkout", span.checkout_us),
        ("run", run),
        ("grace", span.grace_us),
        ("cpu", span.cpu_us),
    ] {
        if time > 0.0 {
            text.push_str(&format!(", {name} {}", format::micros(time)));
        }
    }
    if let Some(deadline) = span.deadline_us {
        text.push_str(&format!(", deadline at {}", format::micros(deadline)));
    }
    for (name, bytes) in [
        ("memory", span.peak_memory),
        ("request", span.request_bytes),
        ("response", span.response_bytes),
    ] {
        if bytes > 0 {
            text.push_str(&format!(", {name} {}", format::bytes(bytes)));
        }
    }
    text
}

fn is_failed(span: &Span) -> bool {
    &*span.outcome != "response" || span.status.is_some_and(|status| status >= 500)
}

/// A text in exactly this number of columns.
fn fit(text: &str, width: usize) -> String {
    let mut fitted = String::new();
    for char in text.chars() {
        let longer = Styled::raw(format!("{fitted}{char}"));
        if longer.width() > width {
            break;
        }
        fitted.push(char);
    }
    let padding = width.saturating_sub(Styled::raw(&*fitted).width());
    fitted.push_str(&" ".repeat(padding));
    fitted
}
