use graphgc::{Gc, Trace};
use std::cell::Cell;

trait Shape: Trace {}

#[derive(Trace)]
struct Square(u8);

impl Shape for Square {}

fn main() {
    // `Square` might go, but the trait does not say so.
    let shape = Gc::new(Square(1)).unsize::<dyn Shape>(|p| p);
    std::thread::spawn(move || drop(shape));

    let slice: Gc<[Cell<u8>]> = vec![Cell::new(1)].into();
    std::thread::spawn(move || drop(slice));
}
