use graphgc::{Gc, Trace};
use std::any::Any;
use std::cell::Cell;

trait Shape: Trace {}

#[derive(Trace)]
struct Square(u8);

#[derive(Trace)]
struct Painted(Square, u8);

impl Shape for Square {}
impl Shape for Painted {}

fn main() {
    let painted = || Gc::new(Painted(Square(1), 2));
    // A part of the content instead of all of it.
    painted().unsize::<dyn Shape>(|p| &p.0);
    // Something else of the same kind.
    painted().unsize::<dyn Shape>(|_| &Square(1));
    // More than there is.
    Gc::new([1_u8; 4]).unsize::<[u8; 8]>(|p| p);
    // Another thread's, where it must not go.
    Gc::new(Cell::new(1)).unsize::<dyn Any + Send + Sync>(|p| p);
}
