//! A list with a header. It scrolls so that the selected row is visible.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::super::cursor::Cursor;
use super::theme::Theme;

/// A column. It is left out below a width of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: Constraint,
    pub(super) is_right: bool,
    pub(super) from: u16,
}

impl Column {
    /// A column of text, which takes a part of the rest of the width.
    pub(super) fn text(title: &'static str, part: u16) -> Self {
        Self { title, width: Constraint::Fill(part), is_right: false, from: 0 }
    }

    /// A column of numbers.
    pub(super) fn number(title: &'static str, width: u16) -> Self {
        Self { title, width: Constraint::Length(width), is_right: true, from: 0 }
    }

    /// A column of short texts.
    pub(super) fn word(title: &'static str, width: u16) -> Self {
        Self { is_right: false, ..Self::number(title, width) }
    }

    pub(super) fn from(self, from: u16) -> Self {
        Self { from, ..self }
    }
}

/// The rows of a list that are visible.
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) height: usize,
    selected: Option<usize>,
}

impl Window {
    /// The visible part of a list in an area, below a header.
    pub(super) fn new<T: Clone + PartialEq>(
        area: Rect,
        cursor: &mut Cursor<T>,
        items: &[T],
    ) -> Self {
        let height = usize::from(area.height.saturating_sub(1));
        let selected = cursor.settle(items);
        Self { first: cursor.scroll(items.len(), height), height, selected }
    }
}

/// Draws the visible rows. Each has a cell for each column. `sorted` is the
/// title of a column, and whether its order is reversed.
pub(super) fn draw<'a>(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    sorted: Option<(&str, bool)>,
    rows: impl Iterator<Item = Vec<(String, Style)>> + 'a,
    window: &Window,
    theme: Theme,
) {
    let shown: Vec<_> = columns.iter().map(|column| area.width >= column.from).collect();
    let aligned = |text: String, column: &Column| {
        let line = Line::from(text);
        if column.is_right { line.right_aligned() } else { line }
    };
    let title = |column: &Column| {
        let mark = match sorted {
            Some((title, is_reversed)) if title == column.title => {
                if is_reversed {
                    "▴"
                } else {
                    "▾"
                }
            }
            _ => "",
        };
        Cell::from(aligned(format!("{}{mark}", column.title), column))
    };
    let is_shown = |(_, shown): &(&Column, &bool)| **shown;
    let visible = || columns.iter().zip(&shown).filter(is_shown).map(|(column, _)| column);
    let header = Row::new(visible().map(title)).style(theme.title());
    let rows = rows.zip(window.first..).map(|(cells, index)| {
        let cells = cells.into_iter().zip(columns.iter().zip(&shown));
        let cells = cells.filter(|(_, (_, shown))| **shown);
        let is_selected = window.selected == Some(index);
        let row = Row::new(cells.map(|((text, style), (column, _))| {
            let style = if is_selected { Style::new() } else { style };
            Cell::from(aligned(text, column)).style(style)
        }));
        if is_selected { row.style(theme.selected()) } else { row }
    });
    let widths = visible().map(|column| column.width);
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

/// Says in an area below a header that a list has no rows.
pub(super) fn empty(frame: &mut Frame<'_>, area: Rect, text: &str, theme: Theme) {
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    frame.render_widget(Paragraph::new(text.to_owned()).style(theme.quiet()), below);
}
