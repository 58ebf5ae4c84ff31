//! A collection of edges holds handles as they are, and nothing else.

use graphgc::{GcVec, Weak};

fn main() {
    let _numbers = GcVec::<u32>::new();
    let _optional = GcVec::<Option<Weak<u32>>>::new();
}
