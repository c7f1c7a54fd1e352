//! The guarantees of admission permits under concurrency, tested on the source
//! of `hourglass`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed anyway")]

mod cores;
#[path = "../../../../runtime/src/admission/permits.rs"]
#[allow(dead_code, reason = "what call trees use of it is not here")]
mod permits;

use std::sync::Arc;

use hourglass_interleavings::every_order;
use loom::thread;

use self::cores::move_to;
use self::permits::Permits;

#[test]
fn each_of_as_many_threads_as_permits_gets_one() {
    every_order(|| {
        let permits = Arc::new(Permits::new(2));
        let other = thread::spawn({
            let permits = permits.clone();
            move || {
                // One permit of each share, in turn.
                drop(permits.take().unwrap());
                move_to(1);
                drop(permits.take().unwrap());
            }
        });
        drop(permits.take().unwrap());
        other.join().unwrap();
        assert_eq!(permits.taken(), 0);
    });
}

#[test]
fn no_permit_is_taken_twice() {
    every_order(|| {
        let permits = Arc::new(Permits::new(1));
        let other = thread::spawn({
            let permits = permits.clone();
            move || {
                move_to(1);
                permits.take().is_some_and(|_permit| permits.take().is_none())
            }
        });
        let found = permits.take().is_some_and(|_permit| permits.take().is_none());
        let other_found = other.join().unwrap();
        assert!(found || other_found);
        assert_eq!(permits.taken(), 0);
    });
}
