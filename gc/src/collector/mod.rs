//! One cycle of collection, and who takes part in it.
//!
//! ```text
//! off --S1--> root scan --R--> mark --S2--> departure --> sweep --> off
//!      stop                          stop
//! ```
//!
//! S1 turns barriers and black allocation on and takes the root entries there are. Their scan, which shades the roots, runs while the program does;
//! R is when it is done. The worker, helpers and assists trace grey objects until none is left; S2 looks, with the world stopped, that this is so
//! and turns everything off again. Then finalizers and cleanups get what is theirs (`departure`), and every span is swept, in the background or by threads
//! that need room.
//!
//! The threads: `graphgc` runs cycles (`worker`, `cycle`), `graphgc-drop` runs users' `Drop`s (`dropper`), `graphgc-finalize` finalizers and cleanups (`finalize`).

mod assist;
mod checkmark;
mod collect;
pub(crate) mod cycle;
mod departure;
pub(crate) mod dropper;
pub(crate) mod ephemerons;
pub(crate) mod finalize;
pub(crate) mod grey;
mod held_up;
pub(crate) mod mark;
pub(crate) mod pacer;
mod roots;
pub(crate) mod survey;
pub(crate) mod sweep;
pub(crate) mod walk;
pub(crate) mod weak_links;
mod worker;

pub(crate) use assist::{after_allocation, after_pin, before_large};
pub(crate) use collect::request_cycle;
pub use collect::{Collection, Outcome, collect};
pub use finalize::{cleanup::Cleanup, local::run_finalizers};
pub(crate) use worker::{at_rest, ensure_finalizer_started, ensure_started, request};
