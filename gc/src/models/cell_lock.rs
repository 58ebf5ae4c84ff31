//! L4, the part of the lock: writers, readers and the marker in one cell.

use super::{count, free, object, verify_all_orders};
use crate::{
    cell::lock::{Attempt, CellLock, Entered},
    heap::header::Object,
    sync::Mutation,
};
use loom::{cell::UnsafeCell, sync::Arc, thread};

/// A cell whose content is one handle, or none, to `target`.
struct Model {
    lock: CellLock,
    content: UnsafeCell<Option<Object>>,
}

// SAFETY: what the model is there to find out; loom reports every access that is not ordered.
unsafe impl Sync for Model {}

fn up(object: Object) {
    // SAFETY: the model frees its objects at its end.
    unsafe { object.roots() }.up();
}

fn down(object: Object) {
    // SAFETY: as above.
    unsafe { object.roots() }.down();
}

fn model(target: Object, claimed: bool) -> Arc<Model> {
    let lock = CellLock::new();
    if claimed {
        lock.set_claimed();
    }
    Arc::new(Model { lock, content: UnsafeCell::new(Some(target)) })
}

impl Model {
    /// Opens the cell for writing as `cell::open` does, in one operation or in slices.
    fn write(&self, in_slices: bool) -> Option<Object> {
        if !self.lock.try_write_at_once() {
            self.open_slowly(in_slices);
        }
        // SAFETY: loom checks.
        let taken = self.content.with_mut(|content| unsafe { (*content).take() });
        self.lock.end_write();
        taken
    }

    fn open_slowly(&self, in_slices: bool) {
        loop {
            match self.lock.try_write_counted() {
                Attempt::Held => return,
                Attempt::Claimed if self.lock.try_write_claimed() => return self.release(in_slices),
                Attempt::Claimed => {}
                Attempt::MarkerInside => self.lock.wait_for_marker(),
                Attempt::Busy => assert!(self.lock.wait_to_write(None)),
            }
        }
    }

    /// Opens the cell as a cell of one thread is opened, in an operation.
    fn write_plainly(&self, marking: bool) -> Option<Object> {
        // SAFETY: loom checks.
        let take = || self.content.with_mut(|content| unsafe { (*content).take() });
        if self.lock.look_plainly(marking) == Some(Attempt::Claimed) {
            let taken = take();
            taken.into_iter().for_each(up);
            return taken;
        }
        loop {
            match self.lock.try_write_counted() {
                Attempt::Held => break,
                Attempt::Claimed if self.lock.try_write_claimed() => {
                    self.release(false);
                    break;
                }
                Attempt::Claimed => {}
                Attempt::MarkerInside => self.lock.wait_for_marker(),
                Attempt::Busy => unreachable!("one thread"),
            }
        }
        let taken = take();
        self.lock.end_write_plainly();
        taken
    }

    fn release(&self, in_slices: bool) {
        if in_slices {
            self.lock.admit_marker();
        }
        // SAFETY: loom checks.
        self.content.with(|content| unsafe { *content }).into_iter().for_each(up);
        if in_slices { self.lock.finish_release() } else { self.lock.content_counted() }
    }

    /// The marker's visit, as `collector::mark` does it.
    fn mark(&self, give_up: bool) {
        let Some(entered) = self.lock.enter_marker() else { return };
        // SAFETY: loom checks.
        let object = self.content.with(|content| unsafe { *content });
        let mut claimed = entered == Entered::Counted;
        if claimed {
            object.into_iter().for_each(down);
            if give_up && self.lock.is_marker_awaited() {
                object.into_iter().for_each(up);
                claimed = false;
            }
        }
        self.lock.leave_marker(claimed);
    }

    fn read(&self) -> Option<Object> {
        self.lock.read(None);
        // SAFETY: loom checks.
        let object = self.content.with(|content| unsafe { *content });
        object.into_iter().for_each(up);
        self.lock.end_read();
        object
    }
}

/// A writer that takes the handle out owns exactly one count, whether the marker came before, in between or after, and the two never access the
/// content at once.
///
/// Breaks if the marker may enter a write-held cell, or if leaving does not set the flag in the step that ends its stay.
#[test]
fn writer_beside_marker() {
    for claimed in [false, true] {
        for in_slices in [false, true] {
            let mutations: &[Mutation] = match (claimed, in_slices) {
                (true, true) => &[Mutation::MarkerEntersWriteHeld, Mutation::FinishWithMarkerInside],
                (true, false) => &[Mutation::MarkerEntersWriteHeld],
                (false, _) => &[Mutation::MarkerEntersWriteHeld, Mutation::FlagAfterLeaving],
            };
            verify_all_orders(3, mutations, move || {
                let target = object(u32::from(!claimed));
                let cell = model(target, claimed);
                let marker = thread::spawn({
                    let cell = cell.clone();
                    move || cell.mark(false)
                });
                let taken = cell.write(in_slices);
                marker.join().unwrap();
                assert_eq!(taken, Some(target));
                assert_eq!(count(target), 1);
                free(target);
            });
        }
    }
}

/// The same for a cell of one thread, whose lock is only looked at outside marking, and is given up by a plain store always.
///
/// Breaks if it is only looked at while marking: a marker enters after the look. Breaks, too, if the end does not release.
#[test]
fn plain_writer_beside_marker() {
    let mutations = &[Mutation::PlainWriteWhileMarking, Mutation::PlainEndIsRelaxed, Mutation::MarkerEntersWriteHeld];
    verify_all_orders(3, mutations, || {
        let target = object(0);
        let cell = model(target, true);
        assert_eq!(cell.write_plainly(false), Some(target));
        down(target);
        // SAFETY: loom checks.
        cell.content.with_mut(|content| unsafe { *content = Some(target) });
        // S1.
        let marker = thread::spawn({
            let cell = cell.clone();
            move || cell.mark(false)
        });
        let taken = cell.write_plainly(true);
        marker.join().unwrap();
        assert_eq!(taken, Some(target));
        assert_eq!(count(target), 1);
        free(target);
    });
}

/// A marker that gives up for a waiting writer leaves the content counted, and the writer wakes.
///
/// Breaks if a writer could note that it waits after the marker has left: nobody would wake it.
#[test]
fn writer_beside_marker_that_gives_up() {
    verify_all_orders(3, &[Mutation::AwaitWithoutLook], || {
        let target = object(1);
        let cell = model(target, false);
        let marker = thread::spawn({
            let cell = cell.clone();
            move || {
                cell.mark(true);
                cell.mark(true);
            }
        });
        let taken = cell.write(false);
        marker.join().unwrap();
        assert_eq!(taken, Some(target));
        assert_eq!(count(target), 1);
        free(target);
    });
}

/// Readers see the content while the marker claims it, and a writer excludes both.
///
/// Breaks if a reader that goes does not release what it read: the reader looks and goes; the writer finds the lock free and takes the handle out, and
/// nothing says which of the two came first.
#[test]
fn reader_beside_writer_and_marker() {
    verify_all_orders(2, &[Mutation::EndReadIsRelaxed], || {
        let target = object(1);
        let cell = model(target, false);
        let reader = thread::spawn({
            let cell = cell.clone();
            move || cell.read()
        });
        let writer = thread::spawn({
            let cell = cell.clone();
            move || cell.write(false)
        });
        cell.mark(false);
        let read = reader.join().unwrap();
        assert_eq!(writer.join().unwrap(), Some(target));
        assert_eq!(count(target), 1 + i32::from(read.is_some()));
        free(target);
    });
}

/// Two writers both get their turn: nobody stays parked.
///
/// Breaks if unlocking looks for parked threads before it gives the lock up.
#[test]
fn both_writers_get_the_lock() {
    verify_all_orders(3, &[Mutation::WakeBeforeUnlock], || {
        let target = object(1);
        let cell = model(target, false);
        let other = thread::spawn({
            let cell = cell.clone();
            move || cell.write(false)
        });
        let mine = cell.write(false);
        let theirs = other.join().unwrap();
        assert_eq!(mine.is_some(), theirs.is_none(), "one of them found the handle");
        assert_eq!(count(target), 1);
        free(target);
    });
}
