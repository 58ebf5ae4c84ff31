//! A `Local` lives no longer than its guard, an object for as long as it is reachable.

use graphgc::{Local, Trace};

#[derive(Trace)]
struct Node<'g> {
    next: Local<'g, u32>,
}

#[derive(Trace)]
struct Skipping {
    #[trace(skip)]
    next: Local<'static, u32>,
}

fn main() {}
