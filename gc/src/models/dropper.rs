//! The dropper against the next cycle, which finds more dead objects in the spans that it has.

use super::{
    tiny_heap::{cycle, ending_here, mutator},
    verify,
};
use crate::{
    Gc, Trace,
    collector::dropper::DROPPER,
    heap::HEAP,
    sync::{Mutation, Mutex, global, lock},
};

global! {
    /// How often each value has been dropped.
    static DROPS: Mutex<[usize; 2]> = Mutex::new([0; 2]);
}

/// A value with a user's drop.
#[derive(Trace)]
#[trace(leaf, crate = "crate")]
struct Noted(usize);

impl Drop for Noted {
    fn drop(&mut self) {
        lock(&DROPS)[self.0] += 1;
    }
}

/// What dies is dropped once, and its slot is free then, whether its span is with the dropper when the cycle finds it or has just left.
///
/// Breaks if the dropper looks whether all is done in its span before it takes the lock under which it lets go: it sees that nothing waits; the next sweep
/// comes by and leaves it another dead object; it gives the span back, and nobody drops that.
#[test]
fn dropping_beside_the_next_cycle() {
    verify(2, &[Mutation::FinishLooksFirst], || {
        let (first, second) = ending_here(|| (Gc::new(Noted(0)), Gc::new(Noted(1))));
        drop(first);
        cycle();
        let dropper = mutator(|| DROPPER.serve());
        drop(second);
        cycle();
        dropper.join().unwrap();
        if lock(&DROPS)[1] == 0 {
            // It was done with the span before the cycle came by.
            ending_here(|| DROPPER.serve());
        }
        assert_eq!(*lock(&DROPS), [1, 1]);
        assert_eq!(HEAP.account.used_objects(), 0);
    });
}
