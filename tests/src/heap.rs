//! The heap is one for the process: tests that compare its numbers take turns.

use crate::process::wait_until;
use graphgc::{
    Gc, Outcome, Trace, collect, pin,
    testing::{is_marking, request_cycle},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test of the binary that asks for this too is running, and keeps it so. A test that failed meanwhile does no
/// harm.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Collects until nothing more can go: also what hangs on handles in skipped fields, one after the other.
pub fn settle() {
    while collect().outcome != Outcome::Settled {}
}

/// Has a cycle begin, and waits until it marks.
pub fn begin_marking() {
    request_cycle();
    wait_until("a cycle marks", is_marking);
}

/// Makes an object that nothing leads to, and whose slot is not free before a sweep: it is no newborn whose handle ends without the collector.
pub fn garbage<T: Trace>(value: T) {
    let object = Gc::new(value);
    _ = object.local(&pin());
}
