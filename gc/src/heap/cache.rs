//! A thread's own spans: for each span class a run of free slots, taken from by moving a pointer.
//!
//! A run is bought whole: its allocation bits (and, while marking, its mark bits: objects are born black) are set when the thread acquires it, and
//! those of the slots that were not used cleared when the cache is flushed. So the hit path touches no bitmap, takes no lock
//! and writes nothing that other threads read. In a heap with gaps runs are short. So the figures that all share
//! (`heap::account`) are not written for each: the cache *tells* what it has bought when a span comes to it, and then the thread pays what allocating owes; at S2, in the stopped world; and when it is flushed.
//!
//! A slot of the span that was taken since the last flush can be given back, as long as the span is in the cache. It is the next to be taken: it is still
//! hot. If it does not join the free slots at hand it goes before them, and they *wait* until it has been taken again. So the free slots
//! of a span are two ranges at most; a slot that would begin a third is not taken back, and dies as others do. A program that makes the
//! next object before it lets go of the last one thus goes to and fro between two slots.
//!
//! A cache is used by its thread inside operations, by whoever brings the thread's record up to date after S1 or S2
//! (`mutator::record`), and in the stopped world. Both transitions flush it: after S1 so that what is allocated from then on is black, after S2
//! because nothing may be allocated from a span that has not been swept since.

use super::{
    Heap,
    central::{SPAN_CLASSES, slots_of, span_class},
    kind::{DropKind, Kind},
    poison, size_class,
    span::{Place, Span},
};
use crate::sync::{Mutation, weakened};
use std::{
    ops::Range,
    ptr::{NonNull, null, null_mut, with_exposed_provenance_mut},
};

/// What a thread has of a span: the free slots that it has bought. Those at hand, from which it takes, and those that wait.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Run {
    next: *mut u8,
    end: *mut u8,
    /// Where the span's slots begin, and how many bytes they take.
    first: *mut u8,
    bytes: usize,
    waiting_next: *mut u8,
    waiting_end: *mut u8,
    pub(crate) span: *const Span,
    /// Slots of this class that were given back since the last flush.
    recycled: usize,
}

const NO_RUN: Run = Run {
    next: null_mut(),
    end: null_mut(),
    first: null_mut(),
    bytes: 0,
    waiting_next: null_mut(),
    waiting_end: null_mut(),
    span: null(),
    recycled: 0,
};

impl Run {
    /// The free slots, by their addresses: what lies there is no object.
    pub(crate) fn free(&self) -> impl Iterator<Item = Range<usize>> {
        let ranges = [self.next.addr()..self.end.addr(), self.waiting_next.addr()..self.waiting_end.addr()];
        ranges.into_iter().filter(|range| range.start != range.end)
    }

    /// Has the slots at hand, which are used up, be those that wait. False if none do.
    fn fetch_waiting(&mut self) -> bool {
        debug_assert!(self.next == self.end);
        (self.next, self.end) = (self.waiting_next, self.waiting_end);
        (self.waiting_next, self.waiting_end) = (null_mut(), null_mut());
        self.next != self.end
    }

    /// Makes the slot at `slot`, of `size` bytes, one of those at hand. False if it does not join them, and others wait already.
    #[inline]
    fn put_back(&mut self, slot: *mut u8, size: usize) -> bool {
        let end = slot.wrapping_add(size);
        if end == self.next {
            self.next = slot;
        } else if self.next == self.end {
            (self.next, self.end) = (slot, end);
        } else if slot == self.end {
            self.end = end;
        } else if self.waiting_next == self.waiting_end {
            (self.waiting_next, self.waiting_end) = (self.next, self.end);
            (self.next, self.end) = (slot, end);
        } else {
            return false;
        }
        true
    }
}

/// What [`Cache::recycle`] takes for a span class that there is not: no slot goes back there.
pub(crate) const NO_SPAN_CLASS: usize = SPAN_CLASSES;

/// The runs of one thread, and one that stays empty. All-zero memory is an empty cache.
pub(crate) struct Cache {
    runs: [Run; SPAN_CLASSES + 1],
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
    /// A slot of the span class, of `size` bytes, or `None` if those at hand are used up.
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

    /// Takes back a slot of the span class, of `size` bytes, in which there is no object any more, and which was taken from this cache since it was
    /// last flushed. If the span is in the cache no more, or too many other slots have been given back, nothing happens.
    ///
    /// A span leaves the cache before a flush only when it is full, and comes back only after one: what lies in a cached span
    /// and was taken since the last flush is of a run that was bought with this span.
    ///
    /// # Safety
    /// There is such a span class, or it is [`NO_SPAN_CLASS`].
    #[inline]
    pub(crate) unsafe fn recycle(&mut self, span_class: usize, slot: *mut u8, size: usize) {
        debug_assert!(span_class <= NO_SPAN_CLASS);
        // SAFETY: by contract.
        let run = unsafe { self.runs.get_unchecked_mut(span_class) };
        // The provenance of a handle's pointer may be narrower; `os::reserve` has exposed that of the arena. (If it were computed from `first` the slot would be
        // known two steps later, and the next birth waits for it.)
        let slot = with_exposed_provenance_mut::<u8>(slot.addr());
        let offset = slot.addr().wrapping_sub(run.first.addr());
        debug_assert!(offset >= run.bytes || offset % size == 0 && offset + size <= run.bytes);
        if offset < run.bytes && run.put_back(slot, size) {
            run.recycled += 1;
            poison::poison(slot, size);
        }
    }

    /// Finds the span class a run: in its span, in the central list (sweeping on the way), or in fresh pages.
    pub(crate) fn refill(
        &mut self,
        untold: &mut Untold,
        heap: &'static Heap,
        class: usize,
        kind: Kind,
        black: bool,
    ) -> Refill {
        let index = span_class(class, kind);
        let run = &mut self.runs[index];
        if run.fetch_waiting() {
            return Refill::Ready(0);
        }
        let mut came = false;
        loop {
            // SAFETY: a cached span is in use.
            if let Some(span) = unsafe { run.span.as_ref() } {
                if let Some(free) = span.next_free_run() {
                    untold.bytes += free.len();
                    // In 32 bits, since that divides faster; a span with slots is smaller by far.
                    untold.objects += (free.len() as u32 / span.slot_size() as u32) as usize;
                    acquire(span, free, black, run);
                    return Refill::Ready(if came { untold.tell(heap, black) } else { 0 });
                }
                *run = Run { recycled: run.recycled, ..NO_RUN };
                heap.central(index).give(span, false);
            }
            match next_span(heap, class, kind) {
                Next::Span(span) => {
                    span.set_place(Place::Cached);
                    came = true;
                    *run = Run {
                        first: span.first_slot(),
                        bytes: span.slots_bytes(),
                        span,
                        recycled: run.recycled,
                        ..NO_RUN
                    };
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

    /// Gives every span back, with the slots that were not used free again: all that was bought has been told of. `black`: the marking in which they were bought
    /// goes on.
    pub(crate) fn flush(&mut self, heap: &'static Heap, black: bool) {
        for (index, run) in self.runs.iter_mut().enumerate() {
            let run = std::mem::replace(run, NO_RUN);
            if run.recycled > 0 {
                let size = size_class::SIZES[index / Kind::COUNT] as usize;
                heap.account.recycled(run.recycled * size, run.recycled);
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
fn acquire(span: &'static Span, free: Range<usize>, black: bool, run: &mut Run) {
    span.set_allocated(free.clone());
    if black && !weakened(Mutation::AllocateWhite) {
        span.set_marked(free.clone());
    }
    span.set_cursor(free.end);
    run.next = run.first.wrapping_add(free.start);
    run.end = run.first.wrapping_add(free.end);
}

/// Returns what `run` has left of `span`.
fn release(heap: &Heap, span: &'static Span, run: &Run, black: bool) {
    let first = span.first_slot().addr();
    for free in run.free() {
        if free.start == run.waiting_next.addr() && weakened(Mutation::WaitingSlotsAreKept) {
            continue;
        }
        let free = free.start - first..free.end - first;
        span.clear_allocated(free.clone());
        if !weakened(Mutation::TailStaysMarked) {
            span.clear_marked(free.clone());
        }
        span.set_cursor(span.cursor().min(free.start));
        heap.account.returned(free.len(), free.len() / span.slot_size(), black);
    }
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
    use super::*;

    const KIND: Kind = Kind { scan: false, drop: DropKind::None, finalize: false };
    const CLASS: usize = 4;
    const INDEX: usize = span_class(CLASS, KIND);
    const SIZE: usize = size_class::SIZES[CLASS] as usize;

    /// A cache of a heap of its own, and slots taken from it.
    struct Fixture {
        heap: &'static Heap,
        cache: Box<Cache>,
        untold: Untold,
    }

    impl Fixture {
        fn new() -> Self {
            Fixture {
                heap: Box::leak(Box::new(Heap::new())),
                cache: Box::new(Cache { runs: [NO_RUN; SPAN_CLASSES + 1] }),
                untold: Untold::default(),
            }
        }

        fn refill(&mut self, black: bool) -> Refill {
            self.cache.refill(&mut self.untold, self.heap, CLASS, KIND, black)
        }

        fn flush(&mut self, black: bool) {
            self.untold.tell(self.heap, black);
            self.cache.flush(self.heap, black);
        }

        /// Takes a slot as a birth does, and says whether that took the slow path.
        fn take(&mut self) -> (*mut u8, bool) {
            if let Some(slot) = self.cache.allocate(INDEX, SIZE) {
                return (slot.as_ptr(), false);
            }
            assert!(matches!(self.refill(false), Refill::Ready(_)));
            (self.cache.allocate(INDEX, SIZE).unwrap().as_ptr(), true)
        }

        fn take_many<const N: usize>(&mut self) -> [*mut u8; N] {
            std::array::from_fn(|_| self.take().0)
        }

        fn recycle(&mut self, slot: *mut u8) {
            // SAFETY: there is such a span class.
            unsafe { self.cache.recycle(INDEX, slot, SIZE) };
        }

        fn run(&self) -> &Run {
            &self.cache.runs[INDEX]
        }

        fn span(&self) -> &'static Span {
            // SAFETY: the span is cached, and its heap leaked.
            unsafe { &*self.run().span }
        }

        fn free_slots(&self) -> usize {
            self.run().free().map(|range| range.len() / SIZE).sum()
        }
    }

    #[test]
    fn the_last_slot_is_taken_again() {
        let mut it = Fixture::new();
        let [a, b] = it.take_many();
        it.recycle(b);
        it.recycle(a);
        assert_eq!(it.run().free().count(), 1);
        assert_eq!(it.take_many(), [a, b]);
    }

    #[test]
    fn a_loop_goes_to_and_fro_between_two_slots() {
        let mut it = Fixture::new();
        let [a, b] = it.take_many();
        it.recycle(a);
        let (mut held, mut next) = (b, a);
        for _ in 0..1000 {
            assert_eq!(it.take(), (next, false));
            it.recycle(held);
            std::mem::swap(&mut held, &mut next);
        }
        assert_eq!(it.run().recycled, 1001);
    }

    #[test]
    fn neighbours_join_and_a_third_range_is_refused() {
        let mut it = Fixture::new();
        let slots: [_; 8] = it.take_many();
        let rest = it.free_slots();
        it.recycle(slots[2]);
        it.recycle(slots[3]);
        it.recycle(slots[1]);
        assert_eq!((it.run().free().count(), it.free_slots()), (2, rest + 3));
        it.recycle(slots[5]);
        assert_eq!((it.run().free().count(), it.free_slots()), (2, rest + 3), "there is no place for a third range");
        assert_eq!(it.take_many(), [slots[1], slots[2], slots[3]]);
        let (next, slowly) = it.take();
        assert!(slowly && next == slots[7].wrapping_add(SIZE), "those that waited come before others");
        assert_eq!(it.free_slots(), rest - 1);
    }

    #[test]
    fn slots_of_earlier_runs_and_the_last_of_a_run_go_back() {
        let mut it = Fixture::new();
        let (first, _) = it.take();
        while it.free_slots() > 0 {
            it.take();
        }
        it.recycle(first);
        assert_eq!(it.take(), (first, false));
        // The next span: what lies in the one before is no business of this cache's.
        let (other, slowly) = it.take();
        assert!(slowly);
        let before = it.free_slots();
        it.recycle(first);
        assert_eq!(it.free_slots(), before);
        it.recycle(other);
        assert_eq!(it.free_slots(), before + 1);
        // SAFETY: as it says.
        unsafe { it.cache.recycle(NO_SPAN_CLASS, other, SIZE) };
        assert_eq!(it.free_slots(), before + 1);
    }

    #[test]
    fn a_flush_returns_both_ranges() {
        let mut it = Fixture::new();
        let slots: [_; 6] = it.take_many();
        it.recycle(slots[1]);
        it.recycle(slots[2]);
        let (taken, _) = it.take();
        assert_eq!((taken, it.run().free().count()), (slots[1], 2));
        let span = it.span();
        assert!(it.run().free().all(|range| range.step_by(SIZE).all(|slot| span.is_allocated(slot))));
        it.flush(false);
        let used = [0, 1, 3, 4, 5].map(|index| slots[index]);
        let taken = (0..span.slots()).map(|index| span.first_slot().wrapping_add(index * SIZE));
        assert!(taken.filter(|slot| span.is_allocated(slot.addr())).eq(used));
        assert_eq!(it.heap.account.used_objects(), 5);
        assert_eq!((it.heap.account.total_objects(), it.heap.account.freed_objects()), (7, 2));
        assert!(span.place() == Place::Central && it.run().span.is_null());
        // What comes first is free now is found first.
        assert_eq!(it.take_many(), [slots[2], slots[5].wrapping_add(SIZE)]);
    }

    /// However short the runs of a span are, the figures that threads share change when a span comes and when the cache is flushed.
    #[test]
    fn short_runs_are_told_of_together() {
        let mut it = Fixture::new();
        let (first, _) = it.take();
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
        it.recycle(slots[0]);
        let span = it.span();
        assert!(it.run().free().all(|range| range.step_by(SIZE).all(|slot| span.is_marked(slot))));
        it.flush(true);
        let marked =
            (0..span.slots()).map(|index| span.first_slot().addr() + index * SIZE).filter(|it| span.is_marked(*it));
        assert!(marked.eq([slots[1].addr(), slots[2].addr()]));
    }
}
