//! A weak handle goes where its target may be used.

use graphgc::{Gc, GcRefCell};

fn main() {
    let strong = Gc::new(GcRefCell::new(1));
    let weak = Gc::downgrade(&strong);
    std::thread::spawn(move || drop(weak));
}
