//! Queues of objects whose finalizers run on the thread that made them, when it asks.
//!
//! Such an object has the number of its thread behind its payload. A thread gets a number, and a queue under that number, when it first makes one; numbers are not used again.
//! When it ends its queue goes: what waits there, or comes later, is given up unfinalized, and counted.

use super::{Batch, queue::finalize};
use crate::{heap::header::Object, observe::stats::TOTALS, sync::lock_std, trace::type_info::TypeInfo};
use std::{
    cell::Cell,
    collections::BTreeMap,
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// The queues of the threads that have one.
static QUEUES: Mutex<BTreeMap<u64, Batch>> = Mutex::new(BTreeMap::new());

/// No thread's number: that of objects made by one whose queue is gone.
const NOBODY: u64 = 0;

thread_local! {
    static OWN: Own = const { Own(Cell::new(NOBODY)) };
}

/// The calling thread's number, if it has one.
struct Own(Cell<u64>);

impl Drop for Own {
    fn drop(&mut self) {
        // Its lock is not held while blocks are given back and counts go down.
        let queue = lock_std(&QUEUES).remove(&self.0.replace(NOBODY));
        queue.into_iter().for_each(give_up);
    }
}

/// The calling thread's number; it has a queue from now on, unless it is ending.
#[cold]
pub(crate) fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(NOBODY + 1);
    let number = OWN.try_with(|own| {
        if own.0.get() == NOBODY {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            lock_std(&QUEUES).insert(number, Batch::new());
            own.0.set(number);
        }
        own.0.get()
    });
    number.unwrap_or(NOBODY)
}

/// Notes behind the payload whose finalizer's thread this is.
///
/// # Safety
/// `payload` begins a slot of the caller's with room for the number, `offset` bytes on.
#[inline]
pub(crate) unsafe fn set_owner(payload: NonNull<u8>, offset: usize, owner: u64) {
    // SAFETY: by contract; payloads and offset are multiples of eight.
    unsafe { payload.add(offset).cast::<u64>().write(owner) };
}

/// Puts the objects into the queues of their threads. Each has a counted handle, which becomes the queue's.
pub(super) fn deliver(mut objects: Batch) {
    let mut orphans = Batch::new();
    let mut queues = lock_std(&QUEUES);
    while let Some(object) = objects.pop() {
        // SAFETY: the handle keeps it, and its type is one whose slots have the number.
        let owner = unsafe { owner_of(object) };
        match queues.get_mut(&owner) {
            Some(queue) => {
                queue.push(object);
                TOTALS.local_finalizers_queued();
            }
            None => {
                TOTALS.local_finalizers_queued();
                orphans.push(object);
            }
        }
    }
    drop(queues);
    if orphans.len() > 0 {
        give_up(orphans);
        // They go with the next cycle: `collect` must know.
        TOTALS.let_go();
    }
}

/// Whose the object's finalizer is.
///
/// # Safety
/// The object is allocated, and of a type with a local finalizer.
unsafe fn owner_of(object: Object) -> u64 {
    // SAFETY: by contract; the number was written when the object was made.
    unsafe {
        let offset = TypeInfo::of(object).owner.expect("the type has a local finalizer");
        object.as_ptr().byte_add(offset).cast::<u64>().read()
    }
}

/// Gives objects up that nobody will finalize.
fn give_up(mut objects: Batch) {
    while let Some(object) = objects.pop() {
        TOTALS.given_up_unfinalized();
        // SAFETY: the queue's handle is ours now.
        unsafe { object.roots() }.down();
    }
}

/// Runs the finalizers that wait for this thread: those of unreachable objects of its own whose type implements [`LocalFinalize`](crate::LocalFinalize). Returns how
/// many it ran.
///
/// Objects come to wait when a collection finds them unreachable. A panic in a finalizer is shown by the panic hook and goes no further. Finalizers may call this
/// function, and any other.
///
/// Cost if none waits: a lock.
///
/// ```
/// assert_eq!(graphgc::run_finalizers(), 0, "this thread has made no such object");
/// ```
pub fn run_finalizers() -> usize {
    let own = OWN.try_with(|own| own.0.get()).unwrap_or(NOBODY);
    let mut queue = match lock_std(&QUEUES).get_mut(&own) {
        Some(queue) => std::mem::take(queue),
        None => return 0,
    };
    let number = queue.len();
    while let Some(object) = queue.pop() {
        // SAFETY: the queue's handle is ours now, and so is the object.
        unsafe { finalize(object) };
        TOTALS.finalized_locally();
    }
    number
}
