//! A cell that took a handle to a subtype would hand it out as one to the type itself.

use graphgc::{Gc, GcCell};
use std::sync::Arc;

type Anything = Gc<Arc<for<'a> fn(&'a str)>>;
type Static = Gc<Arc<fn(&'static str)>>;

fn put(cell: &GcCell<Anything>, stores_it: Static) {
    let cell: &GcCell<Static> = cell;
    cell.set(stores_it);
}

fn main() {}
