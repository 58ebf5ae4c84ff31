//! L7: pins against R, S2 and reclamation.
//!
//! A pinned load is an acquire load of the word, here made by a visitor; what is loaded is counted at the end, under the pin still, and must be
//! allocated when the cycle is over.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{
    Gc, GcCell,
    cell::{edge_word::EdgeWord, lock::CellLock},
    heap::header::Object,
    mutator::{Operation, pin::pin},
    sync::Mutation,
    trace::{
        Trace, Tracer,
        tracer::{Content, Pass, Visitor},
    },
};

type Cell<T> = GcCell<Option<Gc<T>>>;

/// Loads the edge of a cell.
#[derive(Default)]
struct Load(Option<Object>);

impl Visitor for Load {
    fn handle(&mut self, _: Object) {}

    fn edge_cell(&mut self, cell: &EdgeWord) {
        self.0 = cell.read().object();
    }

    fn lock_cell(&mut self, _: &CellLock, _: &dyn Content) {}

    fn next_element(&mut self) -> bool {
        false
    }
}

fn load(cell: &impl Trace) -> Object {
    let mut load = Load::default();
    cell.trace(&mut Tracer::new(Pass::Visit(&mut load)));
    load.0.expect("the cell is not empty")
}

/// A handle to what has been loaded under a pin that is still held.
fn to_gc(object: Object) -> Gc<u8> {
    Operation::enter().count_up(object);
    // SAFETY: counted; all models load edges to such objects.
    unsafe { Gc::from_object(object) }
}

/// What a pin that is held at R has loaded is not freed before the pin is gone.
///
/// Breaks if S2 does not wait for pins, or for those held at S1 only: S1; a pin is taken, loads from an object, and the object's last
/// handle is dropped; its entry is processed and marks nothing; S2, sweep.
#[test]
fn loaded_before_the_entry_is_processed() {
    verify(2, &[Mutation::PinsHeldAtS1, Mutation::EndWithoutPins], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let reader = mutator(move || {
            let guard = pin();
            let loaded = load(&*owner);
            drop(owner);
            let handle = to_gc(loaded);
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}

/// What a pin younger than R loads through an object that has been taken out and dropped again is marked by this cycle.
///
/// Breaks if taking out does not shade: R; the object is taken out, the pin taken, the edge loaded, the object's handle dropped; the
/// marker finds the outer cell empty, and S2 does not wait for the pin.
#[test]
fn loaded_through_an_object_taken_out_after_r() {
    verify(2, &[Mutation::TakeWithoutBarrier], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(Cell::new(Some(Gc::new(1))))))));
        let reader = mutator(move || {
            let middle: Gc<Cell<u8>> = owner.take().unwrap();
            let guard = pin();
            let loaded = load(&*middle);
            drop((middle, owner));
            let handle = to_gc(loaded);
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}

/// What a pin younger than R has loaded is marked although its edge is overwritten then.
///
/// Breaks if overwriting does not shade: R; pin, load, overwrite; the marker finds the cell empty, and S2 does not wait for the pin.
#[test]
fn loaded_and_overwritten_after_r() {
    verify(2, &[Mutation::SetWithoutShade], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let reader = mutator(move || {
            let guard = pin();
            let loaded = load(&*owner);
            owner.set(None);
            let handle = to_gc(loaded);
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}
