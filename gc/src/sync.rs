//! The one door to atomics, locks and threads.
//!
//! Protocol types (header word, edge word, cell lock, stop gate, candidate buffer, mark bits) import from here alone, so that
//! the models compile the very same source against loom's types. `--cfg graphgc_loom` switches; a user's own
//! `--cfg loom` does not, so a program that tests its own code under loom still links a working collector.

pub(crate) mod mutation;

pub(crate) use mutation::{Mutation, weakened};

#[cfg(not(graphgc_loom))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

#[cfg(graphgc_loom)]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

/// `strong`, unless the line has been weakened.
#[inline(always)]
pub(crate) fn unless(mutation: Mutation, strong: Ordering) -> Ordering {
    if weakened(mutation) { Ordering::Relaxed } else { strong }
}

/// Locks `mutex`; a lock that a panicking thread left behind is taken all the same, since no critical section of ours
/// leaves its data half changed when it unwinds.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// [`lock`] for a mutex of std's, in code that no model runs.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
