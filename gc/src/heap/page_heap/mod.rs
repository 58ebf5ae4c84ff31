//! The page heap: arenas cut into runs of pages, in use (spans) or free.
//!
//! Free runs are the nodes of a treap ordered by (pages, address), so that the smallest run that is large enough, and
//! among equals the lowest, is found by one descent. Taking that one keeps large runs whole and, over time, the ends
//! of arenas empty. The nodes are the runs' own records, hence nothing is allocated here but arenas, from the OS.
//!
//! What always holds while the lock is free:
//! - the pages of an arena behind its metadata are divided into runs without gap or overlap; the record of a run's
//!   first page says *free* or *in use*, all other records say *idle*;
//! - no two free runs are neighbours: freeing joins them. The right neighbour is found by its record; the left one by
//!   the page map, which is valid at the last page of a free run. The map may be stale elsewhere, so what it leads to
//!   is believed only if that record says *free* and its run ends where ours begins;
//! - pages beyond `committed_pages` have never been used, so they are part of the arena's last run, which is free;
//! - the last `scavenged` pages of a free run hold no memory. What a joined run knows of its parts is what this one
//!   number can tell; pages it forgets are given back once more, which is harmless.
//!
//! An arena is never given back. A huge object has a mapping of its own, with an arena's head, which is unmapped when
//! it is freed.
//!
//! The lock is a leaf: nothing else is locked while it is held, and nothing of a user's is called.

mod check;
#[cfg(all(test, not(graphgc_loom)))]
mod tests;
mod treap;

use super::{
    arena::{ARENA_PAGES, ARENA_SIZE, Arena, METADATA_PAGES, PAGE_SIZE, USABLE_PAGES},
    os, poison,
    span::{RunState, Span},
};
use crate::sync::{AtomicPtr, Mutex, Ordering::Relaxed, const_fn, lock};
use std::{
    ptr::{NonNull, null_mut},
    sync::atomic::AtomicUsize,
};
use treap::{Key, Treap};

/// Objects of that many pages or more get a mapping of their own: 16 MiB.
pub(crate) const HUGE_PAGES: usize = (16 << 20) / PAGE_SIZE;

/// Pages that become accessible at a time, at least: 512 KiB.
const COMMIT_PAGES: usize = 64;
/// What the largest pages of the OS that are worth asking for have of ours: 2 MiB.
const LARGE_PAGE: usize = (2 << 20) / PAGE_SIZE;
/// Pages in use from which on large pages of the OS are asked for: 16 MiB. The rest of one, which is memory from the first touch on, counts for little then.
const LARGE_PAGES_FROM: usize = (16 << 20) / PAGE_SIZE;
/// Pages that are given back while the lock is held once, at most.
const SCAVENGE_PAGES: usize = 64;
/// Free runs that are looked at while the lock is held once, at most.
const SCAVENGE_RUNS: usize = 128;

const METADATA_SIZE: usize = METADATA_PAGES * PAGE_SIZE;

/// Figures of the page heap at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct PageHeapStats {
    /// Arenas, and mappings of huge objects.
    pub(crate) arenas: usize,
    /// Bytes of address space.
    pub(crate) reserved_bytes: usize,
    /// Bytes that are accessible, metadata included.
    pub(crate) committed_bytes: usize,
    /// Pages of spans, huge ones included.
    pub(crate) in_use_pages: usize,
    /// Pages of free runs.
    pub(crate) free_pages: usize,
    /// Free pages that are accessible but hold no memory: given back, or committed and not used yet.
    pub(crate) scavenged_pages: usize,
}

/// See the module's head.
pub(crate) struct PageHeap {
    state: Mutex<State>,
    /// The large page that was asked for last, if nobody has touched it ahead: its address, or 0. A hint.
    untouched: AtomicUsize,
}

struct State {
    free: Treap,
    /// Arenas, newest first.
    arenas: AtomicPtr<Arena>,
    /// Mappings of huge objects, newest first.
    huge: AtomicPtr<Arena>,
    stats: PageHeapStats,
    /// Counts calls of `scavenge`.
    clock: u32,
    /// Where the treap's priorities come from; never 0.
    random: u32,
    /// The OS may be asked for large pages.
    large_pages: bool,
    /// Where one begins that has just been asked for; else 0.
    new_large_page: usize,
}

impl PageHeap {
    const_fn! {
        pub(crate) fn new() -> Self {
            PageHeap {
                state: Mutex::new(State {
                    free: Treap { root: AtomicPtr::new(null_mut()) },
                    arenas: AtomicPtr::new(null_mut()),
                    huge: AtomicPtr::new(null_mut()),
                    stats: PageHeapStats {
                        arenas: 0,
                        reserved_bytes: 0,
                        committed_bytes: 0,
                        in_use_pages: 0,
                        free_pages: 0,
                        scavenged_pages: 0,
                    },
                    clock: 0,
                    random: 0x9E37_79B9,
                    large_pages: false,
                    new_large_page: 0,
                }),
                untouched: AtomicUsize::new(0),
            }
        }
    }

    /// A span of `pages` pages, in the smallest free run that is large enough, or in a further arena. `None` if the
    /// OS refuses memory, or if no arena has that many pages.
    ///
    /// Content and bitmaps are as earlier use has left them.
    pub(crate) fn allocate(&self, pages: usize) -> Option<&'static Span> {
        debug_assert!(pages > 0);
        let state = &mut *lock(&self.state);
        let run = match state.free.best_fit(pages) {
            Some(run) => run,
            None if pages <= USABLE_PAGES => state.add_arena()?,
            None => return None,
        };
        let span = state.take(run, pages);
        if state.new_large_page != 0 {
            self.untouched.store(std::mem::take(&mut state.new_large_page), Relaxed);
        }
        span
    }

    /// Whether the next use of a large page will be the first, which takes the OS some time.
    #[inline]
    pub(crate) fn is_untouched(&self) -> bool {
        self.untouched.load(Relaxed) != 0
    }

    /// Has that page touched by the OS alone. For outside operations.
    #[cold]
    pub(crate) fn touch_ahead(&self) {
        let page = NonNull::new(std::ptr::with_exposed_provenance_mut(self.untouched.swap(0, Relaxed)));
        page.into_iter().for_each(|page| os::touch(page, LARGE_PAGE * PAGE_SIZE));
    }

    /// A span of `pages` pages in a mapping of its own. `None` if the OS refuses. Only the part in the mapping's
    /// first 64 MiB is known to the page map and the bitmaps.
    pub(crate) fn allocate_huge(&self, pages: usize) -> Option<&'static Span> {
        debug_assert!(pages > 0);
        // A record counts pages in 32 bits.
        u32::try_from(pages).ok()?;
        let total = pages.checked_add(METADATA_PAGES)?;
        let arena = map_arena(total.checked_mul(PAGE_SIZE)?, total)?;
        arena.huge.store(true, Relaxed);
        if lock(&self.state).large_pages {
            arena.back(METADATA_PAGES..total, os::Backing::Large);
        }
        let span = arena.span_at(METADATA_PAGES);
        span.set_run(METADATA_PAGES, pages);
        let state = &mut *lock(&self.state);
        link(&state.huge, arena);
        state.count_arena(arena);
        state.use_span(span);
        Some(span)
    }

    /// From now on the OS is asked for large pages, or not.
    pub(crate) fn use_large_pages(&self, on: bool) {
        lock(&self.state).large_pages = on;
    }

    /// Takes a span back: its pages join the free runs beside them, or its mapping goes.
    ///
    /// # Safety
    /// The span comes from this page heap, is in use, and nobody uses it, its pages or its record any more.
    pub(crate) unsafe fn free(&self, span: &'static Span) {
        debug_assert_eq!(span.state(), RunState::InUse);
        let arena = span.arena();
        let mut state = lock(&self.state);
        state.stats.in_use_pages -= span.pages();
        if arena.huge.load(Relaxed) {
            state.forget_huge(arena);
            // Unmapping takes its time.
            drop(state);
            let (base, reserved) = (NonNull::from(arena).cast(), arena.reserved.load(Relaxed));
            // SAFETY: the mapping is in no list any more, and nobody uses the only span in it.
            unsafe { os::release(base, reserved) };
        } else {
            poison::poison_pages(span);
            state.join(span);
        }
    }

    /// Gives free runs back to the OS that have been idle for `idle_ticks` calls of this, at most `max_pages` pages,
    /// the largest runs first. A run freed since the call before has been idle for one. Returns the pages given back.
    ///
    /// Allocation is kept waiting for short slices only.
    pub(crate) fn scavenge(&self, idle_ticks: u32, max_pages: usize) -> usize {
        lock(&self.state).tick();
        let (mut below, mut given) = (Key::MAX, 0);
        while given < max_pages {
            let limit = SCAVENGE_PAGES.min(max_pages - given);
            match lock(&self.state).scavenge_slice(&mut below, idle_ticks, limit) {
                Some(pages) => given += pages,
                None => break,
            }
        }
        given
    }

    /// Calls `f` with every arena, huge ones included. `f` must not come back here.
    pub(crate) fn for_each_arena(&self, f: impl FnMut(&'static Arena)) {
        let state = lock(&self.state);
        arenas(&state.arenas).chain(arenas(&state.huge)).for_each(f);
    }

    pub(crate) fn stats(&self) -> PageHeapStats {
        lock(&self.state).stats
    }

    /// What is wrong with the page heap, for the verifier and tests.
    pub(crate) fn check(&self) -> Vec<String> {
        lock(&self.state).check()
    }
}

impl State {
    /// Adds an arena and returns its only run, which is free.
    fn add_arena(&mut self) -> Option<&'static Span> {
        let arena = map_arena(ARENA_SIZE, METADATA_PAGES)?;
        link(&self.arenas, arena);
        self.count_arena(arena);
        let run = arena.span_at(METADATA_PAGES);
        run.set_run(METADATA_PAGES, USABLE_PAGES);
        run.scavenged.store(USABLE_PAGES as u32, Relaxed);
        run.freed_at.store(self.clock, Relaxed);
        self.insert(run);
        Some(run)
    }

    fn count_arena(&mut self, arena: &Arena) {
        self.stats.arenas += 1;
        self.stats.reserved_bytes += arena.reserved.load(Relaxed);
        self.stats.committed_bytes += arena.committed_pages.load(Relaxed) * PAGE_SIZE;
    }

    fn forget_huge(&mut self, arena: &'static Arena) {
        unlink(&self.huge, arena);
        self.stats.arenas -= 1;
        self.stats.reserved_bytes -= arena.reserved.load(Relaxed);
        self.stats.committed_bytes -= arena.committed_pages.load(Relaxed) * PAGE_SIZE;
    }

    /// Makes the first `pages` pages of a free run a span. If the OS refuses memory for them, the run stays as it is.
    fn take(&mut self, run: &'static Span, pages: usize) -> Option<&'static Span> {
        self.remove(run);
        if !self.commit(run, run.first_page() + pages) {
            self.insert(run);
            return None;
        }
        self.split(run, pages);
        self.use_span(run);
        poison::unpoison_pages(run);
        Some(run)
    }

    /// Makes a free run, which is not in the treap, accessible up to page `end`, and some way further.
    ///
    /// In a heap of some size the OS is asked to back what is new with large pages, which it does at the first touch: random access to objects then misses the
    /// processor's address cache less often, and fewer faults are taken. So all that is new holds memory as soon as some of it is used.
    fn commit(&mut self, run: &Span, end: usize) -> bool {
        let arena = run.arena();
        let committed = arena.committed_pages.load(Relaxed);
        if end <= committed {
            return true;
        }
        let Some(start) = NonNull::new(arena.page_address(committed)) else { return false };
        let least = end.max(committed + COMMIT_PAGES).min(ARENA_PAGES);
        let whole = least.next_multiple_of(LARGE_PAGE).min(ARENA_PAGES);
        let large = self.large_pages
            && self.stats.in_use_pages >= LARGE_PAGES_FROM
            && os::commit(start, (whole - committed) * PAGE_SIZE);
        if !large && !os::commit(start, (least - committed) * PAGE_SIZE) {
            return false;
        }
        let end = if large { whole } else { least };
        if large {
            arena.back(committed..end, os::Backing::Large);
            if (committed % LARGE_PAGE, end - committed) == (0, LARGE_PAGE) {
                self.new_large_page = start.addr().get();
            }
            // Beyond `committed_pages` it is the arena's last run.
            run.scavenged.store((ARENA_PAGES - end) as u32, Relaxed);
        }
        arena.committed_pages.store(end, Relaxed);
        self.stats.committed_bytes += (end - committed) * PAGE_SIZE;
        true
    }

    /// Cuts a run that is not in the treap down to `pages` pages; the rest is a free run.
    fn split(&mut self, run: &'static Span, pages: usize) {
        let (first, rest) = (run.first_page() + pages, run.pages() - pages);
        if rest > 0 {
            let remainder = run.arena().span_at(first);
            remainder.set_run(first, rest);
            remainder.scavenged.store(run.scavenged.load(Relaxed).min(rest as u32), Relaxed);
            remainder.freed_at.store(run.freed_at.load(Relaxed), Relaxed);
            self.insert(remainder);
            run.set_run(run.first_page(), pages);
        }
    }

    fn use_span(&mut self, span: &'static Span) {
        span.set_state(RunState::InUse);
        span.arena().map_span(span.first_page(), span.pages());
        self.stats.in_use_pages += span.pages();
    }

    /// Makes a span a free run, together with the free runs on both sides.
    fn join(&mut self, span: &'static Span) {
        span.set_state(RunState::Idle);
        span.scavenged.store(0, Relaxed);
        span.freed_at.store(self.clock, Relaxed);
        let mut run = span;
        if let Some(left) = free_run_before(span) {
            self.remove(left);
            run = absorb(left, span);
        }
        if let Some(right) = free_run_after(run) {
            self.remove(right);
            run = absorb(run, right);
        }
        self.insert(run);
    }

    /// Makes a run free and findable.
    fn insert(&mut self, run: &'static Span) {
        run.set_state(RunState::Free);
        run.arena().map_free_run(run.first_page(), run.pages());
        run.priority.store(self.next_random(), Relaxed);
        self.free.insert(run);
        self.stats.free_pages += run.pages();
        self.stats.scavenged_pages += scavenged_and_committed(run);
    }

    /// Takes a free run out of the treap; what it is now is the caller's business.
    fn remove(&mut self, run: &'static Span) {
        self.free.remove(run);
        run.set_state(RunState::Idle);
        self.stats.free_pages -= run.pages();
        self.stats.scavenged_pages -= scavenged_and_committed(run);
    }

    fn tick(&mut self) {
        self.clock = self.clock.wrapping_add(1);
    }

    /// Looks at free runs in descending order from `below` on and gives back up to `limit` pages of the first that
    /// has some to give. `None` when there are no more runs.
    fn scavenge_slice(&mut self, below: &mut Key, idle_ticks: u32, limit: usize) -> Option<usize> {
        for _ in 0..SCAVENGE_RUNS {
            let run = self.free.greatest_below(*below)?;
            if self.clock.wrapping_sub(run.freed_at.load(Relaxed)) >= idle_ticks {
                let pages = discard(run, limit, self.large_pages);
                if pages > 0 {
                    // The run stays next: it may have more to give.
                    self.stats.scavenged_pages += pages;
                    return Some(pages);
                }
            }
            *below = Key::of(run);
        }
        Some(0)
    }

    /// Xorshift (Marsaglia 2003): enough to keep the treap balanced, since nobody can aim at it.
    fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

/// Maps an arena of `size` bytes whose first `committed` pages are accessible.
fn map_arena(size: usize, committed: usize) -> Option<&'static Arena> {
    let base = os::reserve(size, ARENA_SIZE)?;
    if !os::commit(base, committed * PAGE_SIZE) {
        // SAFETY: nobody has seen it.
        unsafe { os::release(base, size) };
        return None;
    }
    // SAFETY: the metadata is smaller than the mapping.
    let objects = unsafe { base.add(METADATA_SIZE) };
    os::name(base, METADATA_SIZE, c"graphgc metadata");
    os::name(objects, size - METADATA_SIZE, c"graphgc heap");
    #[cfg(graphgc_loom)]
    // SAFETY: our own mapping.
    unsafe {
        base.cast::<Arena>().write(Arena::default());
    }
    // SAFETY: zeroed memory, aligned to more than an arena's head needs, is a valid head. It stays mapped while
    // anything in the arena is used.
    let arena = unsafe { base.cast::<Arena>().as_ref() };
    arena.reserved.store(size, Relaxed);
    arena.committed_pages.store(committed, Relaxed);
    Some(arena)
}

/// Puts an arena at the front of a list.
fn link(list: &AtomicPtr<Arena>, arena: &'static Arena) {
    arena.next.store(list.load(Relaxed), Relaxed);
    list.store(arena.base().cast(), Relaxed);
}

/// Takes an arena out of the list that it is in.
fn unlink(list: &AtomicPtr<Arena>, arena: &'static Arena) {
    let next = arena.next.load(Relaxed);
    let before = arenas(list).find(|other| other.next.load(Relaxed).cast() == arena.base());
    before.map_or(list, |before| &before.next).store(next, Relaxed);
}

/// The arenas of a list. The caller holds the lock meanwhile.
fn arenas(list: &AtomicPtr<Arena>) -> impl Iterator<Item = &'static Arena> {
    // SAFETY: arenas are mapped as long as they are in a list, and the lock keeps them there.
    let follow = |link: &AtomicPtr<Arena>| unsafe { link.load(Relaxed).as_ref::<'static>() };
    std::iter::successors(follow(list), move |arena| follow(&arena.next))
}

/// The free run that ends where `run` begins.
fn free_run_before(run: &'static Span) -> Option<&'static Span> {
    let first = run.first_page();
    if first == METADATA_PAGES {
        return None;
    }
    let left = run.arena().span_of_page(first - 1);
    (left.state() == RunState::Free && left.first_page() + left.pages() == first).then_some(left)
}

/// The free run that begins where `run` ends.
fn free_run_after(run: &'static Span) -> Option<&'static Span> {
    let end = run.first_page() + run.pages();
    if end == ARENA_PAGES {
        return None;
    }
    let right = run.arena().span_at(end);
    (right.state() == RunState::Free).then_some(right)
}

/// Makes two neighbouring runs one, described by the left one's record. It has been idle for as long as its larger
/// part.
fn absorb(left: &'static Span, right: &'static Span) -> &'static Span {
    let clean = right.scavenged.load(Relaxed);
    let all_clean = clean as usize == right.pages();
    let before = if all_clean { left.scavenged.load(Relaxed) } else { 0 };
    if right.pages() > left.pages() {
        left.freed_at.store(right.freed_at.load(Relaxed), Relaxed);
    }
    left.scavenged.store(before + clean, Relaxed);
    left.set_run(left.first_page(), left.pages() + right.pages());
    left
}

/// Gives up to `limit` pages of a free run back, the last first, and says how many.
fn discard(run: &Span, limit: usize, large_pages: bool) -> usize {
    let clean = run.scavenged.load(Relaxed) as usize;
    let dirty = run.pages() - clean;
    let pages = dirty.min(limit);
    if pages > 0 {
        let first = run.first_page() + dirty - pages;
        if let Some(start) = NonNull::new(run.arena().page_address(first)) {
            // SAFETY: pages of a free run: nobody uses them while we hold the lock. They have been used, or belong to a large page of which some has been, so they are
            // committed.
            unsafe { os::discard(start, pages * PAGE_SIZE) };
            if large_pages {
                // Or the OS would bring them back to make a large page whole again.
                let around = first / LARGE_PAGE * LARGE_PAGE..(first + pages).next_multiple_of(LARGE_PAGE);
                let committed = run.arena().committed_pages.load(Relaxed);
                run.arena().back(around.start.max(METADATA_PAGES)..around.end.min(committed), os::Backing::AsItIs);
            }
        }
        run.scavenged.store((clean + pages) as u32, Relaxed);
    }
    pages
}

/// How many pages of a free run hold no memory though they are accessible.
fn scavenged_and_committed(run: &Span) -> usize {
    let end = run.first_page() + run.pages();
    let clean_from = end - run.scavenged.load(Relaxed) as usize;
    run.arena().committed_pages.load(Relaxed).clamp(clean_from, end) - clean_from
}
