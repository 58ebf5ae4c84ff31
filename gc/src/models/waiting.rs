//! L4, the part of those who wait: downgrading, deadlines, conditions and cells that are written once.

use super::{
    count, free, object,
    tiny_heap::{self, ending_here},
    verify,
};
use crate::{
    Gc, GcCondvar, GcMutex, GcOnceCell,
    cell::lock::{Attempt, CellLock},
    collector::mark::Marker,
    sync::Mutation,
    trace::{Trace, Tracer, tracer::Pass},
};
use loom::{cell::UnsafeCell, sync::Arc, thread};
use std::time::Instant;

/// A lock around a number.
struct Model {
    lock: CellLock,
    content: UnsafeCell<u32>,
}

// SAFETY: what the model is there to find out; loom reports every access that is not ordered.
unsafe impl Sync for Model {}

fn model() -> Arc<Model> {
    Arc::new(Model { lock: CellLock::new(), content: UnsafeCell::new(0) })
}

impl Model {
    fn begin_write(&self) {
        while self.lock.try_write_counted() != Attempt::Held {
            assert!(self.lock.wait_to_write(None));
        }
    }

    fn get(&self) -> u32 {
        // SAFETY: loom checks.
        self.content.with(|content| unsafe { *content })
    }

    fn set(&self, value: u32) {
        // SAFETY: loom checks.
        self.content.with_mut(|content| unsafe { *content = value });
    }
}

/// Who goes from writing to reading reads what it has written, whatever other writers do; readers see it, too.
///
/// Breaks if the lock is free for a moment, or if what was written is not released.
#[test]
fn downgraded_beside_a_writer() {
    verify(2, &[Mutation::DowngradeInTwoSteps, Mutation::DowngradeIsRelaxed], || {
        let cell = model();
        let writer = thread::spawn({
            let cell = cell.clone();
            move || {
                cell.begin_write();
                cell.set(2);
                cell.lock.end_write();
            }
        });
        let reader = thread::spawn({
            let cell = cell.clone();
            move || {
                if cell.lock.is_read_held() {
                    cell.get();
                }
            }
        });
        cell.begin_write();
        cell.set(1);
        cell.lock.downgrade();
        assert_eq!(cell.get(), 1);
        // Held as long as the reader, who looks without taking the lock, may be looking.
        reader.join().unwrap();
        cell.lock.end_read();
        writer.join().unwrap();
    });
}

/// A reader that waits for a writer gets in when the writer goes over to reading, though that one reads for ever.
///
/// Breaks if nobody wakes it then.
#[test]
fn downgraded_for_ever() {
    verify(3, &[Mutation::DowngradeWakesNobody], || {
        let cell = model();
        let reader = thread::spawn({
            let cell = cell.clone();
            move || {
                cell.lock.read(None);
                cell.get();
                cell.lock.end_read();
            }
        });
        cell.begin_write();
        cell.set(1);
        cell.lock.downgrade();
        reader.join().unwrap();
    });
}

/// A reader that comes while another one reads gets in, though a writer has queued up in between and waited no longer than it would.
///
/// Breaks if the writer leaves behind that it queues: the first reader here never goes before the second has come.
#[test]
fn a_writer_goes_away() {
    verify(3, &[Mutation::TimedOutWriterStaysQueued], || {
        let cell = model();
        cell.lock.read(None);
        let writer = thread::spawn({
            let cell = cell.clone();
            move || assert!(!cell.lock.wait_to_write(Some(Instant::now())))
        });
        let reader = thread::spawn({
            let cell = cell.clone();
            move || {
                cell.lock.read(None);
                cell.lock.end_read();
            }
        });
        reader.join().unwrap();
        writer.join().unwrap();
        cell.lock.end_read();
    });
}

type Mutex = GcMutex<(bool, Option<Gc<u8>>)>;

/// Who waits for a condition does not miss that it has come.
///
/// Breaks if the mutex is given up before the thread is in the queue.
#[test]
fn notified_beside_the_unlocking() {
    verify(3, &[Mutation::WaitUnlocksFirst], || {
        let shared = Arc::new((Mutex::new((false, None)), GcCondvar::new()));
        let waiter = thread::spawn({
            let shared = shared.clone();
            move || {
                let (mutex, condvar) = &*shared;
                drop(condvar.wait_while(mutex.lock(), |it| !it.0));
            }
        });
        let (mutex, condvar) = &*shared;
        mutex.lock().0 = true;
        condvar.notify_one();
        waiter.join().unwrap();
    });
}

fn mark(cell: &impl Trace) {
    let mut marker = Marker::new(true);
    cell.trace(&mut Tracer::new(Pass::Mark(&mut marker)));
    marker.finish();
}

/// A handle that is taken out of a mutex after waiting has a count, though the marker has claimed it while its thread waited.
///
/// Breaks if locking again takes the content for counted, as it was left.
#[test]
fn claimed_while_a_thread_waits() {
    verify(2, &[Mutation::RelockCountsNothing], || {
        let owner = ending_here(|| Gc::new((Mutex::new((false, Some(Gc::new(1)))), GcCondvar::new())));
        let waiter = tiny_heap::mutator({
            let owner = owner.clone();
            move || {
                let mut guard = owner.1.wait_while(owner.0.lock(), |it| !it.0);
                guard.1.take().unwrap()
            }
        });
        mark(&*owner);
        ending_here(|| {
            owner.0.lock().0 = true;
            owner.1.notify_all();
        });
        mark(&*owner);
        let taken = waiter.join().unwrap();
        assert_eq!(count(tiny_heap::object(&taken)), 1);
    });
}

/// The content of a cell that is written once is claimed by the marker at most once, whenever it comes, and a reader finds it whole.
///
/// Breaks if the marker comes in while the content is written, or if what was written is not released when writing turns into reading: the marker then claims
/// what it may not see whole.
#[test]
fn written_once_beside_the_marker() {
    verify(2, &[Mutation::DowngradeIsRelaxed, Mutation::MarkerEntersWriteHeld], || {
        let target = object(1);
        let cell = Arc::new((CellLock::new(), UnsafeCell::new(None)));
        let marker = loom::thread::spawn({
            let cell = cell.clone();
            move || {
                if let Some(entered) = cell.0.enter_marker() {
                    // SAFETY: loom checks.
                    let found: Option<crate::heap::header::Object> = cell.1.with(|content| unsafe { *content });
                    // SAFETY: the model frees it at its end.
                    found.into_iter().for_each(|object| _ = unsafe { object.roots() }.down());
                    assert_eq!(entered, crate::cell::lock::Entered::Counted);
                    cell.0.leave_marker(true);
                }
            }
        });
        loop {
            match cell.0.try_write_counted() {
                Attempt::Held => break,
                Attempt::Claimed if cell.0.try_write_claimed() => {
                    cell.0.content_counted();
                    break;
                }
                Attempt::MarkerInside => cell.0.wait_for_marker(),
                Attempt::Claimed | Attempt::Busy => {}
            }
        }
        // SAFETY: loom checks.
        cell.1.with_mut(|content| unsafe { *content = Some(target) });
        cell.0.downgrade();
        marker.join().unwrap();
        let claimed = cell.0.is_claimed();
        assert_eq!(count(target) == 0, claimed);
        free(target);
    });
}

/// Of two threads that initialise a cell one does, and both find what it has put in.
///
/// Breaks if nobody is woken when writing turns into reading: the one initialises; the other has parked meanwhile, and stays so.
#[test]
fn initialised_by_two_threads() {
    verify(2, &[Mutation::DowngradeWakesNobody], || {
        let cell = Arc::new(GcOnceCell::new());
        let other = thread::spawn({
            let cell = cell.clone();
            move || *cell.get_or_init(|| 1)
        });
        let mine = *cell.get_or_init(|| 2);
        assert_eq!(other.join().unwrap(), mine);
    });
}
