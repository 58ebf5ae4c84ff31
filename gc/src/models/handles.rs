//! L3: handles and `GcCell`s against a whole cycle.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{Gc, GcCell};

type Cell = GcCell<Option<Gc<u8>>>;

/// What is taken out of a cell while a cycle runs survives it.
#[test]
fn taken_out_while_marking() {
    verify(3, &[], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let mutator = mutator(move || {
            let taken = owner.take().unwrap();
            drop(owner);
            taken
        });
        cycle();
        let taken = mutator.join().unwrap();
        assert!(is_allocated(object(&taken)));
        COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    println!("{COUNT:?}");
}
static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
