//! Spans: runs of pages that hold slots of one size, of one kind; and the free runs between them.
//!
//! Each page of an arena has room for one record at the arena's head. The record of a run's first page describes the run, in use or free;
//! the others are idle. Every field is an atomic used with relaxed order and guarded by what its comment says, so a
//! record can be looked at (statistics, the verifier) without being owned.
//!
//! Life of a span in use:
//!
//! ```text
//! page heap -> cached by a thread -> central list (unswept) -> swept -> central list (swept) -> cached ...
//!                                                                \-> page heap, if nothing in it lives
//! ```
//!
//! `swept` holds the number of the last cycle whose S2 the span has been swept for; its parity names the bitmap with the
//! span's allocation bits, the other bitmap takes the next cycle's marks. Whoever moves `swept` from *n − 1* to the
//! in-between value owns the span while sweeping it.

use super::{arena::Arena, header::Object, kind::Kind};
use crate::sync::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Mutation, Ordering, weakened};

/// What a record describes. Page-heap lock, except that the owner of a span in use may read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum RunState {
    /// Nothing: not the first page of a run.
    Idle = 0,
    /// A free run in the page heap's treap.
    Free = 1,
    /// A span in use.
    InUse = 2,
}

/// Who has a span in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Place {
    /// Just taken from the page heap, or about to return to it.
    Loose = 0,
    /// In a thread's cache.
    Cached = 1,
    /// In a central list.
    Central = 2,
    /// Some of its dead objects wait for the dropper.
    Dropping = 3,
}

/// One run of pages; see the module's head.
#[repr(C, align(64))]
#[cfg_attr(graphgc_loom, derive(Default))]
pub(crate) struct Span {
    // Fixed while in use.
    /// Address of the first slot.
    first_slot: AtomicUsize,
    slot_size: AtomicU32,
    slots: AtomicU32,
    class: AtomicU8,
    kind: AtomicU8,
    // Owner: cache, central lock or sweeper.
    place: AtomicU8,
    /// Page-heap lock.
    state: AtomicU8,
    /// First page, and number of pages. Page-heap lock while free, fixed while in use.
    first_page: AtomicU16,
    pages: AtomicU32,
    /// See the module's head. Even part: cycle number; the top bit: a sweeper is at work.
    swept: AtomicU32,
    /// Offset from the first slot, in bytes, where the search for the next free run begins: all before it is taken. Owner.
    cursor: AtomicU32,
    /// Where the run that was bought last begins, how many bytes it has, and the round in which it was bought (`heap::cache`). Owner.
    bought: AtomicUsize,
    bought_bytes: AtomicU32,
    bought_in: AtomicU64,
    /// Dead objects that wait for the dropper. Drop lock.
    awaiting_drop: AtomicU32,
    /// Guards `awaiting_drop` and the allocation bits of a span whose dead wait for the dropper.
    drop_lock: AtomicU8,
    /// Next in a central list. Central lock.
    next: AtomicPtr<Span>,
    /// Children in the page heap's treap. Page-heap lock, free runs only.
    pub(super) left: AtomicPtr<Span>,
    pub(super) right: AtomicPtr<Span>,
    /// Heap order of the treap. Page-heap lock, free runs only.
    pub(super) priority: AtomicU32,
    /// Pages at the end of a free run that hold no memory: given back to the OS, or never used. Page-heap lock.
    pub(crate) scavenged: AtomicU32,
    /// The page heap's clock when the run became free. Page-heap lock.
    pub(super) freed_at: AtomicU32,
}

/// Set in `swept` while a sweeper owns the span.
const SWEEPING: u32 = 1 << 31;

impl Span {
    /// The span that the object lies in.
    ///
    /// # Safety
    /// The object is allocated for as long as the reference is used.
    #[inline]
    pub(crate) unsafe fn of<'a>(object: Object) -> &'a Span {
        // SAFETY: an allocated object lies in a mapped arena, its header in the arena's first 64 MiB.
        unsafe { &*Arena::containing(object.as_ptr().cast()) }.span_of_page(Arena::page_of(object.address()))
    }

    /// Where the slot of the object ends: that of a large one with the pages of its span.
    pub(crate) fn end_of_slot(&self, object: Object) -> *mut u8 {
        match self.class() {
            0 => self.start().wrapping_add(self.pages() * super::arena::PAGE_SIZE),
            _ => object.as_ptr().cast::<u8>().wrapping_add(self.slot_size()),
        }
    }

    pub(crate) fn arena(&self) -> &Arena {
        let address = Arena::containing(std::ptr::from_ref(self).cast()).addr();
        // SAFETY: a record lies in the head of its arena, whose whole reservation `os::reserve` exposed.
        unsafe { &*std::ptr::with_exposed_provenance(address) }
    }

    pub(crate) fn as_ptr(&self) -> *mut Span {
        std::ptr::from_ref(self).cast_mut()
    }

    pub(crate) fn state(&self) -> RunState {
        match self.state.load(Ordering::Relaxed) {
            0 => RunState::Idle,
            1 => RunState::Free,
            _ => RunState::InUse,
        }
    }

    pub(crate) fn set_state(&self, state: RunState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn first_page(&self) -> usize {
        usize::from(self.first_page.load(Ordering::Relaxed))
    }

    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed) as usize
    }

    /// Makes this the record of `pages` pages from `first` on.
    pub(crate) fn set_run(&self, first: usize, pages: usize) {
        self.first_page.store(first as u16, Ordering::Relaxed);
        self.pages.store(pages as u32, Ordering::Relaxed);
    }

    /// Address of the run's first page.
    pub(crate) fn start(&self) -> *mut u8 {
        self.arena().page_address(self.first_page())
    }

    pub(crate) fn place(&self) -> Place {
        match self.place.load(Ordering::Relaxed) {
            0 => Place::Loose,
            1 => Place::Cached,
            2 => Place::Central,
            _ => Place::Dropping,
        }
    }

    pub(crate) fn set_place(&self, place: Place) {
        self.place.store(place as u8, Ordering::Relaxed);
    }

    pub(crate) fn slot_size(&self) -> usize {
        self.slot_size.load(Ordering::Relaxed) as usize
    }

    /// Bytes that one object in it takes: the slot, or all pages of a large object.
    pub(crate) fn object_bytes(&self) -> usize {
        if self.class() == 0 { self.pages() * super::arena::PAGE_SIZE } else { self.slot_size() }
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.load(Ordering::Relaxed) as usize
    }

    /// Says that there are so many slots, for tests of the verifier.
    pub(crate) fn set_slots(&self, slots: usize) {
        self.slots.store(slots as u32, Ordering::Relaxed);
    }

    /// Size class; 0 for a large object.
    pub(crate) fn class(&self) -> usize {
        usize::from(self.class.load(Ordering::Relaxed))
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::from_index(usize::from(self.kind.load(Ordering::Relaxed)))
    }

    /// Address of the first slot.
    pub(crate) fn first_slot(&self) -> *mut u8 {
        self.start().with_addr(self.first_slot.load(Ordering::Relaxed))
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn set_cursor(&self, bytes: usize) {
        self.cursor.store(bytes as u32, Ordering::Relaxed);
    }

    /// Says which run is bought in a round.
    pub(crate) fn set_bought(&self, round: u64, start: *const u8, bytes: usize) {
        self.bought.store(start.addr(), Ordering::Relaxed);
        self.bought_bytes.store(bytes as u32, Ordering::Relaxed);
        self.bought_in.store(round, Ordering::Relaxed);
    }

    /// Whether the slot at `address` is of the run that was bought last, and that was in `round`. Says so for a round of the calling thread's, which goes on, only
    /// if it is so: no other thread writes that round here.
    #[inline]
    pub(crate) fn was_bought_in(&self, round: u64, address: usize) -> bool {
        (self.bought_in.load(Ordering::Relaxed) == round || weakened(Mutation::BoughtInAnyRound))
            && address.wrapping_sub(self.bought.load(Ordering::Relaxed))
                < self.bought_bytes.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn next(&self) -> *mut Span {
        self.next.load(Ordering::Relaxed)
    }

    pub(crate) fn set_next(&self, next: *mut Span) {
        self.next.store(next, Ordering::Relaxed);
    }

    /// Sets a fresh run up for slots of `slot_size` bytes from `first_slot` on, with no object in it, as swept for `cycle`.
    pub(crate) fn format(
        &self,
        class: usize,
        kind: Kind,
        first_slot: usize,
        slot_size: usize,
        slots: usize,
        cycle: u32,
    ) {
        self.class.store(class as u8, Ordering::Relaxed);
        self.kind.store(kind.index() as u8, Ordering::Relaxed);
        self.first_slot.store(first_slot, Ordering::Relaxed);
        self.slot_size.store(slot_size.try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
        self.slots.store(slots as u32, Ordering::Relaxed);
        self.cursor.store(0, Ordering::Relaxed);
        self.awaiting_drop.store(0, Ordering::Relaxed);
        self.next.store(std::ptr::null_mut(), Ordering::Relaxed);
        for parity in 0..2 {
            for word in self.bits(parity) {
                word.store(0, Ordering::Relaxed);
            }
        }
        self.set_place(Place::Loose);
        self.swept.store(cycle & !SWEEPING, Ordering::Release);
    }

    /// The span's words of bitmap `parity`: those of a large object's header page, as no other bit of it is ever looked at.
    pub(crate) fn bits(&self, parity: usize) -> &[crate::sync::AtomicU64] {
        if self.class() == 0 {
            self.arena().bits(parity, self.bits_page(), 1)
        } else {
            self.arena().bits(parity, self.first_page(), self.pages())
        }
    }

    /// The page that the span's words of the bitmaps begin with.
    pub(crate) fn bits_page(&self) -> usize {
        if self.class() == 0 { Arena::page_of(self.first_slot.load(Ordering::Relaxed)) } else { self.first_page() }
    }

    /// Which bitmap holds the allocation bits now. The other one takes marks.
    pub(crate) fn allocation_parity(&self) -> usize {
        self.swept_cycle() as usize & 1
    }

    /// The last cycle whose S2 the span has been swept for.
    pub(crate) fn swept_cycle(&self) -> u32 {
        self.swept.load(Ordering::Acquire) & !SWEEPING
    }

    /// Whether the span has been swept for `cycle` and nobody is sweeping it.
    pub(crate) fn is_swept_for(&self, cycle: u32) -> bool {
        self.swept.load(Ordering::Acquire) == cycle & !SWEEPING
    }

    /// Takes the span for sweeping for `cycle`; false if it has been swept or someone else is at it.
    pub(crate) fn begin_sweep(&self, cycle: u32) -> bool {
        let seen = self.swept.load(Ordering::Relaxed);
        seen & SWEEPING == 0
            && seen != cycle & !SWEEPING
            && self.swept.compare_exchange(seen, seen | SWEEPING, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Ends what `begin_sweep` began: the bitmaps have changed roles.
    pub(crate) fn end_sweep(&self, cycle: u32) {
        self.swept.store(cycle & !SWEEPING, Ordering::Release);
    }

    /// Runs `f` with the drop lock held; short and free of user code.
    pub(crate) fn with_drop_lock<R>(&self, f: impl FnOnce(&AtomicU32) -> R) -> R {
        while self.drop_lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            crate::sync::yield_now();
        }
        let result = f(&self.awaiting_drop);
        self.drop_lock.store(0, Ordering::Release);
        result
    }
}
