use graphgc::{Gc, GcFn, GcRefCell, GcSyncFn};

fn main() {
    let number = Gc::new(1);
    let captured = GcFn::new((), |(), other: u32| *number + other);
    let shared = GcSyncFn::new(GcRefCell::new(1), |cell, other: u32| *cell.borrow() + other);
}
