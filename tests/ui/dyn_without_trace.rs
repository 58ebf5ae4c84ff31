use graphgc::{Gc, Trace};

trait Shape {
    fn area(&self) -> f64;
}

// The trait does not have `Trace` as a supertrait.
#[derive(Trace)]
struct Field {
    shape: Gc<dyn Shape>,
}

#[derive(Trace)]
struct Boxed {
    shape: Box<dyn Shape>,
}

fn main() {}
