//! Random numbers for ids: different in every thread and every process.
//!
//! They are not secret. An observer of some of them can compute the next ones.

use std::cell::Cell;
use std::time::SystemTime;

use rustix::rand::{GetRandomFlags, getrandom};

/// The multiplier of Lehmer's generator, with a state of 128 bits, so that the
/// sequences of two threads never overlap.
const MULTIPLIER: u128 = 0xda94_2042_e4dd_58b5;

thread_local! {
    /// Odd, once it is seeded.
    static STATE: Cell<u128> = const { Cell::new(0) };
}

/// The next number. Only the first one of a thread makes a system call.
pub(crate) fn next() -> u64 {
    let state = match STATE.get() {
        0 => seed(),
        state => state,
    };
    let state = state.wrapping_mul(MULTIPLIER);
    STATE.set(state);
    // The lower half is less random.
    (state >> 64) as u64
}

fn seed() -> u128 {
    let mut random = [0; 16];
    if getrandom(&mut random, GetRandomFlags::empty()).is_ok() {
        return u128::from_le_bytes(random) | 1;
    }
    // Without randomness, threads are seeded by an address and processes by
    // their start time.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let place = STATE.with(|state| std::ptr::from_ref(state).addr());
    (now.as_nanos() << 64) ^ ((place as u128) << 1) | 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn no_thread_has_anothers_numbers() {
        let some = || (0..1_000).map(|_| next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| thread::spawn(some)).collect();
        let all = threads.into_iter().flat_map(|thread| thread.join().expect("no panic"));
        assert_eq!(all.collect::<HashSet<_>>().len(), 8_000);
    }

    #[test]
    fn every_bit_is_as_often_set_as_not() {
        for bit in 0..64 {
            let set = (0..10_000).filter(|_| next() >> bit & 1 == 1).count();
            // Ten standard deviations.
            assert!((4_500..5_500).contains(&set), "bit {bit}: {set}");
        }
    }
}
