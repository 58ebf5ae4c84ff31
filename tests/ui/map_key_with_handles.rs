//! The keys of a map hold no handles; a type that has none says so.

use graphgc::{Gc, GcMap, Trace};

#[derive(Trace, PartialEq, Eq, Hash)]
struct Place {
    line: u32,
}

fn main() {
    let _by_object = GcMap::<Gc<String>, Gc<u32>>::new();
    let _by_place = GcMap::<Place, Gc<u32>>::new();
}
