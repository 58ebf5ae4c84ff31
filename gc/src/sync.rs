//! The one door to atomics, locks and threads.
//!
//! Protocol types (header word, edge word, cell lock, stop gate, candidate buffer, mark bits) import from here alone, so that
//! the models compile the very same source against loom's types. `--cfg graphgc_loom` switches; a user's own
//! `--cfg loom` does not, so a program that tests its own code under loom still links a working collector.

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

/// Locks `mutex`; a lock that a panicking thread left behind is taken all the same, since no critical section of ours
/// leaves its data half changed when it unwinds.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// [`lock`] for a mutex of std's, in code that no model runs.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
