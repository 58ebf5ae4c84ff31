//! The heap as it lies while nothing in it moves: which spans there are, which slots hold objects, whether an address is that of one.
//!
//! For the verifier and the checkmark mode. With the world stopped, nobody is in an operation, so spans, bitmaps, lists and headers stand still but
//! for two: the dropper frees slots and spans outside operations, hence its lock is held, too (`Stillness`); and root counts go up and down
//! with handles that are cloned and dropped, which needs no operation. Markers outside operations hold grey objects or nothing: who wants
//! none of them at work asks `GREY`.
//!
//! Not every allocated slot holds an object: a thread that has bought a run of slots has not filled all of it yet, and a newborn may have left one. And an object that nothing
//! counts and nothing leads to may be one whose value is still being moved in: only what a root reaches may be traced.
//!
//! All notes are in memory of the OS (`OsVec`): the global allocator, which may be a user's, is not called while the world is stopped.

use super::{
    dropper::{DROPPER, Paused},
    grey::GREY,
};
use crate::{
    heap::{
        HEAP,
        arena::{ARENA_PAGES, Arena, METADATA_PAGES},
        header::{Header, Object},
        os_vec::OsVec,
        span::{RunState, Span},
    },
    mutator::record::{WORLD, records, settle_all, stop_the_world},
    trace::type_info::TypeInfo,
};
use std::ptr::NonNull;

/// The world stopped and the dropper held off, until dropped.
pub(crate) struct Stillness {
    dropper: Paused<'static>,
}

impl Stillness {
    /// Stops everything, unless a marker is at work or there is something for one to do. Then root counts are at least the number of
    /// counted handles: what was deferred has been counted, and one down is owed only if its handle ended at the place of a note that is counted. The worker alone calls this.
    pub(crate) fn begin() -> Option<Self> {
        let dropper = DROPPER.pause();
        stop_the_world();
        if !GREY.is_idle() {
            WORLD.resume();
            return None;
        }
        // SAFETY: as it says.
        unsafe { settle_all() };
        Some(Stillness { dropper })
    }

    /// Calls `f` with every span that the dropper has.
    pub(crate) fn for_each_dropping_span(&self, f: impl FnMut(&'static Span)) {
        self.dropper.for_each_span(f);
    }
}

impl Drop for Stillness {
    fn drop(&mut self) {
        WORLD.resume();
    }
}

/// Slots that a thread has bought and not used yet.
#[derive(Clone, Copy)]
struct Tail {
    start: usize,
    end: usize,
}

/// See the module's head.
pub(crate) struct Survey {
    /// By address.
    arenas: OsVec<&'static Arena>,
    /// By address.
    tails: OsVec<Tail>,
}

impl Survey {
    /// Looks around.
    ///
    /// # Safety
    /// The world is stopped and the dropper paused, and they stay so as long as the survey is used; no span is being swept.
    pub(crate) unsafe fn take() -> Survey {
        let mut arenas = OsVec::new();
        HEAP.pages.for_each_arena(|arena| arenas.push(arena));
        arenas.sort_unstable_by_key(|arena| arena.base().addr());
        let mut tails = OsVec::new();
        for record in records() {
            // SAFETY: the world is stopped.
            unsafe { record.local() }.cache.for_each_run(|_, run| {
                let free = run.free();
                tails.push(Tail { start: free.start, end: free.end });
            });
        }
        tails.sort_unstable_by_key(|tail| tail.start);
        Survey { arenas, tails }
    }

    /// The number of arenas, huge ones included.
    pub(crate) fn arena_count(&self) -> usize {
        self.arenas.len()
    }

    /// The number of the arena that `address`, in its first 64 MiB, lies in.
    pub(crate) fn arena_index(&self, address: usize) -> Option<usize> {
        let base = Arena::containing(std::ptr::without_provenance(address)).addr();
        self.arenas.binary_search_by_key(&base, |arena| arena.base().addr()).ok()
    }

    /// All spans in use. Of an arena whose runs are damaged, those before the damage.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &'static Span> {
        self.arenas.iter().flat_map(|arena| {
            let mut page = METADATA_PAGES;
            std::iter::from_fn(move || {
                while page < ARENA_PAGES {
                    let run = arena.span_at(page);
                    if run.state() == RunState::Idle || run.pages() == 0 {
                        return None;
                    }
                    page += run.pages();
                    if run.state() == RunState::InUse {
                        return Some(run);
                    }
                }
                None
            })
        })
    }

    /// Calls `f` with every object in the span: its header has been written.
    pub(crate) fn for_each_object(&self, span: &'static Span, mut f: impl FnMut(Object)) {
        for (index, word) in span.bits(span.allocation_parity()).iter().enumerate() {
            let mut bits = word.load(crate::sync::Ordering::Relaxed);
            while bits != 0 {
                let object = span.object_at_bit(index, bits.trailing_zeros());
                // SAFETY: a slot that has been used has a header.
                if self.is_used(span, object.address()) && !unsafe { object.roots() }.is_vacant() {
                    f(object);
                }
                bits &= bits - 1;
            }
        }
    }

    /// The span of the object whose header is at `address`, if there is one.
    pub(crate) fn object_at(&self, address: usize) -> Option<&'static Span> {
        // SAFETY: a slot that has been used has a header.
        self.slot_at(address).filter(|(_, object)| !unsafe { object.roots() }.is_vacant()).map(|(span, _)| span)
    }

    /// The span of the slot that begins at `address`, if a newborn has left it.
    pub(crate) fn vacant_at(&self, address: usize) -> Option<&'static Span> {
        // SAFETY: a slot that has been used has a header.
        self.slot_at(address).filter(|(_, object)| unsafe { object.roots() }.is_vacant()).map(|(span, _)| span)
    }

    /// The span of the slot that begins at `address`, and what lies there, if the slot has been used and not been freed since.
    fn slot_at(&self, address: usize) -> Option<(&'static Span, Object)> {
        let arena = self.arenas[self.arena_index(address)?];
        let page = Arena::page_of(address);
        if page < METADATA_PAGES || !address.is_multiple_of(8) {
            return None;
        }
        let span = arena.span_of_page(page);
        let covers = (span.first_page()..span.first_page() + span.pages()).contains(&page);
        let taken = span.state() == RunState::InUse && covers && span.is_allocated(address);
        if !taken || !self.is_used(span, address) {
            return None;
        }
        let header = NonNull::new(span.first_slot().with_addr(address).cast::<Header>())?;
        Some((span, Object::new(header)))
    }

    /// Whether a slot of the span begins at `address` that is not one of those that a thread has bought and not used yet.
    fn is_used(&self, span: &Span, address: usize) -> bool {
        let before = self.tails.partition_point(|tail| tail.start <= address);
        let unused = before.checked_sub(1).is_some_and(|index| address < self.tails[index].end);
        begins_slot(span, address) && !unused
    }
}

/// Whether a slot of the span begins at `address`.
pub(crate) fn begins_slot(span: &Span, address: usize) -> bool {
    let Some(offset) = address.checked_sub(span.first_slot().addr()) else { return false };
    match (span.class(), span.slot_size()) {
        (0, _) | (_, 0) => offset == 0,
        (_, size) => offset.is_multiple_of(size) && offset / size < span.slots(),
    }
}

/// The type that the object's header names, if objects of such a type can lie in the span.
///
/// # Safety
/// The object is one of the span's, and its header names a type or is all zero.
pub(crate) unsafe fn type_in(span: &Span, object: Object) -> Option<&'static TypeInfo> {
    // SAFETY: by contract.
    let info = unsafe { TypeInfo::of_written(object)? };
    info.fits(span).then_some(info)
}
