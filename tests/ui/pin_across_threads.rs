//! A pin is of one thread, and so is all that lives under it.

use graphgc::{Gc, GcCell, pin};
use std::thread;

fn main() {
    let guard = pin();
    let cell = GcCell::new(Gc::downgrade(&Gc::new(1)));
    let (local, weak) = (guard.alloc(7), cell.load(&guard));
    thread::scope(|scope| {
        scope.spawn(|| guard.alloc(8).to_gc());
        scope.spawn(move || local.to_gc());
        scope.spawn(move || weak.to_weak());
    });
    thread::spawn(move || drop(guard));
}
