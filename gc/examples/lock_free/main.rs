//! Lock-free structures on edges that are exchanged atomically, as short as in a textbook: no `unsafe`, no hazard pointers, no epochs in
//! the user's hands, no counters against ABA. A pin keeps what a thread looks at, and the collector does the rest.
//!
//! ```text
//! cargo run --release -p graphgc --example lock_free
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(graphgc_loom, allow(dead_code, unused_imports))]

mod heap;
mod map;
mod queue;
mod stack;
#[cfg(test)]
mod tests;

#[cfg(not(graphgc_loom))]
mod demonstration;

#[cfg(not(graphgc_loom))]
fn main() {
    demonstration::run();
}

/// What runs under loom are the tests.
#[cfg(graphgc_loom)]
fn main() {}
