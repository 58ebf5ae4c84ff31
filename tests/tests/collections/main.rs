//! Collections of edges: what std's do, and what the collector adds.

mod maps;
mod ref_vecs;
mod sets;
mod vecs;

use graphgc::{Gc, Trace, testing::MarkingHeld, verify};
use graphgc_tests::heap::{alone, begin_marking};

/// Runs `body` with a collection on the stack (counted), with one in the heap (claimed), and with that while a cycle is marking.
fn everywhere<C: Trace + Default>(body: impl Fn(&C)) {
    let _alone = alone();
    body(&C::default());
    body(&Gc::new(C::default()));
    let _held = MarkingHeld::new();
    let collection = Gc::new(C::default());
    begin_marking();
    body(&collection);
    let violations = verify();
    assert!(violations.is_empty(), "{violations:?}");
}
