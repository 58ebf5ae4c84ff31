use graphgc::{Gc, Unsizing};
use std::any::Any;

fn main() {
    // Kept from an earlier call.
    let mut kept: Option<&Unsizing<u8>> = None;
    Gc::new(1_u8).unsize::<dyn Any>(|p| {
        kept = Some(p);
        p
    });
    // Another object's, from a call around this one.
    Gc::new(1_u64).unsize::<dyn Any>(|p| {
        Gc::new(2_u8).unsize::<dyn Any>(|_| p);
        p
    });
}
