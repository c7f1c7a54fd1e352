//! The values that a context carries: typed for the host, text on the wire.
//!
//! They form a chain of links that only grows at its near end, separate from
//! the tree of cancellation: adding a value adds nothing to cancel, and a
//! context that cannot be canceled keeps its values.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Context;

/// The key of a context value: a name for the wire and a type for the host.
///
/// ```
/// # use hourglass::{Context, Key};
/// const TENANT: Key<u64> = Key::new("tenant");
///
/// let context = Context::background().with_value(&TENANT, 7);
/// assert_eq!(context.value(&TENANT), Some(7));
/// assert_eq!(context.value_text("tenant").as_deref(), Some("7"));
/// ```
///
/// Two keys are the same if both their names and their types are. On the wire
/// there are only names, so give each name to one type only: of two values with
/// the same name, only the nearest can be seen there.
///
/// A function may add values for its calls, and hide those it was given, except
/// values under a [`protected`](Key::protected) key.
pub struct Key<T> {
    name: Cow<'static, str>,
    protected: bool,
    marker: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// A key with a name that is known at compile time.
    pub const fn new(name: &'static str) -> Key<T> {
        Key { name: Cow::Borrowed(name), protected: false, marker: PhantomData }
    }

    /// A key for values that the host guarantees: no function can hide one from
    /// its calls. That applies only while such a value exists. To keep a
    /// function from adding one itself, set the value to an empty text.
    pub const fn protected(name: &'static str) -> Key<T> {
        Key { name: Cow::Borrowed(name), protected: true, marker: PhantomData }
    }

    /// A key with a name that was received over the wire.
    pub const fn from_wire(name: String) -> Key<T> {
        Key { name: Cow::Owned(name), protected: false, marker: PhantomData }
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Key<T> {
        Key { name: self.name.clone(), protected: self.protected, marker: PhantomData }
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// The nearest value of a context, and through it all others.
#[derive(Clone, Default)]
pub(super) struct Values(Option<Arc<Link>>);

struct Link {
    name: Cow<'static, str>,
    protected: bool,
    value: Box<dyn Value>,
    next: Values,
}

/// The operations of a value after type erasure.
trait Value: Any + fmt::Display + Send + Sync {}

impl<T: Any + fmt::Display + Send + Sync> Value for T {}

impl Context {
    /// A context that also carries `value`, and otherwise ends as `self` does.
    /// Hides any value that `self` has under the same key.
    ///
    /// Use values for data that belongs to the request and crosses every
    /// boundary, not for arguments. A guest can read all of them: data that a
    /// guest must not know does not belong here, or must display as nothing.
    pub fn with_value<T>(&self, key: &Key<T>, value: T) -> Context
    where
        T: fmt::Display + Send + Sync + 'static,
    {
        let link = Link {
            name: key.name.clone(),
            protected: key.protected,
            value: Box::new(value),
            next: self.values.clone(),
        };
        Context { node: self.node.clone(), values: Values(Some(Arc::new(link))) }
    }

    /// The nearest value under `key`. Takes time in proportion to the number of
    /// values that were added after it.
    pub fn value<T: Clone + 'static>(&self, key: &Key<T>) -> Option<T> {
        let mut links = self.values.links().filter(|link| link.name == key.name);
        links.find_map(|link| {
            let value: &dyn Any = &*link.value;
            value.downcast_ref().cloned()
        })
    }

    /// Whether a value of that name is under a [protected](Key::protected) key,
    /// so that no function may hide it.
    pub fn is_protected(&self, name: &str) -> bool {
        self.values.links().any(|link| link.protected && link.name == name)
    }

    /// The nearest value of that name as text, in its wire form.
    pub fn value_text(&self, name: &str) -> Option<String> {
        let mut links = self.values.links();
        Some(links.find(|link| link.name == name)?.value.to_string())
    }

    /// The names and texts of all values in their wire form, nearest first;
    /// each name once.
    pub fn values(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.visible().map(|link| (&*link.name, link.value.to_string()))
    }
}

impl Values {
    /// The names of the visible values, nearest first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.visible().map(|link| &*link.name)
    }

    fn visible(&self) -> impl Iterator<Item = &Link> {
        let mut seen = HashSet::new();
        self.links().filter(move |link| seen.insert(&*link.name))
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.0.as_deref(), |link| link.next.0.as_deref())
    }
}

impl Drop for Link {
    /// Frees the links that have no other owner one by one. The default drop
    /// would recurse, and a long chain would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.next.0.take();
        while let Some(link) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.next.0.take());
        }
    }
}
