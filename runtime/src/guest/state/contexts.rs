//! The handle table of the contexts that a guest has derived.
//!
//! Handle 0 is the invocation's own context, which is not in the table. The
//! others end with the invocation, except contexts without cancel if the
//! function has a `detach` period: see [`crate::guest::hourglass::call`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use slab::Slab;

use crate::body::is_hosts_own;
use crate::context::{Cancel, Cause, Context, Key};
use crate::guest::Misuse;

/// The most contexts of a guest at once.
const MOST: usize = hourglass_abi::limit::CONTEXTS;

/// The most memory that a guest's values may take, in bytes.
const MOST_IN_VALUES: usize = 64 << 10;

/// The bytes that a value takes in addition to its name and its text.
const VALUE: usize = 128;

/// The longest name and the longest text of a value, in bytes.
pub(crate) const LONGEST: (usize, usize) = (128, 4_096);

/// The derived contexts of one invocation.
#[derive(Default)]
pub(crate) struct Contexts {
    derived: Slab<Derived>,
    /// The parent of the contexts without cancel.
    apart: Option<(Context, Cancel)>,
    /// Created with the first value: most invocations add none.
    in_values: Option<Arc<AtomicUsize>>,
}

/// A context, and what a guest may do with it.
pub(crate) struct Derived {
    pub(crate) ctx: Context,
    /// Cancels it, if it can be canceled.
    pub(crate) end: Option<Cancel>,
    /// Whether it may outlive the invocation.
    pub(crate) free: bool,
}

impl Contexts {
    /// The context of a handle that is not 0.
    ///
    /// # Errors
    /// The handle is not known.
    pub(crate) fn get(&self, handle: u32) -> Result<&Derived, Misuse> {
        self.derived.get(place(handle)).ok_or_else(|| Misuse::unknown("context", handle))
    }

    /// Gives a context a handle.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn add(&mut self, derived: Derived) -> Result<i32, Misuse> {
        if self.derived.len() >= MOST {
            return Err(Misuse(format!("it has {MOST} contexts at once, which is the most")));
        }
        let handle = self.derived.insert(derived) + 1;
        i32::try_from(handle).map_err(|_| Misuse::unknown("context", u32::MAX))
    }

    /// Releases a handle.
    pub(crate) fn remove(&mut self, handle: u32) -> Option<Derived> {
        self.derived.try_remove(place(handle))
    }

    /// Derives a context from `ctx` with a value of the guest.
    ///
    /// # Errors
    /// The value is refused, or the guest's values would take too much memory.
    pub(crate) fn valued(
        &mut self,
        ctx: &Context,
        name: &str,
        text: &str,
    ) -> Result<Result<Context, Refused>, Misuse> {
        if name.is_empty() || name.len() > LONGEST.0 || text.len() > LONGEST.1 {
            return Ok(Err(Refused::Invalid));
        }
        if is_hosts_own(name) || ctx.is_protected(name) {
            return Ok(Err(Refused::Reserved));
        }
        let total = self.in_values.get_or_insert_default();
        let value = Counted::new(text, name.len(), total).ok_or_else(|| {
            Misuse(format!("its values take more than {MOST_IN_VALUES} bytes, which is the most"))
        })?;
        Ok(Ok(ctx.with_value(&Key::from_wire(name.to_owned()), value)))
    }

    /// A context with the values of `ctx`, but not its cancellation. It is a
    /// child of `root`, and ends when the guards that [`leave`](Self::leave)
    /// returns are dropped.
    pub(crate) fn without_cancel(&mut self, ctx: &Context, root: &Context) -> Derived {
        let (apart, _) = self.apart.get_or_insert_with(|| root.with_cancel());
        Derived { ctx: ctx.moved_to(apart), end: None, free: true }
    }

    /// Ends the contexts that end with the invocation, and returns the guards
    /// of the others.
    pub(crate) fn leave(&mut self) -> Vec<Cancel> {
        let mut free: Vec<_> = self.apart.take().map(|(_, end)| end).into_iter().collect();
        for derived in self.derived.drain() {
            match derived.end {
                Some(end) if derived.free => free.push(end),
                Some(end) => end.cancel_with(Cause::ParentDone),
                None => {}
            }
        }
        free
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.derived.is_empty() && self.apart.is_none()
    }
}

/// The reason why a guest's value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its name or its text is too long, or it has no name.
    Invalid,
    /// The name is reserved for the host.
    Reserved,
}

fn place(handle: u32) -> usize {
    (handle as usize).wrapping_sub(1)
}

/// A value of a guest. It releases its bytes when the last context that has it
/// is dropped.
struct Counted {
    text: Box<str>,
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Counted {
    fn new(text: &str, name: usize, total: &Arc<AtomicUsize>) -> Option<Self> {
        let bytes = text.len() + name + VALUE;
        let after = total.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // From here on, dropping it releases the bytes.
        let counted = Self { text: text.into(), bytes, total: total.clone() };
        (after <= MOST_IN_VALUES).then_some(counted)
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::PRINCIPAL;

    #[test]
    fn the_hosts_own_values_are_not_to_be_made_up() {
        const MINE: Key<String> = Key::protected("tenant");
        let mut contexts = Contexts::default();
        let ctx = Context::background().with_value(&MINE, "acme".into());
        let reserved = ["request-id", "function", "principal", "client-address", "traceparent"];
        for name in reserved.into_iter().chain(["tracestate", "route.id", "tenant"]) {
            let refused = contexts.valued(&ctx, name, "forged").expect("there is room");
            assert_eq!(refused.err(), Some(Refused::Reserved), "{name}");
        }
        let free = contexts.valued(&ctx, "colour", "red").expect("there is room");
        let Ok(free) = free else { panic!("anybody may set it") };
        assert_eq!(free.value_text("colour").as_deref(), Some("red"));
        assert_eq!(free.value(&MINE).as_deref(), Some("acme"));
        assert_eq!(free.value(&PRINCIPAL), None);
    }

    #[test]
    fn values_take_room_as_long_as_somebody_has_them() {
        let mut contexts = Contexts::default();
        let mut add = |ctx: &Context| contexts.valued(ctx, "name", &"x".repeat(4_000));
        let mut ctx = Context::background();
        let mut added = 0;
        while let Ok(next) = add(&ctx) {
            let Ok(next) = next else { panic!("it is a good value") };
            ctx = next;
            added += 1;
        }
        assert!((10..=16).contains(&added), "{added}");
        // A refused value takes no bytes, and a dropped one releases its bytes.
        ctx = Context::background();
        assert!(add(&ctx).is_ok());
        let in_values = contexts.in_values.as_ref().map(|total| total.load(Ordering::Relaxed));
        assert_eq!(in_values, Some(0));
    }

    #[test]
    fn handles_are_checked() {
        let mut contexts = Contexts::default();
        let derived = || Derived { ctx: Context::background(), end: None, free: false };
        assert!(contexts.get(0).is_err() && contexts.get(1).is_err());
        assert_eq!(contexts.add(derived()).ok(), Some(1));
        assert!(contexts.get(1).is_ok() && contexts.get(u32::MAX).is_err());
        assert!(contexts.remove(0).is_none() && contexts.remove(1).is_some());
        for _ in 0..MOST {
            assert!(contexts.add(derived()).is_ok());
        }
        assert!(contexts.add(derived()).is_err());
    }
}
