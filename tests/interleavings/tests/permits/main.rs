//! What the permits of admission promise to threads that meet at them, from the
//! very file that `hourglass` is made of.

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
fn where_there_are_as_many_as_threads_each_finds_one() {
    every_order(|| {
        let permits = Arc::new(Permits::new(2));
        let other = thread::spawn({
            let permits = permits.clone();
            move || {
                // One of each share, one after the other.
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
fn no_more_are_taken_than_there_are() {
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
