//! A thread's own spans: for each span class a run of free slots, taken from by moving a pointer.
//!
//! A run is bought whole: its allocation bits (and, while marking, its mark bits: objects are born black) are set when the thread acquires it, and
//! those of the slots that were not used cleared when the cache is flushed. So the hit path touches no bitmap, takes no lock
//! and writes nothing that other threads read. In a heap with gaps runs are short. So the figures that all share
//! (`heap::account`) are not written for each: the cache *tells* what it has bought when a span comes to it, and then the thread pays what allocating owes; at S2, in the stopped world; and when it is flushed.
//!
//! A *round* of the cache ends with a flush, or before, when the thread gives its entries up (`mutator::candidates`), and has a number of its own. A span notes which run was bought last, and in which round: so a thread
//! that comes back to an object knows whether it has taken the slot in this round. If such an object ends as a newborn (`mutator::newborn`) its slot becomes
//! *vacant*: it stays bought, and is the next to be taken, still hot, for the next object of its span class. The vacant slots of a span class are linked
//! through their payloads, whichever spans they lie in. To a vacant slot belongs the root entry of the birth in it, which is still in the thread's own buffer and is the next
//! object's. So a program that makes and drops objects, in whatever order, comes to an end of buying slots and adding
//! entries when it has as many as it ever holds. What is vacant at the end of a round is left to the next sweep, as a dead object is:
//! by then its entry has been dropped, or handed over and looked at.
//!
//! A cache is used by its thread inside operations, by whoever brings the thread's record up to date after S1 or S2
//! (`mutator::record`), and in the stopped world. Both transitions flush it: after S1 so that what is allocated from then on is black, after S2
//! because nothing may be allocated from a span that has not been swept since.

use super::{
    Heap,
    central::{SPAN_CLASSES, slots_of, span_class},
    header::{HEADER_SIZE, Header, Object},
    kind::{DropKind, Kind},
    poison, size_class,
    span::{Place, Span},
};
use crate::sync::{Mutation, weakened};
use std::{
    ops::Range,
    ptr::{NonNull, null, null_mut, with_exposed_provenance_mut},
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of a round; see the module's head.
pub(crate) struct Round(u64);

impl Round {
    /// One that nothing has been bought in.
    pub(crate) fn new() -> Self {
        // A number that only its thread compares with what it has written itself: models need not look.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Round(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Whether the object's slot was bought in this round, which is the calling thread's. It may say no if it was.
    ///
    /// # Safety
    /// The object is allocated.
    #[inline]
    pub(crate) unsafe fn has_bought(&self, object: Object) -> bool {
        // SAFETY: by contract.
        unsafe { Span::of(object) }.was_bought_in(self.0, object.address())
    }
}

/// What a thread has of a span class: of a span, the free slots that it has bought, from which it takes; and vacant slots.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Run {
    next: *mut u8,
    end: *mut u8,
    pub(crate) span: *const Span,
    /// The first vacant slot.
    vacant: *mut u8,
    /// How often a vacant slot was taken since the last flush.
    occupied: usize,
}

/// Where in a vacant slot the next one's address is: as few bytes as a slot needs to be vacant.
const LINK: usize = HEADER_SIZE;
pub(crate) const SMALLEST_VACANT: usize = LINK + size_of::<*mut u8>();

const NO_RUN: Run = Run { next: null_mut(), end: null_mut(), span: null(), vacant: null_mut(), occupied: 0 };

impl Run {
    /// The free slots at hand, by their addresses: what lies there is no object.
    pub(crate) fn free(&self) -> Range<usize> {
        self.next.addr()..self.end.addr()
    }
}

/// The slot after a vacant one, or null.
///
/// # Safety
/// `slot` is vacant.
#[inline]
unsafe fn next_vacant(slot: NonNull<u8>) -> *mut u8 {
    let link = slot.as_ptr().wrapping_add(LINK);
    poison::unpoison(link, size_of::<*mut u8>());
    // SAFETY: by contract: written when the slot became vacant.
    let next = unsafe { link.cast::<*mut u8>().read() };
    poison::poison(link, size_of::<*mut u8>());
    next
}

/// The runs of one thread. All-zero memory is an empty cache.
pub(crate) struct Cache {
    runs: [Run; SPAN_CLASSES],
}

/// What a thread's cache has bought and not told of. It lies beside the cache, where there is room: larger, that would move the hot words behind it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Untold {
    pub(crate) bytes: usize,
    pub(crate) objects: usize,
}

impl Untold {
    /// Tells of it, which is all black or none of it; how many bytes that are.
    pub(crate) fn tell(&mut self, heap: &Heap, black: bool) -> usize {
        let Untold { bytes, objects } = std::mem::take(self);
        if objects > 0 {
            heap.account.allocated(bytes, objects, black);
        }
        bytes
    }
}

/// What a refill came to.
pub(crate) enum Refill {
    /// The next `allocate` of this span class succeeds; so many bytes have been told of.
    Ready(usize),
    /// A span whose dead must be dropped outside any operation; the caller owns the sweep. Then try again.
    Sweep(&'static Span),
    /// The OS refused memory.
    NoMemory,
}

impl Cache {
    /// The slot of the span class, of `size` bytes, that became vacant last, if there is one. What is born in it needs no entry.
    #[inline(always)]
    pub(crate) fn occupy(&mut self, span_class: usize, size: usize) -> Option<NonNull<u8>> {
        let run = &mut self.runs[span_class];
        let slot = NonNull::new(run.vacant)?;
        // SAFETY: it is vacant.
        run.vacant = unsafe { next_vacant(slot) };
        run.occupied += 1;
        poison::unpoison(slot.as_ptr(), size);
        Some(slot)
    }

    /// A free slot of the span class, of `size` bytes, or `None` if those at hand are used up.
    #[inline(always)]
    pub(crate) fn allocate(&mut self, span_class: usize, size: usize) -> Option<NonNull<u8>> {
        let run = &mut self.runs[span_class];
        if run.next == run.end {
            return None;
        }
        let slot = run.next;
        run.next = slot.wrapping_add(size);
        poison::unpoison(slot, size);
        // SAFETY: a free slot lies within a span.
        Some(unsafe { NonNull::new_unchecked(slot) })
    }

    /// Makes the slot of `object`, a newborn whose handle ends, vacant.
    ///
    /// # Safety
    /// There is such a span class with slots of `size` bytes, at least [`SMALLEST_VACANT`], and the object lies in one that was bought since the last flush. Nothing leads to it any more but its entry,
    /// which is in the buffer of the thread.
    #[inline]
    pub(crate) unsafe fn vacate(&mut self, span_class: usize, object: Object, size: usize) {
        debug_assert!(span_class < SPAN_CLASSES && size >= SMALLEST_VACANT);
        // SAFETY: by contract.
        let run = unsafe { self.runs.get_unchecked_mut(span_class) };
        // SAFETY: by contract.
        unsafe { object.roots() }.vacate();
        // The provenance of a handle's pointer may be narrower; `os::reserve` has exposed that of the arena.
        let slot = with_exposed_provenance_mut::<u8>(object.address());
        // SAFETY: the slot has room for the link behind the header, and is ours.
        unsafe { slot.add(LINK).cast::<*mut u8>().write(run.vacant) };
        run.vacant = slot;
        poison::poison(slot.wrapping_add(LINK), size - LINK);
    }

    /// Leaves all slots that are vacant to the next sweep: before that the thread will have handed over what entries of theirs it has.
    #[cold]
    pub(crate) fn forget_vacant(&mut self) {
        self.runs.iter_mut().for_each(|run| run.vacant = null_mut());
    }

    /// Finds the span class a run: in its span, in the central list (sweeping on the way), or in fresh pages.
    pub(crate) fn refill(
        &mut self,
        untold: &mut Untold,
        round: &Round,
        heap: &'static Heap,
        class: usize,
        kind: Kind,
        black: bool,
    ) -> Refill {
        let index = span_class(class, kind);
        let run = &mut self.runs[index];
        let mut came = false;
        loop {
            // SAFETY: a cached span is in use.
            if let Some(span) = unsafe { run.span.as_ref() } {
                if let Some(free) = span.next_free_run() {
                    untold.bytes += free.len();
                    // In 32 bits, since that divides faster; a span with slots is smaller by far.
                    untold.objects += (free.len() as u32 / span.slot_size() as u32) as usize;
                    acquire(span, round, free, black, run);
                    return Refill::Ready(if came { untold.tell(heap, black) } else { 0 });
                }
                run.span = null();
                heap.central(index).give(span, false);
            }
            match next_span(heap, class, kind) {
                Next::Span(span) => {
                    span.set_place(Place::Cached);
                    came = true;
                    run.span = span;
                }
                Next::Sweep(span) => return Refill::Sweep(span),
                Next::NoMemory => return Refill::NoMemory,
            }
        }
    }

    /// Calls `f` with the span class and run of every span in the cache.
    pub(crate) fn for_each_run(&self, mut f: impl FnMut(usize, &Run)) {
        self.runs.iter().enumerate().filter(|(_, run)| !run.span.is_null()).for_each(|(index, run)| f(index, run));
    }

    /// Calls `f` with the span class and slot of every vacant slot in the lists. A list ends where `f` says that one is none.
    pub(crate) fn for_each_vacant(&self, mut f: impl FnMut(usize, Object) -> bool) {
        for (index, run) in self.runs.iter().enumerate() {
            let mut next = run.vacant;
            while let Some(slot) = NonNull::new(next)
                && f(index, Object::new(slot.cast::<Header>()))
            {
                // SAFETY: it is vacant.
                next = unsafe { next_vacant(slot) };
            }
        }
    }

    /// Gives every span back, with the slots that were not used free again: all that was bought has been told of. `black`: the marking in which they were bought
    /// goes on. The round is to end with it.
    pub(crate) fn flush(&mut self, heap: &'static Heap, black: bool) {
        for (index, run) in self.runs.iter_mut().enumerate() {
            let left = if weakened(Mutation::VacantAfterTheRound) { run.vacant } else { null_mut() };
            let run = std::mem::replace(run, Run { vacant: left, ..NO_RUN });
            if run.occupied > 0 {
                let size = size_class::SIZES[index / Kind::COUNT] as usize;
                heap.account.recycled(run.occupied * size, run.occupied);
            }
            // SAFETY: a cached span is in use.
            if let Some(span) = unsafe { run.span.as_ref() } {
                if weakened(Mutation::GiveBeforeTail) {
                    heap.central(index).give(span, true);
                    release(heap, span, &run, black);
                    continue;
                }
                release(heap, span, &run, black);
                heap.central(index).give(span, span.cursor() < span.slots_bytes());
            }
        }
    }
}

/// Buys `free` of `span`, which is that of `run`.
fn acquire(span: &'static Span, round: &Round, free: Range<usize>, black: bool, run: &mut Run) {
    span.set_allocated(free.clone());
    if black && !weakened(Mutation::AllocateWhite) {
        span.set_marked(free.clone());
    }
    span.set_cursor(free.end);
    let first = span.first_slot();
    run.next = first.wrapping_add(free.start);
    run.end = first.wrapping_add(free.end);
    span.set_bought(round.0, run.next, free.len());
}

/// Returns what `run` has left of `span`.
fn release(heap: &Heap, span: &'static Span, run: &Run, black: bool) {
    if run.free().is_empty() {
        return;
    }
    let first = span.first_slot().addr();
    let free = run.free().start - first..run.free().end - first;
    span.clear_allocated(free.clone());
    if !weakened(Mutation::TailStaysMarked) {
        span.clear_marked(free.clone());
    }
    span.set_cursor(span.cursor().min(free.start));
    heap.account.returned(free.len(), free.len() / span.slot_size(), black);
}

enum Next {
    Span(&'static Span),
    Sweep(&'static Span),
    NoMemory,
}

/// How many spans without room a refill sweeps before it takes fresh pages.
const SWEEPS_PER_REFILL: usize = 32;

fn next_span(heap: &'static Heap, class: usize, kind: Kind) -> Next {
    let central = heap.central(span_class(class, kind));
    let cycle = heap.cycle();
    let parity = if weakened(Mutation::RefillFromUnswept) { cycle + 1 } else { cycle };
    if let Some(span) = central.take_swept(parity) {
        return Next::Span(span);
    }
    if kind.drop != DropKind::User {
        for _ in 0..SWEEPS_PER_REFILL {
            let Some(span) = heap.begin_lazy_sweep(central, cycle) else { break };
            if kind.drop == DropKind::Frees {
                return Next::Sweep(span);
            }
            let free = heap.sweep_plain(span, cycle);
            heap.end_lazy_sweep();
            if free > 0 {
                return Next::Span(span);
            }
            central.give(span, false);
        }
    }
    match fresh_span(heap, class, kind, cycle) {
        Some(span) => Next::Span(span),
        None => Next::NoMemory,
    }
}

fn fresh_span(heap: &'static Heap, class: usize, kind: Kind, cycle: u32) -> Option<&'static Span> {
    // More objects can mean more entries in the collector's lists, which must not fail.
    if !heap.blocks.replenish() {
        return None;
    }
    let pages = size_class::PAGES[class] as usize;
    let span = heap.pages.allocate(pages)?;
    let size = size_class::SIZES[class] as usize;
    span.format(class, kind, span.start().addr(), size, slots_of(class), cycle);
    poison::poison_pages(span);
    Some(span)
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::{super::header::RootWord, *};

    const KIND: Kind = Kind { scan: false, drop: DropKind::None, finalize: false };
    const CLASS: usize = 4;
    const INDEX: usize = span_class(CLASS, KIND);
    const SIZE: usize = size_class::SIZES[CLASS] as usize;

    /// A cache of a heap of its own, and slots taken from it.
    struct Fixture {
        heap: &'static Heap,
        cache: Box<Cache>,
        untold: Untold,
        round: Round,
    }

    impl Fixture {
        fn new() -> Self {
            Fixture {
                heap: Box::leak(Box::new(Heap::new())),
                cache: Box::new(Cache { runs: [NO_RUN; SPAN_CLASSES] }),
                untold: Untold::default(),
                round: Round::new(),
            }
        }

        fn refill(&mut self, black: bool) -> Refill {
            self.cache.refill(&mut self.untold, &self.round, self.heap, CLASS, KIND, black)
        }

        fn flush(&mut self, black: bool) {
            self.untold.tell(self.heap, black);
            self.cache.flush(self.heap, black);
            self.round = Round::new();
        }

        /// Takes a slot as a birth does, a vacant one first, and has a newborn there.
        fn take(&mut self) -> *mut u8 {
            let slot = self.cache.occupy(INDEX, SIZE).unwrap_or_else(|| self.take_free());
            // SAFETY: the slot is ours.
            unsafe { slot.cast::<Header>().write(Header { roots: RootWord::newborn(), code: 0 }) };
            slot.as_ptr()
        }

        fn take_free(&mut self) -> NonNull<u8> {
            if let Some(slot) = self.cache.allocate(INDEX, SIZE) {
                return slot;
            }
            assert!(matches!(self.refill(false), Refill::Ready(_)));
            self.cache.allocate(INDEX, SIZE).unwrap()
        }

        fn take_many<const N: usize>(&mut self) -> [*mut u8; N] {
            std::array::from_fn(|_| self.take())
        }

        fn vacate(&mut self, slot: *mut u8) {
            // SAFETY: `take` has made a newborn there, of this class.
            unsafe { self.cache.vacate(INDEX, object(slot), SIZE) };
        }

        fn vacant(&self) -> Vec<*mut u8> {
            let mut slots = Vec::new();
            self.cache.for_each_vacant(|index, object| {
                assert_eq!(index, INDEX);
                slots.push(object.as_ptr().cast());
                true
            });
            slots
        }

        fn has_bought(&self, slot: *mut u8) -> bool {
            // SAFETY: `take` has made an object there.
            unsafe { self.round.has_bought(object(slot)) }
        }

        fn run(&self) -> &Run {
            &self.cache.runs[INDEX]
        }

        fn span(&self) -> &'static Span {
            // SAFETY: the span is cached, and its heap leaked.
            unsafe { &*self.run().span }
        }

        fn free_slots(&self) -> usize {
            self.run().free().len() / SIZE
        }
    }

    fn object(slot: *mut u8) -> Object {
        Object::new(NonNull::new(slot.cast()).unwrap())
    }

    #[test]
    fn the_slot_that_was_left_last_is_taken_first() {
        let mut it = Fixture::new();
        let [a, b, c] = it.take_many();
        let free = it.free_slots();
        it.vacate(b);
        it.vacate(a);
        it.vacate(c);
        assert_eq!(it.vacant(), [c, a, b]);
        assert_eq!(it.take_many(), [c, a, b]);
        assert!(it.vacant().is_empty() && it.free_slots() == free);
        assert_eq!(it.take().addr(), c.addr() + SIZE);
    }

    #[test]
    fn who_holds_so_many_buys_no_more_in_whatever_order_they_go() {
        let mut it = Fixture::new();
        // More than a span holds.
        let mut held: Vec<_> = (0..1000).map(|_| it.take()).collect();
        let bought = it.heap.account.total_objects() + it.untold.objects as u64;
        for round in 0..5000 {
            let slot = held.swap_remove(round * 7919 % held.len());
            assert!(it.has_bought(slot));
            it.vacate(slot);
            held.push(it.take());
        }
        assert_eq!(it.heap.account.total_objects() + it.untold.objects as u64, bought);
        held.sort_unstable();
        held.dedup();
        assert_eq!(held.len(), 1000, "a slot was taken twice");
        it.flush(false);
        assert_eq!(it.heap.account.used_objects(), 1000);
        assert_eq!((it.heap.account.total_objects(), it.heap.account.freed_objects()), (6000, 5000));
    }

    #[test]
    fn a_flush_returns_what_was_not_used_and_forgets_what_is_vacant() {
        let mut it = Fixture::new();
        let slots: [_; 4] = it.take_many();
        it.vacate(slots[1]);
        it.vacate(slots[2]);
        assert_eq!(it.take(), slots[2]);
        let span = it.span();
        assert!(it.run().free().step_by(SIZE).all(|slot| span.is_allocated(slot)));
        it.flush(false);
        assert!(it.vacant().is_empty());
        let taken = (0..span.slots()).map(|index| span.first_slot().wrapping_add(index * SIZE));
        assert!(taken.filter(|slot| span.is_allocated(slot.addr())).eq(slots), "what was vacant awaits a sweep");
        assert_eq!(it.heap.account.used_objects(), 4);
        assert_eq!((it.heap.account.total_objects(), it.heap.account.freed_objects()), (5, 1));
        assert!(span.place() == Place::Central && it.run().span.is_null());
        assert_eq!(it.take().addr(), slots[3].addr() + SIZE);
    }

    #[test]
    fn a_round_knows_what_it_has_bought_until_it_ends() {
        let mut it = Fixture::new();
        let first = it.take();
        let span = it.span();
        assert!(it.has_bought(first));
        // A gap, and another run behind it.
        let gap = span.first_slot().wrapping_add(2 * SIZE);
        it.flush(false);
        span.set_allocated(2 * SIZE..3 * SIZE);
        it.heap.account.allocated(SIZE, 1, false);
        poison::unpoison(gap, SIZE);
        // SAFETY: now there is an object.
        unsafe { gap.cast::<Header>().write(Header { roots: RootWord::newborn(), code: 0 }) };
        let second = it.take();
        assert_eq!(second.addr(), first.addr() + SIZE);
        assert!(it.has_bought(second) && !it.has_bought(first), "of the round before");
        let third = it.take();
        assert_eq!(third.addr(), gap.addr() + SIZE);
        assert!(it.has_bought(third) && !it.has_bought(gap), "of another's");
        assert!(!it.has_bought(second), "of a run before");
        // A round may end before the run does.
        it.round = Round::new();
        let fourth = it.take();
        assert!(fourth.addr() == third.addr() + SIZE && !it.has_bought(third) && !it.has_bought(fourth));
        // Spans that have left the cache are known still.
        while it.span().as_ptr() == span.as_ptr() {
            it.take();
        }
        let (fifth, second_span) = (it.take(), it.span());
        while it.span().as_ptr() == second_span.as_ptr() {
            it.take();
        }
        assert!(it.has_bought(fifth));
        it.flush(false);
        assert!(!it.has_bought(fifth));
    }

    /// However short the runs of a span are, the figures that threads share change when a span comes and when the cache is flushed.
    #[test]
    fn short_runs_are_told_of_together() {
        let mut it = Fixture::new();
        let first = it.take();
        let span = it.span();
        it.flush(false);
        let place = |index: usize| index * SIZE..(index + 1) * SIZE;
        (2..span.slots()).step_by(2).for_each(|index| span.set_allocated(place(index)));
        let taken = span.slots().div_ceil(2);
        it.heap.account.allocated((taken - 1) * SIZE, taken - 1, false);

        let used = || (it.heap.account.used_objects(), it.heap.account.used_bytes());
        let and = |objects: usize| (taken + objects, (taken + objects) * SIZE);
        assert!(matches!(it.refill(true), Refill::Ready(SIZE)));
        assert_eq!((it.run().span, used()), (std::ptr::from_ref(span), and(1)));
        for index in (1..2 * 5).step_by(2) {
            let slot = it.cache.allocate(INDEX, SIZE).unwrap().as_ptr();
            assert_eq!(slot.addr() - first.addr(), place(index).start);
            assert!(matches!(it.refill(true), Refill::Ready(0)));
        }
        assert_eq!((used(), it.untold.objects), (and(1), 5));
        assert_eq!(it.untold.tell(it.heap, true), 5 * SIZE);
        assert_eq!(used(), and(6));
        it.flush(true);
        assert_eq!(used(), and(5), "the last was not used");
        assert_eq!(it.heap.account.take_black_bytes(), 5 * SIZE);
    }

    #[test]
    fn what_was_bought_black_goes_back_white() {
        let mut it = Fixture::new();
        assert!(matches!(it.refill(true), Refill::Ready(_)));
        let slots: [_; 3] = it.take_many();
        it.vacate(slots[0]);
        let span = it.span();
        assert!(it.run().free().step_by(SIZE).all(|slot| span.is_marked(slot)));
        it.flush(true);
        let marked =
            (0..span.slots()).map(|index| span.first_slot().addr() + index * SIZE).filter(|it| span.is_marked(*it));
        assert!(marked.eq(slots.map(<*mut u8>::addr)), "what is vacant at the end of a marking goes with the next");
    }
}
