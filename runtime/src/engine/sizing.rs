//! The number of invocations that the machine's limits allow at once.
//!
//! The pool consists of memory mappings, and the kernel bounds their number per
//! process (`vm.max_map_count`). A slot's stack takes two when the pool is
//! created: the stack and its guard page. Its memory takes up to four while it is
//! in use: the pages before the module's data, the data, the pages after it, and
//! the reserved rest. A pool that exceeds the bound does not fail when it is
//! created but later, while it serves invocations, so the bound is checked
//! beforehand.

use crate::error::BuildError;

/// The default limit on invocations in flight.
const DEFAULT_IN_FLIGHT: usize = 1_000;

/// The mappings of one slot in use.
const MAPPINGS_PER_SLOT: usize = 6;

/// The mappings for everything else: code, threads, heaps, and three for each of
/// about 1,500 loaded modules.
const MAPPINGS_ELSEWHERE: usize = 4_800;

/// The minimum number of slots for idle instances.
const LEAST_IDLE: usize = 64;

/// The kernel's default.
const STOCK_MAX_MAP_COUNT: usize = 65_530;

/// The maximum number of invocations in flight, and the values that it was
/// derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizing {
    pub(crate) in_flight: usize,
    /// The number of additional instances that may be kept between runs.
    pub(crate) idle: usize,
    pub(crate) allowed: usize,
    pub(crate) max_map_count: usize,
}

/// Determines the sizes for `asked` invocations in flight, or for the default.
pub(crate) fn decide(asked: Option<usize>) -> Result<Sizing, BuildError> {
    let max_map_count = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(STOCK_MAX_MAP_COUNT);
    decide_within(asked, max_map_count)
}

fn decide_within(asked: Option<usize>, max_map_count: usize) -> Result<Sizing, BuildError> {
    let slots = max_map_count.saturating_sub(MAPPINGS_ELSEWHERE) / MAPPINGS_PER_SLOT;
    let allowed = slots.saturating_sub(LEAST_IDLE).max(1);
    let in_flight = match asked {
        Some(asked) if asked > allowed => {
            return Err(BuildError::TooManyInFlight {
                asked,
                allowed,
                max_map_count,
                needed: asked
                    .saturating_add(LEAST_IDLE)
                    .saturating_mul(MAPPINGS_PER_SLOT)
                    .saturating_add(MAPPINGS_ELSEWHERE),
            });
        }
        Some(asked) => asked.max(1),
        None => DEFAULT_IN_FLIGHT.min(allowed),
    };
    // As many as may be in flight, so that all instances of a burst can be
    // kept.
    let idle = slots.saturating_sub(in_flight).min(in_flight);
    Ok(Sizing { in_flight, idle, allowed, max_map_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_machine_takes_the_default() {
        let sizing = decide_within(None, 65_530).expect("the default fits");
        assert_eq!((sizing.in_flight, sizing.idle), (1_000, 1_000));
        assert!(sizing.allowed >= 10_000);
    }

    #[test]
    fn a_small_machine_takes_what_fits() {
        let sizing = decide_within(None, 7_000).expect("shrinks");
        assert_eq!((sizing.in_flight, sizing.idle), (302, 64));
    }

    #[test]
    fn too_many_names_the_setting_that_is_enough() {
        let error = decide_within(Some(20_000), 65_530).expect_err("too many");
        let BuildError::TooManyInFlight { needed, .. } = error else { panic!("{error}") };
        assert!(decide_within(Some(20_000), needed).is_ok());
        assert!(decide_within(Some(20_001), needed).is_err());
    }
}
