//! The contexts that a guest has derived.
//!
//! Handle 0 is the invocation's own context, which is not in the table. The
//! others end with the invocation, except contexts without cancel if the
//! function has a `detach` period: see [`crate::guest::hourglass::call`].

use std::fmt;
use std::sync::Arc;

use hourglass_abi::limit;

use super::handles::{HandleTable, Resource};
use crate::body::is_hosts_own;
use crate::context::{Cancel, Cause, Context, Key};
use crate::guest::{Misuse, code};
use crate::limits::bytes::{ByteBudget, Reservation};

/// The most memory that a guest's values may take, in bytes.
const MAX_VALUES: u64 = 64 << 10;

/// The bytes that a value takes in addition to its name and its text.
const OVERHEAD: usize = 128;

/// The derived contexts of one invocation.
#[derive(Default)]
pub(crate) struct Contexts {
    pub(crate) derived: HandleTable<Derived>,
    /// The parent of the contexts without cancel.
    apart: Option<(Context, Cancel)>,
    /// The budget for values. Created with the first: most invocations add
    /// none.
    values: Option<Arc<ByteBudget>>,
}

/// A context, and what a guest may do with it.
pub(crate) struct Derived {
    pub(crate) ctx: Context,
    /// Cancels it, if it can be canceled.
    pub(crate) cancel: Option<Cancel>,
    /// Whether it may outlive the invocation.
    pub(crate) free: bool,
}

impl Resource for Derived {
    const NAME: &'static str = "context";
    const FIRST: u32 = 1;
    const MAX: usize = limit::CONTEXTS;
}

impl Contexts {
    /// Derives a context from `ctx` with a value of the guest.
    ///
    /// # Errors
    /// The guest's values would take too much memory; or the code for the guest:
    /// the value has no name, or one that is reserved for the host.
    pub(crate) fn with_value(
        &mut self,
        ctx: &Context,
        name: &str,
        text: &str,
    ) -> Result<Result<Context, i32>, Misuse> {
        if name.is_empty() {
            return Ok(Err(code::INVALID));
        }
        if is_hosts_own(name) || ctx.is_protected(name) {
            return Ok(Err(code::RESERVED));
        }
        let budget = self.values.get_or_insert_with(|| ByteBudget::new(MAX_VALUES));
        let bytes = (text.len() + name.len() + OVERHEAD) as u64;
        let reserved = budget.reserve(bytes).ok_or_else(|| {
            Misuse(format!("its values take more than {MAX_VALUES} bytes, which is the most"))
        })?;
        let value = Value { text: text.into(), _reserved: reserved };
        Ok(Ok(ctx.with_value(&Key::from_wire(name.to_owned()), value)))
    }

    /// A context with the values of `ctx`, but not its cancellation. It is a
    /// child of `root`, and ends when the guards that
    /// [`cancel_all`](Self::cancel_all) returns are dropped.
    pub(crate) fn without_cancel(&mut self, ctx: &Context, root: &Context) -> Derived {
        let (apart, _) = self.apart.get_or_insert_with(|| root.with_cancel());
        Derived { ctx: ctx.moved_to(apart), cancel: None, free: true }
    }

    /// Ends the contexts that end with the invocation, and returns the guards
    /// of the others.
    pub(crate) fn cancel_all(&mut self) -> Vec<Cancel> {
        let mut free: Vec<_> = self.apart.take().map(|(_, cancel)| cancel).into_iter().collect();
        for derived in self.derived.drain() {
            match derived.cancel {
                Some(cancel) if derived.free => free.push(cancel),
                Some(cancel) => cancel.cancel_with(Cause::ParentDone),
                None => {}
            }
        }
        free
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.derived.is_empty() && self.apart.is_none()
    }
}

/// A value of a guest.
struct Value {
    text: Box<str>,
    _reserved: Reservation,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
            let refused = contexts.with_value(&ctx, name, "forged").expect("there is room");
            assert_eq!(refused.err(), Some(code::RESERVED), "{name}");
        }
        let free = contexts.with_value(&ctx, "colour", "red").expect("there is room");
        let Ok(free) = free else { panic!("any guest may set it") };
        assert_eq!(free.value_text("colour").as_deref(), Some("red"));
        assert_eq!(free.value(&MINE).as_deref(), Some("acme"));
        assert_eq!(free.value(&PRINCIPAL), None);
    }

    #[test]
    fn values_take_room_as_long_as_somebody_has_them() {
        let mut contexts = Contexts::default();
        let mut add = |ctx: &Context| contexts.with_value(ctx, "name", &"x".repeat(4_000));
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
        assert_eq!(contexts.values.as_ref().map(|values| values.reserved()), Some(0));
    }
}
