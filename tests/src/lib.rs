//! Behaviour tests of `graphgc`; everything is under `tests/`. Here is what the tests share: random numbers, payloads that know
//! whether they are alive, small graphs, turns at the one heap, attacks, expected panics, and questions to the operating system.

pub mod heap;
pub mod knot;
pub mod panics;
pub mod payload;
pub mod process;
pub mod program;
pub mod random;
pub mod sound;
