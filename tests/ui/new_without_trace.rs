use graphgc::Gc;
use std::{cell::RefCell, rc::Rc};

struct Colour(u8);

fn main() {
    let _derive_is_missing = Gc::new(Colour(1));
    let _rc = Gc::new(Rc::new(1));
    let _std_cell = Gc::new(RefCell::new(Some(Gc::new(1))));
}
