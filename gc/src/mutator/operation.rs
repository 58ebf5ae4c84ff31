//! Operations: the short critical sections of one thread inside the collector's data.
//!
//! While an [`Operation`] exists no S1 and no S2 happens, so what it reads of the phase stays true and what it does is, for the collector, done at
//! once. An operation runs no code of users, waits for no cell, marker or pin, and is bounded.
//!
//! The barriers are here, since only an operation knows the phase: what is counted and has no root entry gets one (and is shaded while
//! marking), what is claimed, noted, overwritten or stored under a pin while marking is shaded.

use super::{
    gate::Phase,
    newborn,
    record::{Local, Record},
};
use crate::{
    collector::grey,
    heap::{OutOfMemory, header::Object},
    sync::{Mutation, per_thread, weakened},
};
use std::{
    alloc::{Layout, handle_alloc_error},
    cell::Cell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{self, null},
};

per_thread! {
    /// The thread's record, for the short paths. Null before its first operation, after its last regular one, and while it is [off the short
    /// paths](off_short_paths). Has no destructor, so it can be read at any time.
    static CURRENT: Cell<*const Record> = const { Cell::new(null()) };
    /// Whether it is off the short paths.
    static OFF: Cell<bool> = const { Cell::new(false) };
    /// The record for longer ones. Gives it back when the thread ends.
    static ENDING: Ending = const { Ending(Cell::new(null())) };
}

struct Ending(Cell<*const Record>);

impl Ending {
    fn give_back(&self) {
        // In a model it may be gone already.
        _ = CURRENT.try_with(|current| current.set(null()));
        // SAFETY: records are never freed.
        if let Some(record) = unsafe { self.0.replace(null()).as_ref() } {
            record.unregister();
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// What the end of the thread does. In models a thread counts as joined before its locals are dropped, so it calls this before.
#[cfg(graphgc_loom)]
pub(crate) fn end_thread() {
    ENDING.with(Ending::give_back);
}

/// A critical section; ends when dropped. Two words, so that one that moves does so in registers.
pub(crate) struct Operation {
    record: &'static Record,
    pub(crate) phase: Phase,
    /// An operation belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Operation {
    /// Enters an operation. Cost: a store, a load and a comparison when the phase is the one seen last.
    ///
    /// Ends the process if the OS refuses memory for the thread's record and refused it for the spare one, too.
    #[inline]
    pub(crate) fn enter() -> Operation {
        match Operation::enter_at_once() {
            Some(operation) => operation,
            None => Operation::enter_slowly(),
        }
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly() -> Operation {
        Operation::try_enter().unwrap_or_else(|OutOfMemory| handle_alloc_error(Layout::new::<Record>()))
    }

    /// Enters an operation, if the thread has a record or can get or borrow one.
    #[inline]
    pub(crate) fn try_enter() -> Result<Operation, OutOfMemory> {
        // SAFETY: records are never freed.
        match unsafe { CURRENT.try_with(Cell::get).unwrap_or(null()).as_ref() } {
            Some(record) => Ok(Operation::enter_with(record)),
            None => Operation::enter_first(),
        }
    }

    /// Enters an operation if that takes no waiting: the thread has a record, which is up to date, and is in no other operation.
    #[inline]
    pub(crate) fn enter_now() -> Option<Operation> {
        // SAFETY: records are never freed.
        let record = unsafe { CURRENT.try_with(Cell::get).unwrap_or(null()).as_ref()? };
        let phase = record.try_enter()?;
        Some(Operation { record, phase, not_send: PhantomData })
    }

    /// Enters an operation if that takes no waiting, for a caller that is in no other: code of users, which no operation runs, has called it.
    #[inline(always)]
    pub(crate) fn enter_at_once() -> Option<Operation> {
        // SAFETY: records are never freed.
        let record = unsafe { CURRENT.try_with(Cell::get).unwrap_or(null()).as_ref()? };
        let phase = record.enter_at_once()?;
        Some(Operation { record, phase, not_send: PhantomData })
    }

    #[inline]
    fn enter_with(record: &'static Record) -> Operation {
        let phase = record.enter();
        Operation { record, phase, not_send: PhantomData }
    }

    /// The thread's first operation, one after its thread-local data is gone, or one off the short paths.
    #[cold]
    #[inline(never)]
    fn enter_first() -> Result<Operation, OutOfMemory> {
        // SAFETY: records are never freed.
        let known = ENDING.try_with(|ending| unsafe { ending.0.get().as_ref() });
        let record = match known {
            Ok(Some(record)) => record,
            Ok(None) | Err(_) => {
                crate::collector::ensure_started();
                let current = CURRENT.try_with(|current| ptr::from_ref(current).addr());
                let Some(record) = Record::register(current.unwrap_or(0)) else {
                    return Record::borrow_spare().map(Operation::enter_with).ok_or(OutOfMemory);
                };
                record
            }
        };
        if ENDING.try_with(|ending| ending.0.set(record)).is_err() {
            record.lend();
        } else if !OFF.try_with(Cell::get).unwrap_or(false) {
            CURRENT.with(|current| current.set(record));
        }
        Ok(Operation::enter_with(record))
    }

    #[inline]
    #[expect(clippy::mut_from_ref, reason = "guarded by the gate; every use here is short and does not nest")]
    fn local(&self) -> &mut Local {
        // SAFETY: we are in an operation whose phase the record has seen, and no caller below keeps the reference.
        unsafe { self.record.local() }
    }

    /// The thread's local part, for the allocation path.
    #[inline]
    pub(crate) fn local_mut(&mut self) -> &mut Local {
        // SAFETY: as in `local`; `&mut self` keeps it exclusive.
        unsafe { self.record.local() }
    }

    /// Counts one more handle to `object`, which something keeps alive during this operation.
    #[inline]
    pub(crate) fn count_up(&self, object: Object) {
        // SAFETY: by contract the object is alive.
        if unsafe { object.roots() }.up() {
            self.add_entry(object);
        }
    }

    /// As [`count_up`](Self::count_up), for a handle of the calling thread's: the count may wait (`mutator::deferred`), while marking by grace of the mark.
    #[inline]
    pub(crate) fn count_for_thread(&self, object: Object) {
        if !weakened(Mutation::NoteWithoutShade) {
            self.shade(object);
        }
        if let Some(due) = self.record.deferred.note(object) {
            self.local().make_good(due);
        }
    }

    /// The object has been counted and had no entry: adds it, and while marking shades the object.
    #[cold]
    fn add_entry(&self, object: Object) {
        self.local().add_candidate(object);
        if !weakened(Mutation::RootWithoutShade) {
            self.shade(object);
        }
    }

    /// Makes the entry of an object that has been born with count 1. It is black already if this is marking.
    #[inline]
    pub(crate) fn born(&self, object: Object) {
        self.local().add_candidate(object);
    }

    /// A counted handle becomes claimed.
    #[inline]
    pub(crate) fn claim(&self, object: Object) {
        // Before the count: once it is 0 the root scan would no longer shade it.
        if !weakened(Mutation::ClaimWithoutShade) {
            self.shade(object);
        }
        if self.record.deferred.end_claimed(object) {
            return;
        }
        // SAFETY: the handle being claimed keeps the object alive.
        unsafe { object.roots() }.claimed();
    }

    /// The same for a handle in a value that nobody but the calling thread has seen: one that owns its handle alone. If that is the only one to a newborn its
    /// count and its entry end together.
    #[inline]
    pub(crate) fn claim_for_newborn(&self, object: Object) {
        // A newborn is black while marking: there is nothing to shade.
        if !newborn::end(&mut self.local().candidates, object) {
            self.claim(object);
        }
    }

    /// While marking, greys `object` unless it is marked.
    #[inline]
    pub(crate) fn shade(&self, object: Object) {
        if self.phase.is_marking() {
            grey::shade(object, &mut self.local().grey);
        }
    }
}

impl Operation {
    /// Ends an operation that was [entered at once](Self::enter_at_once), hence with the thread's own record.
    #[inline]
    pub(crate) fn end_at_once(self) {
        let operation = ManuallyDrop::new(self);
        debug_assert!(!operation.record.is_lent());
        operation.record.leave();
    }
}

impl Drop for Operation {
    #[inline]
    fn drop(&mut self) {
        self.record.leave();
        if self.record.is_lent() {
            self.record.unregister();
        }
    }
}

/// Runs `code`, which does not panic, with no handle ending unnoticed, whatever else it has run: none by a note, none as a newborn's.
pub(crate) fn off_short_paths(code: impl FnOnce()) {
    let before = OFF.try_with(|off| off.replace(true));
    let record = CURRENT.try_with(|current| current.replace(null()));
    code();
    if let Ok(record) = record {
        _ = CURRENT.try_with(|current| current.set(record));
    }
    if let Ok(before) = before {
        _ = OFF.try_with(|off| off.set(before));
    }
}

/// Ends a handle of the calling thread's to `object` by ending a note; false, with nothing done, if there is none. `None` if the thread is off the short paths.
#[inline]
pub(crate) fn end_deferred(object: Object) -> Option<bool> {
    // SAFETY: records are never freed.
    let record = unsafe { CURRENT.try_with(Cell::get).unwrap_or(null()).as_ref() };
    record.map(|record| record.deferred.end(object))
}

/// Counts a clone of a handle to `object`, which has been counted where there was no entry: takes that back, and counts as all others do. In between whoever
/// else gets a handle finds, as we did, that the entry is missing.
#[cold]
#[inline(never)]
pub(crate) fn count_clone(object: Object) {
    // Before the operation, which may have to wait: a stopped world finds no count that is nobody's, but by chance.
    // SAFETY: the handle that is being cloned keeps the object alive.
    unsafe { object.roots() }.down_by_clone();
    Operation::enter().count_up(object);
}
