//! The names of functions, by small ids.
//!
//! A record has an id instead of a name, because a shared reference to the name
//! would be a reference count that all cores write to. There are as many names
//! as functions with counters. The id of a removed function is used again, but
//! only once no buffer can have a record with it.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::sync::lock;

/// The names of a ledger.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Table>);

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) names: Vec<Arc<str>>,
    /// Ids without a function. Buffers may still have records with them.
    retired: Vec<u32>,
    free: Vec<u32>,
}

/// The id of a name. Dropping it retires the id.
#[derive(Debug)]
pub(crate) struct NameId {
    pub(super) id: u32,
    names: Arc<Names>,
}

impl Names {
    pub(super) fn register(self: &Arc<Self>, name: &str) -> NameId {
        let mut table = lock(&self.0);
        let id = match table.free.pop() {
            Some(id) => id,
            None => {
                table.names.push("".into());
                u32::try_from(table.names.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = table.names.get_mut(id as usize) {
            *place = name.into();
        }
        NameId { id, names: self.clone() }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.0)
    }
}

impl Table {
    /// Takes the ids that were retired before now. Once every buffer has been
    /// emptied after this call, no record has one of them.
    pub(super) fn take_retired(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.retired)
    }

    /// Frees ids for new names.
    pub(super) fn free(&mut self, ids: Vec<u32>) {
        self.free.extend(ids);
    }
}

impl Drop for NameId {
    fn drop(&mut self) {
        lock(&self.names.0).retired.push(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_again_only_once_it_is_freed() {
        let names = Arc::new(Names::default());
        let (a, b) = (names.register("a"), names.register("b"));
        assert_eq!((a.id, b.id), (0, 1));
        drop(a);
        let c = names.register("c");
        assert_eq!(c.id, 2);
        let retired = names.table().take_retired();
        assert_eq!(retired, [0]);
        assert_eq!(&*names.table().names[0], "a");
        names.table().free(retired);
        assert_eq!(names.register("d").id, 0);
        assert_eq!(&*names.table().names[0], "d");
    }
}
