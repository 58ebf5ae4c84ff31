//! L2: going from 0 to 1, filtering, and the root scan.

use super::{free, object, verify_all_orders};
use crate::{
    heap::header::{Filtered, Object},
    sync::Mutation,
};
use loom::{
    sync::{Arc, Mutex},
    thread,
};

/// Buffers and log as plain lists: what is modelled is the word.
#[derive(Default)]
struct Lists {
    candidates: Mutex<Vec<Object>>,
    log: Mutex<Vec<Object>>,
}

impl Lists {
    /// `Gc::clone`, in so far as it is about roots.
    fn clone_handle(&self, object: Object) {
        // SAFETY: the model frees its objects at its end.
        if unsafe { object.roots() }.up().must_log() {
            self.candidates.lock().unwrap().push(object);
        }
    }

    /// A thread's full buffer is filtered.
    fn filter(&self) {
        let taken = std::mem::take(&mut *self.candidates.lock().unwrap());
        for object in taken {
            // SAFETY: as above.
            if unsafe { object.roots() }.filter() == Filtered::Logged {
                self.log.lock().unwrap().push(object);
            }
        }
    }

    /// The root scan of the log.
    fn scan(&self) {
        let taken = std::mem::take(&mut *self.log.lock().unwrap());
        for object in taken {
            // SAFETY: as above.
            if unsafe { object.roots() }.keep_logged() {
                self.log.lock().unwrap().push(object);
            }
        }
    }

    fn entries(&self) -> usize {
        self.candidates.lock().unwrap().len() + self.log.lock().unwrap().len()
    }
}

/// R1: after any mix of clones, drops, filtering and scanning, an object with a counted handle has an entry.
///
/// Breaks if the scan clears `in_log` with a store instead of a compare-and-swap from a count of 0: a clone in between saw the bit
/// set, logged nothing, and loses the entry.
#[test]
fn a_root_keeps_an_entry() {
    verify_all_orders(3, &[Mutation::ScanClearsBlindly, Mutation::UpLooksFirst], || {
        let target = object(1);
        let lists = Arc::new(Lists::default());
        // Logged, and its only handle dropped: the entry is stale.
        lists.candidates.lock().unwrap().push(target);
        lists.filter();
        // SAFETY: as above.
        unsafe { target.roots() }.down();
        let mutator = thread::spawn({
            let lists = lists.clone();
            move || lists.clone_handle(target)
        });
        lists.scan();
        mutator.join().unwrap();
        assert!(lists.entries() >= 1, "a root without an entry");
        free(target);
    });
}

/// R1 with clones and drops by another thread, and filtering beside the scan.
///
/// Breaks if filtering takes a word that changed under it for one that has been logged: the change was a further clone, which logs nothing
/// since the count was not 0, and the entry is gone. Breaks, too, if counting up looks at `in_log` first: filtering logs the object; the handle is
/// dropped; the next one sees the bit; the scan drops the entry; the clone counts and logs nothing.
#[test]
fn filtering_beside_clones_and_drops() {
    // SAFETY: as above.
    let drop_handle = |target: Object| _ = unsafe { target.roots() }.down();
    for clone_first in [false, true] {
        let mutation = if clone_first { Mutation::FilterWithoutRetry } else { Mutation::UpLooksFirst };
        verify_all_orders(3, &[mutation], move || {
            let target = object(1);
            let lists = Arc::new(Lists::default());
            lists.candidates.lock().unwrap().push(target);
            let mutator = thread::spawn({
                let lists = lists.clone();
                move || {
                    if clone_first {
                        lists.clone_handle(target);
                        drop_handle(target);
                    } else {
                        drop_handle(target);
                        lists.clone_handle(target);
                    }
                }
            });
            lists.filter();
            lists.scan();
            mutator.join().unwrap();
            assert!(lists.entries() >= 1, "a root without an entry");
            free(target);
        });
    }
}

/// An object is in the log at most once: its entry owns the bit.
///
/// Breaks if filtering sets the bit without compare-and-swap: two threads would both believe that they had set it.
#[test]
fn one_log_entry_per_object() {
    verify_all_orders(3, &[Mutation::FilterWithoutCompare], || {
        let target = object(2);
        let first = Arc::new(Lists::default());
        let second = Arc::new(Lists::default());
        first.candidates.lock().unwrap().push(target);
        second.candidates.lock().unwrap().push(target);
        let other = thread::spawn({
            let second = second.clone();
            move || second.filter()
        });
        first.filter();
        other.join().unwrap();
        assert_eq!(first.entries() + second.entries(), 1);
        free(target);
    });
}

/// Everything done through a handle happens before whoever reads the zero that its drop leaves.
///
/// Breaks if counting down were relaxed.
#[test]
fn a_zero_orders_the_last_use() {
    verify_all_orders(3, &[Mutation::DownIsRelaxed, Mutation::FilterIsRelaxed], || {
        let target = object(1);
        let payload = Arc::new(loom::cell::UnsafeCell::new(0));
        let user = thread::spawn({
            let payload = payload.clone();
            move || {
                payload.with_mut(|payload| {
                    // SAFETY: loom checks.
                    unsafe { *payload = 1 };
                });
                // SAFETY: as above.
                unsafe { target.roots() }.down();
            }
        });
        // SAFETY: as above.
        if unsafe { target.roots() }.filter() == Filtered::NotARoot {
            // SAFETY: loom checks.
            payload.with(|payload| assert_eq!(unsafe { *payload }, 1));
        }
        user.join().unwrap();
        free(target);
    });
}

/// Everything done through a handle whose end leaves a negative count happens before whoever counts the note that makes it 0: no entry speaks
/// for the object, so that nobody else looks at its header before its value is dropped.
///
/// Breaks if counting up acquired nothing: what the collector does with the dead value could come before the last use.
#[test]
fn a_note_orders_the_last_use_elsewhere() {
    verify_all_orders(3, &[Mutation::NegativeIsRelaxed, Mutation::DownIsRelaxed], || {
        // Its handle was noted on the main thread, and went to the other.
        let target = object(0);
        let payload = Arc::new(loom::cell::UnsafeCell::new(0));
        let user = thread::spawn({
            let payload = payload.clone();
            move || {
                payload.with(|payload| {
                    // SAFETY: loom checks.
                    unsafe { *payload }
                });
                // SAFETY: as above.
                unsafe { target.roots() }.down();
            }
        });
        // SAFETY: as above.
        if unsafe { target.roots() }.up().count < 0 {
            payload.with_mut(|payload| {
                // SAFETY: loom checks.
                unsafe { *payload = 1 };
            });
        }
        user.join().unwrap();
        free(target);
    });
}
