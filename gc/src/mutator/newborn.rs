//! The end of a newborn's only handle, with plain stores.
//!
//! Most objects are born for a handle that soon moves into another object, or is dropped. As long as the header says *unshared* with a count of 1, that
//! handle is the only way to the object (`heap::header`). Its owner, who holds it by value, is then alone with the object but for
//! those who look at root entries: whoever fills or hands over the buffer of the thread in whose operation the object was born, and the root scan. The
//! object has one entry, that of its birth: whoever says that it has no need of one, or puts it into the log, has it be shared in the same step. So as long as it is a newborn that entry
//! is in the buffer, or was handed over with it. If the owner knows, in an operation, that it is in his own buffer, it is in nobody else's hands, and he may end the handle with a store:
//!
//! - A handle that moves into another object: if the entry is among the last of the buffer it is taken back, and the count is set to 0. So building a tree takes no
//!   atomic read-modify-write for a node, and leaves one entry.
//! - A handle that is *dropped*: nothing leads to the object any more. That the entry is in the thread's buffer also says that the object was born in the phase that goes on: the buffer is handed over at S1 and
//!   S2. So while marking the object is black, and nobody holds it grey. Unless its value needs dropping its slot becomes vacant (`heap::cache`), with the entry for the next object there.
//!   What a program makes for a moment thus costs no memory, no entry and no collection.
//!
//! To drop a handle the thread need not look for the entry. What lies in a slot that was bought in a round of its cache was born on the thread in that round, which ends when the buffer is handed over, or its entries are given up.
//! Only of the last run of each span is that known; so for others the last entries are looked through, too.

use super::{Operation, candidates::Candidates, record::Local};
use crate::{
    heap::header::Object,
    sync::{Mutation, weakened},
    trace::type_info::{SlotToReuse, TypeInfo},
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
/// Calls nothing on its way, but at its end what takes a closer look, so that it needs no stack.
#[inline(never)]
pub(crate) fn drop_handle(object: Object) -> bool {
    let Some(mut operation) = Operation::enter_now() else { return false };
    let local = operation.local_mut();
    // SAFETY: the handle keeps the object alive.
    let roots = unsafe { object.roots() };
    let mut ended = false;
    if roots.is_newborn() {
        // SAFETY: as above.
        let slot = unsafe { TypeInfo::known_slot_to_reuse(object) };
        if slot.is_unknown() {
            operation.end_at_once();
            return drop_slowly(object);
        }
        if slot.can_be_vacant() {
            // SAFETY: as above, and the slot is that of the object's type.
            ended = unsafe { vacate(local, object, slot) };
        } else if local.candidates.take_back_inline(object) || weakened(Mutation::EndedWithoutEntry) {
            roots.end_newborn();
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
    // SAFETY: the handle keeps the object alive.
    let (roots, slot) = unsafe { (object.roots(), TypeInfo::slot_to_reuse(object)) };
    if slot.can_be_vacant() {
        // SAFETY: as above.
        roots.is_newborn() && unsafe { vacate(local, object, slot) }
    } else {
        end(&mut local.candidates, object)
    }
}

/// Makes the slot of a newborn, to which the caller owns the only handle, vacant; false, with nothing done, unless its entry is known to be in the thread's own buffer.
///
/// # Safety
/// As it says; the slot is the object's, and can be vacant.
#[inline(always)]
unsafe fn vacate(local: &mut Local, object: Object, slot: SlotToReuse) -> bool {
    // SAFETY: by contract.
    let bought = unsafe { local.round.has_bought(object) };
    if bought || local.candidates.has_recent(object) || weakened(Mutation::EndedWithoutEntry) {
        // SAFETY: by contract. The entry is here, where there are none from before the last flush; so the slot was bought since. And it has not been given up: it is in the
        // block that is filled, or was made in this round.
        unsafe { local.cache.vacate(slot.span_class as usize, object, slot.bytes as usize) };
        return true;
    }
    false
}
