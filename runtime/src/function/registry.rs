//! The deployed functions by their names.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::Deployed;
use crate::cores::PerCore;
use crate::sync::lock;

type Map = HashMap<Arc<str>, Arc<Entry>>;

/// Every core has a map of its own, with the same functions: a lookup takes a
/// lock and a reference, and both would bounce between the cores.
pub(crate) struct Registry {
    maps: PerCore<RwLock<Map>>,
    /// Held while the maps change, so that they agree afterwards.
    changing: Mutex<()>,
}

/// A function, as one core's map holds it.
pub(crate) struct Entry {
    function: Arc<Deployed>,
    /// The core's own copy of the function's name, because every invocation
    /// clones it.
    pub(crate) name: Arc<str>,
}

impl Deref for Entry {
    type Target = Deployed;

    fn deref(&self) -> &Deployed {
        &self.function
    }
}

impl Entry {
    /// A function that is in no map.
    pub(crate) fn alone(function: Deployed) -> Self {
        let name = function.name.clone();
        Self { function: Arc::new(function), name }
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { maps: PerCore::new(|_, _| RwLock::default()), changing: Mutex::new(()) }
    }

    /// Stores a function under its name, and replaces an existing one. Once
    /// this returns, no thread finds the old one.
    pub(crate) fn insert(&self, function: Deployed) {
        let function = Arc::new(function);
        self.change(|map| {
            let name = Arc::from(&*function.name);
            map.insert(function.name.clone(), Arc::new(Entry { function: function.clone(), name }))
        });
    }

    /// Removes the function of a name, and returns whether it existed. Once
    /// this returns, no thread finds it.
    pub(crate) fn remove(&self, name: &str) -> bool {
        self.change(|map| map.remove(name))
    }

    /// Changes each core's map, and returns whether an entry was taken out.
    fn change(&self, change: impl Fn(&mut Map) -> Option<Arc<Entry>>) -> bool {
        let _changing = lock(&self.changing);
        let mut found = false;
        for map in self.maps.iter() {
            // The former entry may hold the last reference to the function's
            // instances. It is dropped outside of the lock: lookups need not
            // wait for that.
            let former = change(&mut map.write().unwrap_or_else(PoisonError::into_inner));
            found |= former.is_some();
        }
        found
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        let map = self.maps.own()?;
        map.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let Some(map) = self.maps.own() else { return Vec::new() };
        let map = map.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = map.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}
