//! The deployed functions by their names.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    canary: Option<Box<Canary>>,
}

/// Another version of the function, which gets a share of the invocations.
struct Canary {
    entry: Arc<Entry>,
    percent: u8,
    /// The number of choices so far.
    choices: AtomicU64,
}

/// Entries that were taken out. They may hold the last references to instances,
/// so they are dropped once no lock is held.
#[must_use]
pub(crate) struct Former(#[expect(dead_code, reason = "held for its drop")] Vec<Arc<Entry>>);

impl Deref for Entry {
    type Target = Deployed;

    fn deref(&self) -> &Deployed {
        &self.function
    }
}

impl Entry {
    /// A function that is in no map.
    pub(crate) fn alone(function: Arc<Deployed>) -> Self {
        let name = Arc::from(&*function.name);
        Self { function, name, canary: None }
    }

    /// The version for one invocation.
    fn choose(self: &Arc<Self>) -> &Arc<Self> {
        match &self.canary {
            Some(canary) if canary.is_chosen() => &canary.entry,
            _ => self,
        }
    }
}

impl Canary {
    /// Whether it gets the next invocation. The choices look random, so that no
    /// regular pattern of requests coincides with them.
    fn is_chosen(&self) -> bool {
        mix(self.choices.fetch_add(1, Relaxed)) % 100 < u64::from(self.percent)
    }
}

/// The nth number of the generator SplitMix64.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { maps: PerCore::new(|_, _| RwLock::default()), changing: Mutex::new(()) }
    }

    /// Stores a function under its name, and replaces an existing one. `canary`
    /// is another version of it, with its percentage of the invocations. Once
    /// this returns, no thread finds the old one.
    pub(crate) fn insert(
        &self,
        function: &Arc<Deployed>,
        canary: Option<(&Arc<Deployed>, u8)>,
    ) -> Former {
        self.change(|map| {
            let canary = canary.map(|(canary, percent)| {
                let entry = Arc::new(Entry::alone(canary.clone()));
                Box::new(Canary { entry, percent, choices: AtomicU64::new(0) })
            });
            let entry = Entry { canary, ..Entry::alone(function.clone()) };
            map.insert(function.name.clone(), Arc::new(entry))
        })
    }

    /// Removes the function of a name. Once this returns, no thread finds it.
    pub(crate) fn remove(&self, name: &str) -> Former {
        self.change(|map| map.remove(name))
    }

    /// Changes each core's map, and returns the entries that were taken out.
    fn change(&self, change: impl Fn(&mut Map) -> Option<Arc<Entry>>) -> Former {
        let _changing = lock(&self.changing);
        let change =
            |map: &RwLock<Map>| change(&mut map.write().unwrap_or_else(PoisonError::into_inner));
        Former(self.maps.iter().filter_map(change).collect())
    }

    /// The version of a function for one invocation.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        let map = self.maps.own()?;
        map.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Entry::choose).cloned()
    }

    /// A function as it is deployed, without regard to a canary.
    pub(crate) fn current(&self, name: &str) -> Option<Arc<Entry>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_met_and_has_no_period() {
        for percent in [1, 10, 50, 99] {
            let chosen: Vec<_> = (0..100_000).map(|n| mix(n) % 100 < percent).collect();
            let share = |of: &mut dyn Iterator<Item = &bool>| {
                let of: Vec<_> = of.collect();
                of.iter().filter(|chosen| ***chosen).count() as f64 * 100.0 / of.len() as f64
            };
            let expected = percent as f64;
            assert!((share(&mut chosen.iter()) - expected).abs() < 0.5, "{percent}");
            for period in [2, 3, 10] {
                let share = share(&mut chosen.iter().step_by(period));
                assert!((share - expected).abs() < 2.0, "{percent} of every {period}th: {share}");
            }
        }
    }
}
