//! Damage to order, one thing at a time, so that tests see the verifier name it.
//!
//! Objects are given by the address of their payload (`Gc::as_ptr`), so that a test need not hold a handle. All of it leaves the heap in a state that it
//! must never be in: only for processes that end soon.

use crate::{
    cell::{edge_word::EdgeWord, lock::CellLock},
    collector::weak_links::WEAK_LINKS,
    heap::{
        HEAP,
        arena::{ARENA_PAGES, Arena, METADATA_PAGES},
        central::span_class,
        header::{Header, Object},
        poison,
        span::{Place, RunState, Span},
    },
    mutator::{Operation, root_lists::ROOTS},
    sync::{AtomicU32, Ordering::Relaxed},
    trace::{
        Tracer,
        tracer::{Content, Pass, Visitor},
        type_info::TypeInfo,
    },
};
use std::ptr::NonNull;

pub use crate::collector::weak_links::LinkDamage;

/// What can be done to a span.
#[derive(Clone, Copy, Debug)]
pub enum SpanDamage {
    /// One slot more than there is room for.
    Slots,
    /// The search for free slots begins behind all of them.
    Cursor,
    /// The search for free slots begins anew, though a thread has bought a run.
    CursorBack,
    /// Taken off its list and put nowhere.
    Lost,
    /// Put into its list twice.
    ListedTwice,
    /// Put into the list of another class.
    WrongList,
    /// Put into the list of full spans.
    CalledFull,
    /// Says that the dropper has it.
    Place,
    /// Says that it was swept for the cycle before the last.
    Unswept,
    /// Says that one more object waits to be dropped.
    AwaitingDrop,
    /// A page of it is mapped to another span.
    PageMap,
}

/// # Safety
/// `payload` is that of an object.
unsafe fn object_of<T>(payload: *const T) -> (Object, &'static Span) {
    let payload = NonNull::new(payload.cast_mut()).expect("an object's payload").cast();
    // SAFETY: by contract.
    let object = unsafe { Object::of_payload(payload, align_of::<T>()) };
    // SAFETY: by contract.
    (object, unsafe { Span::of(object) })
}

/// Changes an object's word of root count and flags as `change` says.
///
/// # Safety
/// `payload` is that of an object.
pub unsafe fn root_word<T>(payload: *const T, change: impl FnOnce(u32) -> u32) {
    // SAFETY: by contract; the word is an atomic number, the first thing in the header.
    let word = unsafe { &*object_of(payload).0.as_ptr().cast::<AtomicU32>() };
    word.store(change(word.load(Relaxed)), Relaxed);
}

/// Gives an object's header the type of another.
///
/// # Safety
/// Both are payloads of objects.
pub unsafe fn header_type<T, U>(payload: *const T, other: *const U) {
    // SAFETY: by contract.
    unsafe {
        let code = object_of(other).0.code();
        (&raw mut (*object_of(payload).0.as_ptr()).code).write(code);
    }
}

/// Sets an object's mark bit.
///
/// # Safety
/// `payload` is that of an object.
pub unsafe fn mark<T>(payload: *const T) {
    // SAFETY: by contract.
    let (object, span) = unsafe { object_of(payload) };
    let offset = object.address() - span.first_slot().addr();
    span.set_marked(offset..offset + span.slot_size());
}

/// Sets the mark bit of the first free slot in an object's span.
///
/// # Safety
/// `payload` is that of an object.
pub unsafe fn mark_free_slot<T>(payload: *const T) {
    // SAFETY: by contract.
    let (_, span) = unsafe { object_of(payload) };
    let free = free_slot(span);
    span.set_marked(free..free + span.slot_size());
}

/// Clears an object's allocation bit.
///
/// # Safety
/// `payload` is that of an object.
pub unsafe fn forget_allocation<T>(payload: *const T) {
    // SAFETY: by contract.
    let (object, span) = unsafe { object_of(payload) };
    let offset = object.address() - span.first_slot().addr();
    span.clear_allocated(offset..offset + span.slot_size());
}

/// Sets an allocation bit in the middle of an object's slot.
///
/// # Safety
/// `payload` is that of an object of at least eight bytes.
pub unsafe fn stray_bit<T>(payload: *const T) {
    // SAFETY: by contract.
    let (object, span) = unsafe { object_of(payload) };
    // SAFETY: as above.
    let bit = unsafe { Arena::bit_of(object.as_ptr().cast::<u8>().add(8)) };
    // SAFETY: the arena has an object in it.
    unsafe { bit.word(span.allocation_parity()) }.fetch_or(bit.mask, Relaxed);
}

/// Makes the first `GcCell` of an object lead to a free slot of its span.
///
/// # Safety
/// `payload` is that of an object with such a cell.
pub unsafe fn edge<T>(payload: *const T) {
    // SAFETY: by contract.
    let (object, span) = unsafe { object_of(payload) };
    let free = span.first_slot().wrapping_add(free_slot(span)).cast::<Header>();
    // SAFETY: by contract.
    let cell = unsafe { Cells::of(object).edges[0].as_ref() };
    assert!(cell.exchange(cell.read(), NonNull::new(free).map(Object::new)).is_ok());
}

/// Damages the link of an object that has been downgraded.
///
/// # Safety
/// `payload` is that of such an object.
pub unsafe fn weak_link<T>(payload: *const T, damage: LinkDamage) {
    // SAFETY: by contract.
    unsafe { WEAK_LINKS.damage(object_of(payload).0, damage) };
}

/// Sets the flag *claimed* of the `n`th lock-type cell of an object, and of nothing in it.
///
/// # Safety
/// `payload` is that of an object with as many such cells, outer ones first.
pub unsafe fn claim_cell<T>(payload: *const T, n: usize) {
    // SAFETY: by contract.
    unsafe { Cells::of(object_of(payload).0).locks[n].as_ref() }.set_claimed();
}

/// Sets the flag *claimed* of the `n`th `GcCell` of an object, and leaves its target's count.
///
/// # Safety
/// `payload` is that of an object with as many such cells.
pub unsafe fn claim_edge<T>(payload: *const T, n: usize) {
    // SAFETY: by contract.
    _ = unsafe { Cells::of(object_of(payload).0).edges[n].as_ref() }.claim();
}

/// Adds a root entry for a free slot of an object's span.
///
/// # Safety
/// `payload` is that of an object.
pub unsafe fn stale_entry<T>(payload: *const T) {
    // SAFETY: by contract.
    let (_, span) = unsafe { object_of(payload) };
    let free = NonNull::new(span.first_slot().wrapping_add(free_slot(span)).cast::<Header>());
    Operation::enter().local_mut().add_candidate(Object::new(free.expect("a slot has an address")));
}

/// Takes the entry of the newborn that lay there last out of the thread's buffer, if it is among the last.
///
/// # Safety
/// `payload` is that of a newborn, or was that of one whose slot is vacant.
pub unsafe fn lost_entry<T>(payload: *const T) {
    // SAFETY: by contract.
    let (object, _) = unsafe { object_of(payload) };
    assert!(Operation::enter().local_mut().candidates.take_back(object), "a recent entry");
}

/// Adds another entry for it.
///
/// # Safety
/// As for [`lost_entry`].
pub unsafe fn second_entry<T>(payload: *const T) {
    // SAFETY: by contract.
    let (object, _) = unsafe { object_of(payload) };
    Operation::enter().local_mut().add_candidate(object);
}

/// Hands its entry over, if it is among the last.
///
/// # Safety
/// As for [`lost_entry`].
pub unsafe fn entry_handed_over<T>(payload: *const T) {
    // SAFETY: by contract.
    unsafe { lost_entry(payload) };
    let mut block = HEAP.take_block();
    // SAFETY: by contract, and the block is ours.
    unsafe { block.as_mut().push(object_of(payload).0) };
    ROOTS.candidate_block(block);
}

/// Has a vacant slot be the next after itself.
///
/// # Safety
/// `payload` was that of an object whose slot is vacant, right behind the header.
pub unsafe fn vacant_ring<T>(payload: *const T) {
    poison::unpoison(payload.cast(), size_of::<*mut Header>());
    // SAFETY: by contract; the link is the first word behind the header.
    unsafe { payload.cast_mut().cast::<*mut Header>().write(object_of(payload).0.as_ptr()) };
}

/// Says that there is one object more than there is.
pub fn account() {
    HEAP.account.allocated(0, 1, false);
}

/// Makes the first free run of an object's arena one page shorter.
///
/// # Safety
/// `payload` is that of an object.
pub unsafe fn free_run<T>(payload: *const T) {
    // SAFETY: by contract.
    let (_, span) = unsafe { object_of(payload) };
    let mut page = METADATA_PAGES;
    while page < ARENA_PAGES {
        let run = span.arena().span_at(page);
        if run.state() == RunState::Free && run.pages() > 1 {
            // The collector gives the memory of free runs back when it is idle: that must not fall over the damage.
            let clean = run.scavenged.load(Relaxed);
            run.scavenged.store(clean.min(run.pages() as u32 - 1), Relaxed);
            return run.set_run(page, run.pages() - 1);
        }
        page += run.pages();
    }
    panic!("there is no free run");
}

/// Damages an object's span, which must be in the list of those with room, and the only one in it.
///
/// # Safety
/// `payload` is that of an object in such a span.
pub unsafe fn span<T>(payload: *const T, damage: SpanDamage) {
    // SAFETY: by contract.
    let (_, span) = unsafe { object_of(payload) };
    let index = span_class(span.class(), span.kind());
    let take = || {
        let taken = HEAP.central(index).take_swept(HEAP.cycle()).expect("the span is in the list of those with room");
        assert!(std::ptr::eq(taken, span), "the span is the only one in its list");
    };
    match damage {
        SpanDamage::Slots => span.set_slots(span.slots() + 1),
        SpanDamage::Cursor => span.set_cursor(span.slots_bytes()),
        SpanDamage::CursorBack => span.set_cursor(0),
        SpanDamage::Lost => take(),
        SpanDamage::ListedTwice => HEAP.central(index).give(span, true),
        SpanDamage::WrongList => {
            take();
            HEAP.central(index - crate::heap::kind::Kind::COUNT).give(span, true);
        }
        SpanDamage::CalledFull => {
            take();
            HEAP.central(index).give(span, false);
        }
        SpanDamage::Place => span.set_place(Place::Dropping),
        SpanDamage::Unswept => {
            // Two back, so that the bitmaps keep their roles.
            span.end_sweep(HEAP.cycle().wrapping_sub(2));
        }
        SpanDamage::AwaitingDrop => span.with_drop_lock(|waiting| _ = waiting.fetch_add(1, Relaxed)),
        SpanDamage::PageMap => span.arena().map_span(span.first_page() + span.pages() - 1, 1),
    }
}

/// The offset of the first free slot.
fn free_slot(span: &Span) -> usize {
    let first = span.first_slot().addr();
    let mut offsets = (0..span.slots_bytes()).step_by(span.slot_size());
    offsets.find(|offset| !span.is_allocated(first + offset)).expect("the span has a free slot")
}

/// The cells of an object, outer ones first.
#[derive(Default)]
struct Cells {
    edges: Vec<NonNull<EdgeWord>>,
    locks: Vec<NonNull<CellLock>>,
}

impl Cells {
    /// # Safety
    /// The object is alive and nobody changes it.
    unsafe fn of(object: Object) -> Self {
        let mut cells = Cells::default();
        // SAFETY: by contract.
        unsafe { TypeInfo::of(object).trace(object, &mut Tracer::new(Pass::Visit(&mut cells))) };
        cells
    }
}

impl Visitor for Cells {
    fn handle(&mut self, _: Object) {}

    fn edge_cell(&mut self, cell: &EdgeWord) {
        self.edges.push(NonNull::from(cell));
    }

    fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        self.locks.push(NonNull::from(lock));
        // SAFETY: nobody changes the object.
        unsafe { content.trace(&mut Tracer::new(Pass::Visit(self))) };
    }

    fn next_element(&mut self) -> bool {
        false
    }
}
