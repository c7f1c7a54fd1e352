//! Two simulated cores. A thread starts on the first one.

use std::cell::Cell;

loom::thread_local! {
    static CORE: Cell<usize> = Cell::new(0);
}

/// Moves the thread to this core.
pub(crate) fn move_to(core: usize) {
    CORE.with(|current| current.set(core));
}

/// One `T` for each core.
#[derive(Debug)]
pub(crate) struct PerCore<T>([T; 2]);

impl<T> PerCore<T> {
    pub(crate) fn new(make: impl Fn(usize, usize) -> T) -> Self {
        Self([0, 1].map(|core| make(core, 2)))
    }

    /// All values, starting with that of the thread's core.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let [first, second] = &self.0;
        if CORE.with(Cell::get) == 0 { [first, second] } else { [second, first] }.into_iter()
    }
}
