//! The selected row of a list, and the part of the list that is visible.

/// A selected row. It stays on its item if the list changes, and in its place
/// if the item leaves the list.
#[derive(Debug)]
pub(super) struct Cursor<T> {
    item: Option<T>,
    index: usize,
    /// The first visible row.
    offset: usize,
}

impl<T> Default for Cursor<T> {
    fn default() -> Self {
        Self { item: None, index: 0, offset: 0 }
    }
}

impl<T: Clone + PartialEq> Cursor<T> {
    /// Finds its row in a list. `None` if the list is empty.
    pub(super) fn settle(&mut self, items: &[T]) -> Option<usize> {
        let item = self.item.as_ref();
        let found = item.and_then(|item| items.iter().position(|other| other == item));
        self.index = found.unwrap_or(self.index).min(items.len().checked_sub(1)?);
        // The first row is selected as a place, so that it stays the newest.
        let is_first = found.is_none() && self.index == 0;
        self.item = if is_first { None } else { items.get(self.index).cloned() };
        Some(self.index)
    }

    /// Moves by a number of rows.
    pub(super) fn step(&mut self, items: &[T], rows: isize) {
        if let Some(index) = self.settle(items) {
            self.select(items, index.saturating_add_signed(rows));
        }
    }

    /// Moves to a row, or to the last one.
    pub(super) fn select(&mut self, items: &[T], index: usize) {
        self.index = index.min(items.len().saturating_sub(1));
        self.item = items.get(self.index).filter(|_| self.index > 0).cloned();
    }

    /// The first row to show in this height, so that the selected one is
    /// visible. The view moves no further than it must.
    pub(super) fn scroll(&mut self, len: usize, height: usize) -> usize {
        let last = (self.index + 1).saturating_sub(height);
        self.offset = self.offset.clamp(last.min(self.index), self.index);
        self.offset = self.offset.min(len.saturating_sub(height));
        self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_its_item_and_keeps_its_place() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.settle(&[]), None);
        cursor.step(&[1, 2, 3], 1);
        assert_eq!(cursor.settle(&[9, 1, 2, 3]), Some(2));
        assert_eq!(cursor.settle(&[9, 1, 3]), Some(2));
        assert_eq!(cursor.settle(&[3, 9]), Some(0));
        assert_eq!(cursor.settle(&[7, 3]), Some(1));
        cursor.step(&[7, 3], -5);
        assert_eq!(cursor.settle(&[8, 7, 3]), Some(0));
    }

    #[test]
    fn the_selected_row_is_visible() {
        let (mut cursor, items) = (Cursor::default(), (0..100).collect::<Vec<_>>());
        for (rows, offset) in [(0, 0), (9, 0), (1, 1), (50, 51), (-50, 10), (1_000, 90)] {
            cursor.step(&items, rows);
            assert_eq!(cursor.scroll(100, 10), offset, "{rows}");
        }
        assert_eq!(cursor.scroll(100, 0), 99);
        cursor.settle(&items[..5]);
        assert_eq!(cursor.scroll(5, 10), 0);
    }
}
