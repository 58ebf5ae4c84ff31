//! Benchmarks of `graphgc` beside what a user would pick instead.
//!
//! Two kinds. `cargo bench -p graphgc-benches` measures single operations, each beside its counterpart in std. `cargo run --release -p
//! graphgc-benches` compares whole programs ([`programs`]): each contestant's version of each program runs as a process of its own, since heaps,
//! allocators and background threads would disturb each other, and says on standard output what it did ([`report`]). The binary `contestant`
//! holds every contestant written in Rust, `contestant_mimalloc` the same ones with another allocator, `benches/go` and `benches/c` those in other
//! languages; all take the same arguments and draw the same random numbers, so that their checksums must agree.

mod contestants;
pub mod programs;
mod random;
pub mod report;

pub use contestants::run_contestant;
