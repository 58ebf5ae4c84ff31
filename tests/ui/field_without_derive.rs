use graphgc::{Gc, Trace};

struct Colour(u8, u8, u8);

#[derive(Trace)]
struct Pixel {
    colour: Colour,
}

#[derive(Trace)]
enum Shape {
    Filled(Vec<Colour>),
    Linked { to: Gc<Colour> },
}

fn main() {}
