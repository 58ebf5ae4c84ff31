//! The end of a newborn's only handle, with plain stores.
//!
//! Most objects are born for a handle that soon moves into another object, or is dropped. As long as the header says *unshared* with a count of 1, that
//! handle is the only way to the object (`heap::header`). Its owner, who holds it by value, is then alone with the object but for
//! those who look at root entries: whoever fills or hands over the buffer of the thread in whose operation the object was born, and the root scan. The
//! object has one entry, that of its birth: whoever says that it has no need of one, or puts it into the log, has it be shared in the same step. If the owner finds that entry among the last of its own buffer, in an
//! operation, it is in nobody else's hands: it can be taken back, and the count can be set to 0 by a store. So building a tree takes no
//! atomic read-modify-write for a node, and leaves one entry.
//!
//! An entry in the thread's own buffer also says that the object was born in the phase that goes on: the buffer is handed over at S1 and
//! S2. So while marking the object is black, nobody holds it grey, and the slot was taken from the cache in this phase. If the
//! handle was *dropped*, nothing leads to the object any more. Unless its value needs dropping its slot goes back to the cache, if that has not done with the
//! span (`heap::cache`): what a program makes for a moment costs no memory and no collection.

use super::{Operation, candidates::Candidates, record::Local};
use crate::{
    heap::header::Object,
    sync::{Mutation, weakened},
    trace::type_info::TypeInfo,
};

/// Ends the only handle to `object`, which the caller owns, in an operation; false, with nothing done, if that takes an atomic count.
#[inline]
pub(super) fn end(candidates: &mut Candidates, object: Object) -> bool {
    // SAFETY: the handle keeps the object alive.
    let roots = unsafe { object.roots() };
    if !roots.is_newborn() || !(candidates.take_back(object) || weakened(Mutation::EndedWithoutEntry)) {
        return false;
    }
    roots.end_newborn();
    true
}

/// Drops the only handle to `object`, which the caller owns; false, with nothing done, if that takes an atomic count.
///
/// Calls nothing on its way, so that it needs no stack.
#[inline(never)]
pub(crate) fn drop_handle(object: Object) -> bool {
    let Some(mut operation) = Operation::enter_now() else { return false };
    let Local { cache, candidates, .. } = operation.local_mut();
    // SAFETY: the handle keeps the object alive.
    let roots = unsafe { object.roots() };
    let mut ended = false;
    if roots.is_newborn() {
        // SAFETY: as above.
        let Some((span_class, bytes)) = (unsafe { TypeInfo::known_slot_to_reuse(object) }) else {
            operation.end_at_once();
            return drop_slowly(object);
        };
        if candidates.take_back_inline(object) || weakened(Mutation::EndedWithoutEntry) {
            roots.end_newborn();
            // SAFETY: from the object's type.
            unsafe { cache.recycle(span_class, object.as_ptr().cast(), bytes) };
            ended = true;
        }
    }
    operation.end_at_once();
    ended
}

/// The same for an object whose type says less about its slot.
#[inline(never)]
fn drop_slowly(object: Object) -> bool {
    let Some(mut operation) = Operation::enter_now() else { return false };
    let local = operation.local_mut();
    if !end(&mut local.candidates, object) {
        return false;
    }
    // SAFETY: the object was alive until now, and nothing is freed during an operation.
    let info = unsafe { TypeInfo::of(object) };
    // SAFETY: as above; its header says so.
    if let Some((span_class, bytes)) = unsafe { info.slot_to_reuse(object) } {
        // SAFETY: as above.
        unsafe { local.cache.recycle(span_class, object.as_ptr().cast(), bytes) };
    }
    true
}
