//! L2: counting up, filtering, and the root scan.

use super::{free, object, verify_all_orders};
use crate::{heap::header::Object, sync::Mutation};
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
    /// `GcCell::get`, in so far as it is about roots.
    fn get_handle(&self, object: Object) {
        // SAFETY: the model frees its objects at its end.
        if unsafe { object.roots() }.up() {
            self.candidates.lock().unwrap().push(object);
        }
    }

    /// `Gc::clone`, in so far as it is about roots.
    fn clone_handle(&self, object: Object) {
        // SAFETY: as above.
        let roots = unsafe { object.roots() };
        if !roots.up_by_clone() {
            roots.down_by_clone();
            self.get_handle(object);
        }
    }

    /// A thread's full buffer is filtered.
    fn filter(&self) {
        let taken = std::mem::take(&mut *self.candidates.lock().unwrap());
        for object in taken {
            // SAFETY: as above.
            if unsafe { object.roots() }.filter() {
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

/// R1: after any mix of clones, drops, filtering and scanning, an object with a counted handle has its entry.
///
/// Breaks if the scan says that there is no entry with a store instead of a compare-and-swap from a count of 0: a handle that came in between saw
/// that there was one, logged nothing, and loses it. Or if who counts up looks for the entry first.
#[test]
fn a_root_keeps_an_entry() {
    type Way = fn(&Lists, Object);
    let ways: [(Way, &'static [Mutation]); 2] = [
        (Lists::clone_handle, &[Mutation::ScanClearsBlindly]),
        (Lists::get_handle, &[Mutation::ScanClearsBlindly, Mutation::UpLooksFirst]),
    ];
    for (way, mutations) in ways {
        verify_all_orders(3, mutations, move || {
            let target = object(1);
            let lists = Arc::new(Lists::default());
            // Logged, and its only handle dropped: the entry is stale.
            lists.candidates.lock().unwrap().push(target);
            lists.filter();
            // SAFETY: as above.
            unsafe { target.roots() }.down();
            let mutator = thread::spawn({
                let lists = lists.clone();
                move || way(&lists, target)
            });
            lists.scan();
            mutator.join().unwrap();
            assert_eq!(lists.entries(), 1);
            free(target);
        });
    }
}

/// R1 with clones and drops by another thread, and filtering beside the scan.
///
/// Breaks if filtering drops the entry though the word changed under it: the change was a further handle, which logs nothing
/// since there was an entry. Breaks, too, if counting up looks for the entry first: the handle is
/// dropped; the next one sees the entry; the scan drops it; the handle is counted and logs nothing.
#[test]
fn filtering_beside_clones_and_drops() {
    // SAFETY: as above.
    let drop_handle = |target: Object| _ = unsafe { target.roots() }.down();
    for clone_first in [false, true] {
        let mutation = if clone_first { Mutation::FilterWithoutRetry } else { Mutation::UpLooksFirst };
        verify_all_orders(3, &[mutation], move || {
            // A clone needs a handle, which here goes meanwhile.
            let target = object(u32::from(clone_first));
            let lists = Arc::new(Lists::default());
            if !clone_first {
                lists.get_handle(target);
            } else {
                lists.candidates.lock().unwrap().push(target);
                // SAFETY: as above.
                unsafe { target.roots() }.down();
            }
            let mutator = thread::spawn({
                let lists = lists.clone();
                move || {
                    if clone_first {
                        lists.clone_handle(target);
                    } else {
                        drop_handle(target);
                        lists.get_handle(target);
                    }
                }
            });
            lists.filter();
            lists.scan();
            mutator.join().unwrap();
            assert_eq!(lists.entries(), 1);
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

/// An entry that speaks for nothing any more, since its object's last handle was claimed, takes nothing from what is got later, which has an entry of its own.
///
/// Breaks if counting up looks for the entry first, and both are dropped meanwhile.
#[test]
fn filtering_what_was_claimed() {
    verify_all_orders(3, &[Mutation::UpLooksFirst], || {
        let target = object(1);
        let lists = Arc::new(Lists::default());
        lists.candidates.lock().unwrap().push(target);
        // SAFETY: as above.
        unsafe { target.roots() }.claimed();
        lists.get_handle(target);
        assert_eq!(lists.entries(), 2);
        // SAFETY: as above.
        unsafe { target.roots() }.down();
        let mutator = thread::spawn({
            let lists = lists.clone();
            move || lists.get_handle(target)
        });
        lists.filter();
        lists.scan();
        mutator.join().unwrap();
        lists.filter();
        // SAFETY: as above.
        assert!(unsafe { target.roots() }.in_log(), "a root without an entry");
        assert_eq!(lists.entries(), 1);
        free(target);
    });
}

/// An object gets one entry, whoever else counts up, and whoever has a handle knows of it.
///
/// Breaks if who counts up takes a count above 0 for a sign that there is an entry: it is of a clone that will be taken back.
#[test]
fn one_entry_per_object() {
    type Way = fn(&Lists, Object);
    for way in [Lists::clone_handle as Way, Lists::get_handle] {
        verify_all_orders(3, &[Mutation::EntryOnlyFromZero], move || {
            let target = object(0);
            let lists = Arc::new(Lists::default());
            let other = thread::spawn({
                let lists = lists.clone();
                move || lists.clone_handle(target)
            });
            way(&lists, target);
            // SAFETY: as above.
            assert!(unsafe { target.roots() }.look().has_entry, "a root without an entry");
            other.join().unwrap();
            assert_eq!(lists.entries(), 1);
            free(target);
        });
    }
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
        if !unsafe { target.roots() }.filter() {
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
        if unsafe { target.roots() }.up_from() < 0 {
            payload.with_mut(|payload| {
                // SAFETY: loom checks.
                unsafe { *payload = 1 };
            });
        }
        user.join().unwrap();
        free(target);
    });
}
