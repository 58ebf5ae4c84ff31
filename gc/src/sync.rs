//! The one door to atomics, locks and threads.
//!
//! Protocol types (header word, edge word, cell lock, stop gate, candidate buffer, mark bits) import from here alone, so that
//! the models compile the very same source against loom's types. `--cfg graphgc_loom` switches; a user's own
//! `--cfg loom` does not, so a program that tests its own code under loom still links a working collector.

#[cfg(graphgc_loom)]
pub(crate) mod epoch;
pub(crate) mod mutation;
#[cfg(graphgc_loom)]
pub(crate) mod turns;

pub(crate) use mutation::{Mutation, weakened};

#[cfg(not(graphgc_loom))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::{sleep, yield_now},
};

/// Pins: `crossbeam-epoch`, but for models, which trust it.
#[cfg(not(graphgc_loom))]
pub(crate) use crossbeam_epoch as epoch;

#[cfg(graphgc_loom)]
pub(crate) use {
    loom::{
        sync::{Condvar, Mutex, MutexGuard, atomic::fence},
        thread::yield_now,
    },
    turns::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// Time passes in a model when others run.
#[cfg(graphgc_loom)]
pub(crate) fn sleep(_: std::time::Duration) {
    yield_now();
}

/// A static of the process; in models one of each execution.
#[cfg(not(graphgc_loom))]
macro_rules! global {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $value:expr;) => {
        $(#[$attribute])* $visibility static $name: $type = $value;
    };
}

#[cfg(graphgc_loom)]
macro_rules! global {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $value:expr;) => {
        $(#[$attribute])* $visibility static $name: $crate::sync::Global<$type> =
            $crate::sync::Global(loom::lazy_static::Lazy { init: || $value, _p: std::marker::PhantomData });
    };
}

/// A constructor that is `const`, but not in models: loom's types are not made in constants.
#[cfg(not(graphgc_loom))]
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => { $(#[$attribute])* $visibility const fn $($rest)* };
}

#[cfg(graphgc_loom)]
macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}

/// Statics of each thread.
#[cfg(not(graphgc_loom))]
macro_rules! per_thread {
    ($($local:tt)*) => { thread_local! { $($local)* } };
}

/// Loom's macro does not know `const` values.
#[cfg(graphgc_loom)]
macro_rules! per_thread {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const $value:block;)*) => {
        $($(#[$attribute])* static $name: loom::thread::LocalKey<$type> =
            loom::thread::LocalKey { init: || $value, _p: std::marker::PhantomData };)*
    };
}

pub(crate) use {const_fn, global, per_thread};

/// See [`global`].
#[cfg(graphgc_loom)]
pub(crate) struct Global<T: 'static>(pub(crate) loom::lazy_static::Lazy<T>);

#[cfg(graphgc_loom)]
impl<T> std::ops::Deref for Global<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let lazy: *const loom::lazy_static::Lazy<T> = &raw const self.0;
        // SAFETY: `global` makes statics only.
        unsafe { &*lazy }.get()
    }
}

/// What an atomic holds, for one who has it alone: by a plain load, of which the compiler may know the result.
///
/// # Safety
/// Nobody else writes to it meanwhile, and whoever did has synchronised with the caller.
#[cfg(not(graphgc_loom))]
#[inline(always)]
pub(crate) unsafe fn load_plainly<T>(atomic: &AtomicPtr<T>) -> *mut T {
    // SAFETY: by contract.
    unsafe { *atomic.as_ptr() }
}

/// The same; in models loom notices stores of others at the same time.
///
/// # Safety
/// As above.
#[cfg(graphgc_loom)]
pub(crate) unsafe fn load_plainly<T>(atomic: &AtomicPtr<T>) -> *mut T {
    // SAFETY: by contract.
    unsafe { atomic.unsync_load() }
}

/// Puts a value into an atomic, for one who has it alone: by a plain store.
///
/// # Safety
/// Nobody else gets at it meanwhile.
#[cfg(not(graphgc_loom))]
#[inline(always)]
pub(crate) unsafe fn store_plainly<T>(atomic: &AtomicPtr<T>, value: *mut T) {
    // SAFETY: by contract.
    unsafe { *atomic.as_ptr() = value }
}

/// The same, as loom knows no such store of an atomic that is shared: it notices nothing.
///
/// # Safety
/// As above.
#[cfg(graphgc_loom)]
pub(crate) unsafe fn store_plainly<T>(atomic: &AtomicPtr<T>, value: *mut T) {
    atomic.store(value, Ordering::Relaxed);
}

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
