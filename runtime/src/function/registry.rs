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
        let _changing = lock(&self.changing);
        for map in self.maps.iter() {
            let name = Arc::from(&*function.name);
            let entry = Arc::new(Entry { function: function.clone(), name });
            let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
            let former = map.insert(function.name.clone(), entry);
            // It may hold the last reference to its instances. Lookups need not
            // wait for them to be dropped.
            drop(map);
            drop(former);
        }
    }

    /// Removes the function of a name, and returns whether it existed. Once
    /// this returns, no thread finds it.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let _changing = lock(&self.changing);
        let mut found = false;
        for map in self.maps.iter() {
            let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
            let former = map.remove(name);
            found |= former.is_some();
            // Its instances are dropped with its last reference, outside of the
            // lock.
            drop(map);
            drop(former);
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
