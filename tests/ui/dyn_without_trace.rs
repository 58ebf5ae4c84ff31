use graphgc::{Gc, GcCell, Trace};

trait Shape {
    fn area(&self) -> f64;
}

// The trait does not have `Trace` as a supertrait.
#[derive(Trace)]
struct Field {
    shape: Gc<dyn Shape>,
}

// Two words do not fit.
#[derive(Trace)]
struct Edge {
    text: GcCell<Option<Gc<str>>>,
}

fn main() {}
