//! The smallest program with a `Gc`: `compare` reports its size and the time from its start to its end.

fn main() {
    println!("{}", graphgc::Gc::new(7));
}
