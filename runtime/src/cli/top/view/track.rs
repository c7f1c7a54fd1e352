//! The bar of a span: what it does over time.

use crate::http::admin::client::answers::Span;

/// The shapes of a bar, and their meanings.
pub(super) const LEGEND: &str = "· queue  ░ checkout  █ run  ▒ grace  │ deadline  ◆ done";

/// A scale from times to columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The time at the right end, in microseconds.
    pub(super) total: f64,
    pub(super) width: usize,
}

impl Scale {
    /// The scale on which all spans are visible, and the deadline if it is not
    /// far away.
    pub(super) fn new(spans: &[Span], deadline: Option<f64>, width: usize) -> Self {
        let end = spans.iter().map(|span| span.end_us).fold(1.0, f64::max);
        let near = deadline.filter(|deadline| *deadline > end && *deadline <= 1.25 * end);
        Self { total: near.unwrap_or(end), width }
    }

    /// The column of a time. `None` beyond the right end.
    pub(super) fn column(self, us: f64) -> Option<usize> {
        let column = (us.max(0.0) / self.total * self.width as f64) as usize;
        // The end belongs to the last column.
        let last = self.width.checked_sub(1)?;
        (us <= self.total).then_some(column.min(last))
    }

    /// The bar of a span.
    pub(super) fn track(self, span: &Span) -> String {
        let mut cells = vec![' '; self.width];
        let first = self.column(span.start_us).unwrap_or(0);
        let end = (span.end_us / self.total * self.width as f64).ceil() as usize;
        let last = end.saturating_sub(1).max(first);
        for (column, cell) in cells.iter_mut().enumerate().take(last + 1).skip(first) {
            let middle = (column as f64 + 0.5) / self.width as f64 * self.total;
            *cell = phase(span, middle.clamp(span.start_us, span.end_us.max(span.start_us)));
        }
        for (time, mark) in [(span.deadline_us, '│'), (span.done_us, '◆')] {
            let column = time.and_then(|time| self.column(time));
            if let Some(cell) = column.and_then(|column| cells.get_mut(column)) {
                *cell = mark;
            }
        }
        cells.into_iter().collect()
    }

    /// The line above the bars: both ends, and the deadline.
    pub(super) fn axis(self, deadline: Option<f64>, end: &str) -> String {
        let mut cells: Vec<_> =
            format!("0{end:>width$}", width = self.width.saturating_sub(1)).chars().collect();
        let column = deadline.and_then(|deadline| self.column(deadline));
        if let Some(cell) = column.and_then(|column| cells.get_mut(column)) {
            *cell = '│';
        }
        cells.into_iter().collect()
    }
}

/// The shape of what a span does at a time.
fn phase(span: &Span, at: f64) -> char {
    let admitted = span.start_us + span.queue_us;
    match at {
        _ if span.grace_us > 0.0 && at >= span.end_us - span.grace_us => '▒',
        _ if at < admitted => '·',
        _ if at < admitted + span.checkout_us => '░',
        _ => '█',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> Span {
        Span {
            start_us: 10.0,
            queue_us: 20.0,
            checkout_us: 10.0,
            grace_us: 20.0,
            end_us: 90.0,
            deadline_us: Some(65.0),
            done_us: Some(70.0),
            ..Span::default()
        }
    }

    #[test]
    fn a_bar_shows_each_phase() {
        let scale = Scale { total: 100.0, width: 10 };
        assert_eq!(scale.track(&span()), " ··░██│◆▒ ");
        assert_eq!(scale.axis(Some(65.0), "0.1ms"), "0    0│1ms");
    }

    #[test]
    fn a_short_span_is_visible() {
        let (scale, short) = (Scale { total: 1e9, width: 5 }, |start_us| Span {
            start_us,
            end_us: start_us + 1.0,
            ..Span::default()
        });
        assert_eq!(scale.track(&short(0.0)), "█    ");
        assert_eq!(scale.track(&short(1e9 - 1.0)), "    █");
        assert_eq!(Scale { total: 1.0, width: 0 }.track(&short(0.0)), "");
    }

    #[test]
    fn a_deadline_is_shown_if_it_is_near() {
        let total = |deadline| Scale::new(&[span()], deadline, 10).total;
        assert_eq!((total(None), total(Some(100.0)), total(Some(1e6))), (90.0, 100.0, 90.0));
        assert_eq!(Scale::new(&[], Some(1e6), 10).total, 1.0);
    }
}
