//! A handle table: what the host holds for a guest, under the numbers by which
//! the guest names it.

use slab::Slab;

use crate::guest::Misuse;

/// What a table holds.
pub(crate) trait Resource {
    /// Its name in messages.
    const NAME: &'static str;
    /// The first handle. It is not 0.
    const FIRST: u32;
    /// The maximum number of handles at once.
    const MAX: usize;
}

/// The resources of one kind that a guest has handles for.
pub(crate) struct HandleTable<T>(Slab<T>);

impl<T> Default for HandleTable<T> {
    fn default() -> Self {
        Self(Slab::new())
    }
}

impl<T: Resource> HandleTable<T> {
    /// Gives a resource a handle.
    ///
    /// # Errors
    /// Too many handles were not released.
    pub(crate) fn add(&mut self, resource: T) -> Result<i32, Misuse> {
        if self.0.len() >= T::MAX {
            let (max, name) = (T::MAX, T::NAME);
            return Err(Misuse(format!("it has {max} {name} handles at once, which is the most")));
        }
        Ok((self.0.insert(resource) as u32 + T::FIRST).cast_signed())
    }

    /// The resource of a handle.
    ///
    /// # Errors
    /// The handle is not known.
    pub(crate) fn get(&self, handle: u32) -> Result<&T, Misuse> {
        self.0.get(index::<T>(handle)).ok_or_else(|| unknown::<T>(handle))
    }

    /// As [`get`](Self::get), for changes.
    pub(crate) fn get_mut(&mut self, handle: u32) -> Result<&mut T, Misuse> {
        self.0.get_mut(index::<T>(handle)).ok_or_else(|| unknown::<T>(handle))
    }

    /// Releases a handle.
    pub(crate) fn remove(&mut self, handle: u32) -> Option<T> {
        self.0.try_remove(index::<T>(handle))
    }

    /// Releases all handles.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.0.drain()
    }

    #[cfg(feature = "server")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, resource)| resource)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn index<T: Resource>(handle: u32) -> usize {
    handle.wrapping_sub(T::FIRST) as usize
}

fn unknown<T: Resource>(handle: u32) -> Misuse {
    Misuse(format!("there is no {} {handle}", T::NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Resource for &str {
        const NAME: &'static str = "text";
        const FIRST: u32 = 1;
        const MAX: usize = 3;
    }

    #[test]
    fn handles_are_checked() {
        let mut table = HandleTable::default();
        assert!(table.get(0).is_err() && table.get(1).is_err());
        assert_eq!(table.add("a").ok(), Some(1));
        assert!(table.get(1).is_ok() && table.get(u32::MAX).is_err());
        assert!(table.remove(0).is_none() && table.remove(1).is_some());
        for _ in 0..3 {
            assert!(table.add("b").is_ok());
        }
        assert!(table.add("c").is_err());
    }
}
