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

use super::{
    arena::{ARENA_PAGES, ARENA_SIZE, Arena, METADATA_PAGES, PAGE_SIZE, USABLE_PAGES},
    os,
    span::{RunState, Span},
};
use crate::sync::{AtomicPtr, Mutex, Ordering::Relaxed, lock};
use std::ptr::{NonNull, null_mut};

/// Objects of that many pages or more get a mapping of their own: 16 MiB.
pub(crate) const HUGE_PAGES: usize = (16 << 20) / PAGE_SIZE;

/// Pages that become accessible at a time, at least: 512 KiB.
const COMMIT_PAGES: usize = 64;
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
}

impl PageHeap {
    /// Not under loom: its atomics are neither made in constants nor valid as zeroed memory.
    #[cfg(not(graphgc_loom))]
    pub(crate) const fn new() -> Self {
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
            }),
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
        state.take(run, pages)
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
        let span = arena.span_at(METADATA_PAGES);
        span.set_run(METADATA_PAGES, pages);
        let state = &mut *lock(&self.state);
        link(&state.huge, arena);
        state.count_arena(arena);
        state.use_span(span);
        Some(span)
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

    pub(crate) fn stats(&self) -> PageHeapStats {
        lock(&self.state).stats
    }

    /// Calls `f` for every arena and every mapping of a huge object.
    ///
    /// The lock is held meanwhile, so `f` must be short and must not call the page heap. A huge one may be gone
    /// afterwards, unless the caller knows better.
    pub(crate) fn for_each_arena(&self, mut f: impl FnMut(&'static Arena)) {
        let state = lock(&self.state);
        arenas(&state.arenas).chain(arenas(&state.huge)).for_each(&mut f);
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
        if !self.commit(run.arena(), run.first_page() + pages) {
            self.insert(run);
            return None;
        }
        self.split(run, pages);
        self.use_span(run);
        Some(run)
    }

    /// Makes an arena accessible up to `end`, and some way further.
    fn commit(&mut self, arena: &Arena, end: usize) -> bool {
        let committed = arena.committed_pages.load(Relaxed);
        if end <= committed {
            return true;
        }
        let end = end.max(committed + COMMIT_PAGES).min(ARENA_PAGES);
        let size = (end - committed) * PAGE_SIZE;
        let Some(start) = NonNull::new(arena.page_address(committed)) else { return false };
        if !os::commit(start, size) {
            return false;
        }
        arena.committed_pages.store(end, Relaxed);
        self.stats.committed_bytes += size;
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
                let pages = discard(run, limit);
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
fn discard(run: &Span, limit: usize) -> usize {
    let clean = run.scavenged.load(Relaxed) as usize;
    let dirty = run.pages() - clean;
    let pages = dirty.min(limit);
    if pages > 0 {
        let first = run.first_page() + dirty - pages;
        if let Some(start) = NonNull::new(run.arena().page_address(first)) {
            // SAFETY: pages of a free run: nobody uses them while we hold the lock. They have been used, so they are
            // committed.
            unsafe { os::discard(start, pages * PAGE_SIZE) };
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

/// What free runs are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    pages: usize,
    address: usize,
}

impl Key {
    /// Above all runs.
    const MAX: Key = Key { pages: usize::MAX, address: usize::MAX };

    fn of(run: &Span) -> Key {
        Key { pages: run.pages(), address: run.start().addr() }
    }
}

/// A search tree by [`Key`] that is a heap by random priorities, so that its depth is logarithmic whatever the order
/// of changes.
///
/// A link is the root or a field of a record; a null link is an empty tree.
struct Treap {
    root: AtomicPtr<Span>,
}

/// The run that a link leads to.
fn follow(link: &AtomicPtr<Span>) -> Option<&'static Span> {
    // SAFETY: links lead to records of free runs; those are in arenas that are never unmapped.
    unsafe { link.load(Relaxed).as_ref() }
}

fn priority(run: &Span) -> u32 {
    run.priority.load(Relaxed)
}

impl Treap {
    /// Descends to where the priority says, and splits the tree there.
    fn insert(&mut self, run: &'static Span) {
        let key = Key::of(run);
        let mut link = &self.root;
        while let Some(here) = follow(link).filter(|here| priority(here) >= priority(run)) {
            link = if key < Key::of(here) { &here.left } else { &here.right };
        }
        let mut rest = follow(link);
        link.store(run.as_ptr(), Relaxed);
        let (mut less, mut more) = (&run.left, &run.right);
        while let Some(here) = rest {
            if Key::of(here) < key {
                less.store(here.as_ptr(), Relaxed);
                less = &here.right;
                rest = follow(less);
            } else {
                more.store(here.as_ptr(), Relaxed);
                more = &here.left;
                rest = follow(more);
            }
        }
        less.store(null_mut(), Relaxed);
        more.store(null_mut(), Relaxed);
    }

    /// Puts the two subtrees of the run, merged, where it was.
    fn remove(&mut self, run: &'static Span) {
        let key = Key::of(run);
        let mut link = &self.root;
        loop {
            let here = follow(link).expect("a free run is in the treap");
            if std::ptr::eq(here, run) {
                break;
            }
            link = if key < Key::of(here) { &here.left } else { &here.right };
        }
        let (mut less, mut more) = (follow(&run.left), follow(&run.right));
        while let (Some(left), Some(right)) = (less, more) {
            if priority(left) >= priority(right) {
                link.store(left.as_ptr(), Relaxed);
                link = &left.right;
                less = follow(link);
            } else {
                link.store(right.as_ptr(), Relaxed);
                link = &right.left;
                more = follow(link);
            }
        }
        link.store(less.or(more).map_or(null_mut(), Span::as_ptr), Relaxed);
    }

    /// The smallest run of at least `pages` pages, the lowest among equals.
    fn best_fit(&self, pages: usize) -> Option<&'static Span> {
        let (mut link, mut best) = (&self.root, None);
        while let Some(here) = follow(link) {
            link = if here.pages() >= pages {
                best = Some(here);
                &here.left
            } else {
                &here.right
            };
        }
        best
    }

    /// The last run before `key`.
    fn greatest_below(&self, key: Key) -> Option<&'static Span> {
        let (mut link, mut best) = (&self.root, None);
        while let Some(here) = follow(link) {
            link = if Key::of(here) < key {
                best = Some(here);
                &here.right
            } else {
                &here.left
            };
        }
        best
    }
}

/// Looking for damage. Uses the global allocator, so never inside an operation.
impl State {
    fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut seen = PageHeapStats::default();
        let in_treap = self.free.check(&mut wrong);
        let mut free_runs = 0;
        for arena in arenas(&self.arenas) {
            seen.add_mapping(arena);
            free_runs += check_arena(arena, &mut seen, &mut wrong);
        }
        if free_runs != in_treap {
            wrong.push(format!("{free_runs} free runs in arenas, {in_treap} in the treap"));
        }
        for arena in arenas(&self.huge) {
            seen.add_mapping(arena);
            let span = arena.span_at(METADATA_PAGES);
            seen.in_use_pages += span.pages();
            if span.state() != RunState::InUse || !arena.huge.load(Relaxed) {
                wrong.push(format!("huge mapping at {:p} without a span", arena.base()));
            }
        }
        if seen != self.stats {
            wrong.push(format!("accounts say {:?}, the pages {seen:?}", self.stats));
        }
        wrong
    }
}

impl PageHeapStats {
    fn add_mapping(&mut self, arena: &Arena) {
        self.arenas += 1;
        self.reserved_bytes += arena.reserved.load(Relaxed);
        self.committed_bytes += arena.committed_pages.load(Relaxed) * PAGE_SIZE;
    }
}

/// Walks the runs of an arena, adds them to `seen` and returns the number of free ones.
fn check_arena(arena: &'static Arena, seen: &mut PageHeapStats, wrong: &mut Vec<String>) -> usize {
    let (mut page, mut free_runs, mut after_free) = (METADATA_PAGES, 0, false);
    let mut complain = |page: usize, what: &str| wrong.push(format!("arena {:p}, page {page}: {what}", arena.base()));
    while page < ARENA_PAGES {
        let run = arena.span_at(page);
        let end = page + run.pages();
        if run.state() == RunState::Idle || run.first_page() != page || end == page || end > ARENA_PAGES {
            complain(page, "no run begins here");
            return free_runs;
        }
        if (page + 1..end).any(|inner| arena.span_at(inner).state() != RunState::Idle) {
            complain(page, "a record inside the run is not idle");
        }
        let is_free = run.state() == RunState::Free;
        if is_free {
            free_runs += 1;
            seen.free_pages += run.pages();
            seen.scavenged_pages += scavenged_and_committed(run);
            if after_free {
                complain(page, "two free runs side by side");
            }
            let clean = run.scavenged.load(Relaxed) as usize;
            if clean > run.pages() {
                complain(page, "more pages scavenged than there are");
            } else if clean < run.pages() && end - clean > arena.committed_pages.load(Relaxed) {
                complain(page, "pages that are not committed count as used");
            }
            if ![page, end - 1].iter().all(|end| std::ptr::eq(arena.span_of_page(*end), run)) {
                complain(page, "an end of the free run is not mapped to it");
            }
        } else {
            seen.in_use_pages += run.pages();
            if end > arena.committed_pages.load(Relaxed) {
                complain(page, "in use but not committed");
            }
            if !(page..end).all(|page| std::ptr::eq(arena.span_of_page(page), run)) {
                complain(page, "a page of the span is not mapped to it");
            }
        }
        after_free = is_free;
        page = end;
    }
    free_runs
}

impl Treap {
    /// Checks both orders and returns the number of runs.
    fn check(&self, wrong: &mut Vec<String>) -> usize {
        let lowest = Key { pages: 0, address: 0 };
        let mut runs = 0;
        let mut todo = vec![(follow(&self.root), lowest, Key::MAX, u32::MAX)];
        while let Some((subtree, above, below, limit)) = todo.pop() {
            let Some(run) = subtree else { continue };
            let key = Key::of(run);
            runs += 1;
            if !(above < key && key < below) {
                wrong.push(format!("treap: {key:?} is not between {above:?} and {below:?}"));
                return runs;
            }
            if priority(run) > limit {
                wrong.push(format!("treap: {key:?} is below a lesser priority"));
            }
            if run.state() != RunState::Free {
                wrong.push(format!("treap: {key:?} is not free"));
            }
            todo.push((follow(&run.left), above, key, priority(run)));
            todo.push((follow(&run.right), key, below, priority(run)));
        }
        runs
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::{os::fault, *};

    /// A page heap of a test's own, whose address space goes with it.
    struct TestHeap(PageHeap);

    impl std::ops::Deref for TestHeap {
        type Target = PageHeap;

        fn deref(&self) -> &PageHeap {
            &self.0
        }
    }

    impl Drop for TestHeap {
        fn drop(&mut self) {
            fault::allow();
            let state = lock(&self.0.state);
            let all: Vec<_> = arenas(&state.arenas).chain(arenas(&state.huge)).collect();
            for arena in all {
                let (base, reserved) = (NonNull::from(arena).cast(), arena.reserved.load(Relaxed));
                // SAFETY: the test is over and its heap with it.
                unsafe { os::release(base, reserved) };
            }
        }
    }

    fn heap() -> TestHeap {
        TestHeap(PageHeap::new())
    }

    fn checked(heap: &PageHeap) {
        assert_eq!(heap.check(), Vec::<String>::new());
    }

    /// Frees a span that the test has allocated and does not use again.
    fn free(heap: &PageHeap, span: &'static Span) {
        // SAFETY: the tests free what they allocate, once.
        unsafe { heap.free(span) };
        checked(heap);
    }

    fn allocate(heap: &PageHeap, pages: usize) -> &'static Span {
        let span = heap.allocate(pages).unwrap();
        assert_eq!((span.pages(), span.state()), (pages, RunState::InUse));
        checked(heap);
        span
    }

    /// Spans of these pages, side by side.
    fn allocate_all<const N: usize>(heap: &PageHeap, pages: [usize; N]) -> [&'static Span; N] {
        let spans = pages.map(|pages| allocate(heap, pages));
        assert!(spans.is_sorted_by_key(|span| span.start()));
        spans
    }

    /// The first and last byte of each page.
    fn ends(span: &Span) -> impl Iterator<Item = *mut u8> {
        let start = span.start();
        (0..span.pages())
            .flat_map(move |page| [page * PAGE_SIZE, (page + 1) * PAGE_SIZE - 1])
            .map(move |at| start.wrapping_add(at))
    }

    fn fill(span: &Span, byte: u8) {
        // SAFETY: the pages belong to the test as long as it has the span.
        ends(span).for_each(|at| unsafe { at.write(byte) });
    }

    fn holds(span: &Span, byte: u8) -> bool {
        // SAFETY: as in `fill`.
        ends(span).all(|at| unsafe { at.read() } == byte)
    }

    /// A reproducible sequence.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }
    }

    #[test]
    fn a_span_is_mapped_aligned_and_usable() {
        let heap = heap();
        checked(&heap);
        assert_eq!(heap.stats(), PageHeapStats::default());
        let span = allocate(&heap, 5);
        assert_eq!(span.first_page(), METADATA_PAGES);
        assert!(span.start().addr().is_multiple_of(PAGE_SIZE));
        assert!(holds(span, 0));
        fill(span, 3);
        let stats = heap.stats();
        assert_eq!((stats.arenas, stats.reserved_bytes), (1, ARENA_SIZE));
        assert_eq!((stats.in_use_pages, stats.free_pages), (5, USABLE_PAGES - 5));
        assert_eq!(stats.committed_bytes, (METADATA_PAGES + COMMIT_PAGES) * PAGE_SIZE);
        assert_eq!(stats.scavenged_pages, COMMIT_PAGES - 5);
        free(&heap, span);
        assert_eq!(heap.stats().in_use_pages, 0);
        assert_eq!(heap.stats().free_pages, USABLE_PAGES);
    }

    #[test]
    fn freed_neighbours_become_one_run_in_every_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let heap = heap();
            let spans = allocate_all(&heap, [3, 4, 5, 1]);
            order.iter().for_each(|n| free(&heap, spans[*n]));
            assert_eq!(allocate(&heap, 12).start(), spans[0].start());
            assert_eq!(allocate(&heap, 1).first_page(), METADATA_PAGES + 13);
        }
    }

    #[test]
    fn stale_map_entries_mislead_nobody() {
        let heap = heap();
        let [low, _fence, high] = allocate_all(&heap, [4, 1, 4]);
        free(&heap, low);
        // `low` becomes two spans; the record that the old map names is free again while the page before is in use.
        let [first, second] = allocate_all(&heap, [2, 2]);
        free(&heap, first);
        free(&heap, high);
        assert_eq!(second.state(), RunState::InUse);
        free(&heap, second);
    }

    #[test]
    fn the_smallest_run_that_fits_is_taken() {
        let heap = heap();
        let spans = allocate_all(&heap, [9, 1, 4, 1, 6, 1, 5, 1]);
        [0, 2, 4, 6].iter().for_each(|n| free(&heap, spans[*n]));
        let starts = [5, 5, 4, 9].map(|pages| allocate(&heap, pages).first_page());
        // The second 5 comes from the run of 6.
        assert_eq!(starts, [6, 4, 2, 0].map(|n| spans[n].first_page()));
    }

    #[test]
    fn the_lowest_among_equals_is_taken() {
        let heap = heap();
        let spans = allocate_all(&heap, [3, 1, 3, 1, 3, 1, 3, 1]);
        [4, 0, 6, 2].iter().for_each(|n| free(&heap, spans[*n]));
        let starts = [2, 3, 3, 3].map(|pages| allocate(&heap, pages).first_page());
        assert_eq!(starts, [0, 2, 4, 6].map(|n| spans[n].first_page()));
    }

    #[test]
    fn arenas_are_used_to_the_last_page() {
        let heap = heap();
        let whole = allocate(&heap, USABLE_PAGES);
        fill(whole, 1);
        assert_eq!(heap.stats().committed_bytes, ARENA_SIZE);
        let other = allocate(&heap, 1);
        assert_eq!(heap.stats().arenas, 2);
        assert!(holds(whole, 1));
        assert!(heap.allocate(USABLE_PAGES + 1).is_none());
        free(&heap, whole);
        free(&heap, other);
        assert_eq!(heap.stats().free_pages, 2 * USABLE_PAGES);
        let mut arenas = 0;
        heap.for_each_arena(|arena| {
            arenas += 1;
            assert!(arena.span_at(METADATA_PAGES).pages() == USABLE_PAGES);
        });
        assert_eq!(arenas, 2);
    }

    /// Which run must be taken, by looking at each page of one arena.
    fn expected(used: &[bool], pages: usize) -> Option<usize> {
        let mut runs = Vec::new();
        let mut start = 0;
        for page in 0..=used.len() {
            if page == used.len() || used[page] {
                if page - start >= pages {
                    runs.push((page - start, start));
                }
                start = page + 1;
            }
        }
        runs.into_iter().min().map(|(_, start)| start)
    }

    #[test]
    fn agrees_with_a_page_by_page_model() {
        for seed in 0..6 {
            let (heap, mut random) = (heap(), Random(seed));
            let mut used = vec![false; USABLE_PAGES];
            let mut live: Vec<(&'static Span, u8)> = Vec::new();
            // Large spans fill the arena now and then, small ones fragment it.
            let largest = [4, 40, 400][seed as usize % 3];
            for step in 0..1500 {
                if random.below(5) < if step % 500 < 300 { 3 } else { 2 } {
                    let pages = 1 + random.below(largest);
                    let Some(start) = expected(&used, pages) else { continue };
                    let span = heap.allocate(pages).unwrap();
                    assert_eq!(span.first_page() - METADATA_PAGES, start);
                    used[start..start + pages].fill(true);
                    fill(span, step as u8);
                    live.push((span, step as u8));
                } else if !live.is_empty() {
                    let (span, byte) = live.swap_remove(random.below(live.len()));
                    assert!(holds(span, byte));
                    let start = span.first_page() - METADATA_PAGES;
                    used[start..start + span.pages()].fill(false);
                    // SAFETY: allocated above and freed once.
                    unsafe { heap.free(span) };
                }
                if step % 100 == 0 {
                    heap.scavenge(random.below(3) as u32, random.below(500));
                }
                checked(&heap);
            }
            assert_eq!(heap.stats().arenas, 1);
            live.drain(..).for_each(|(span, byte)| {
                assert!(holds(span, byte));
                free(&heap, span);
            });
            assert_eq!(heap.stats().free_pages, USABLE_PAGES);
        }
    }

    #[test]
    fn the_treap_stays_shallow() {
        let heap = heap();
        let spans: Vec<_> = (0..USABLE_PAGES).map(|_| heap.allocate(1).unwrap()).collect();
        // Equal sizes in ascending order: the worst for a tree without balance.
        // SAFETY: allocated above, freed once.
        spans.iter().step_by(2).for_each(|span| unsafe { heap.free(span) });
        checked(&heap);
        let state = lock(&heap.state);
        let (mut deepest, mut todo) = (0, vec![(follow(&state.free.root), 0)]);
        while let Some((subtree, depth)) = todo.pop() {
            let Some(run) = subtree else { continue };
            deepest = deepest.max(depth);
            todo.extend([&run.left, &run.right].map(|link| (follow(link), depth + 1)));
        }
        assert!(deepest < 60, "depth {deepest} for {} runs", spans.len() / 2);
    }

    #[test]
    fn huge_objects_have_mappings_of_their_own() {
        let heap = heap();
        let beyond = ARENA_PAGES + 100;
        let spans = [HUGE_PAGES, USABLE_PAGES, beyond].map(|pages| {
            let span = heap.allocate_huge(pages).unwrap();
            checked(&heap);
            assert_eq!((span.first_page(), span.pages(), span.state()), (METADATA_PAGES, pages, RunState::InUse));
            assert!(std::ptr::eq(Arena::containing(span.start()), span.arena()));
            assert!(std::ptr::eq(span.arena().span_of_page(METADATA_PAGES), span));
            fill(span, 5);
            span
        });
        let small = allocate(&heap, 3);
        let stats = heap.stats();
        assert_eq!(stats.arenas, 4);
        assert_eq!(stats.in_use_pages, HUGE_PAGES + USABLE_PAGES + beyond + 3);
        let mut visited = 0;
        heap.for_each_arena(|_| visited += 1);
        assert_eq!(visited, 4);
        // The middle one of the list, the first, the last.
        [1, 2, 0].iter().for_each(|n| free(&heap, spans[*n]));
        free(&heap, small);
        let stats = heap.stats();
        assert_eq!((stats.arenas, stats.reserved_bytes, stats.in_use_pages), (1, ARENA_SIZE, 0));
        assert!(heap.allocate_huge(usize::MAX).is_none());
        assert!(heap.allocate_huge(u32::MAX as usize).is_none_or(|span| {
            free(&heap, span);
            true
        }));
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let heap = heap();
        for nth in 1..=3 {
            // Reservation, commit of the metadata, commit of the pages.
            fault::refuse_nth(nth);
            assert!(heap.allocate(10).is_none());
            checked(&heap);
            assert_eq!(heap.stats().in_use_pages, 0);
            assert_eq!(heap.stats().arenas, usize::from(nth == 3));
        }
        let first = allocate(&heap, 10);
        fault::refuse_from(1);
        let second = allocate(&heap, COMMIT_PAGES - 10);
        assert!(heap.allocate(1).is_none());
        checked(&heap);
        free(&heap, first);
        assert_eq!(allocate(&heap, 10).start(), first.start(), "what is committed is still there");
        fault::allow();
        fill(second, 2);
        assert_eq!(allocate(&heap, 1).first_page(), METADATA_PAGES + COMMIT_PAGES);
        for nth in 1..=2 {
            fault::refuse_nth(nth);
            assert!(heap.allocate_huge(HUGE_PAGES).is_none());
            checked(&heap);
        }
        assert_eq!(heap.stats().arenas, 1);
    }

    #[test]
    fn idle_runs_are_given_back() {
        let heap = heap();
        let [idle, _fence, fresh, _end] = allocate_all(&heap, [100, 1, 30, 1]);
        fill(idle, 1);
        fill(fresh, 1);
        free(&heap, idle);
        let untouched = heap.stats().scavenged_pages;
        assert_eq!(heap.scavenge(2, usize::MAX), 0);
        free(&heap, fresh);
        assert_eq!(heap.scavenge(2, 70), 70, "no more than allowed");
        checked(&heap);
        assert_eq!(heap.scavenge(3, usize::MAX), 30, "the other has not been idle for long enough");
        checked(&heap);
        assert_eq!(heap.scavenge(3, usize::MAX), 30);
        assert_eq!(heap.scavenge(0, usize::MAX), 0, "nothing is given back twice");
        assert_eq!(heap.stats().scavenged_pages - untouched, 130);
        let again = allocate(&heap, 100);
        assert_eq!(again.start(), idle.start());
        assert_eq!(heap.stats().scavenged_pages - untouched, 30);
        fill(again, 4);
        assert!(holds(again, 4));
    }

    #[test]
    fn joined_and_split_runs_know_what_has_been_given_back() {
        let heap = heap();
        let [a, b, _end] = allocate_all(&heap, [10, 20, 1]);
        let untouched = heap.stats().scavenged_pages;
        let scavenged = || heap.stats().scavenged_pages - untouched;
        free(&heap, b);
        assert_eq!(heap.scavenge(0, usize::MAX), 20);
        free(&heap, a);
        assert_eq!(scavenged(), 20, "the end of the joined run");
        assert_eq!(heap.scavenge(0, usize::MAX), 10);
        let part = allocate(&heap, 12);
        assert_eq!(scavenged(), 18);
        free(&heap, part);
        assert_eq!(heap.scavenge(0, usize::MAX), 12);
    }

    #[test]
    fn a_joined_run_is_as_old_as_its_larger_part() {
        let heap = heap();
        let [large, small, _end] = allocate_all(&heap, [50, 2, 1]);
        free(&heap, large);
        assert_eq!(heap.scavenge(3, 0), 0);
        assert_eq!(heap.scavenge(3, 0), 0);
        free(&heap, small);
        assert_eq!(heap.scavenge(3, usize::MAX), 52);
    }

    #[test]
    fn threads_share_it() {
        let heap = heap();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let heap = &heap;
                scope.spawn(move || {
                    let mut random = Random(thread.into());
                    let mut live = Vec::new();
                    for _ in 0..2000 {
                        if random.below(2) == 0 {
                            let span = heap.allocate(1 + random.below(20)).unwrap();
                            fill(span, thread);
                            live.push(span);
                        } else if let Some(span) = live.pop() {
                            assert!(holds(span, thread));
                            // SAFETY: ours, freed once.
                            unsafe { heap.free(span) };
                        }
                        if random.below(100) == 0 {
                            heap.scavenge(1, 100);
                        }
                    }
                    // SAFETY: ours, freed once.
                    live.iter().for_each(|span| unsafe { heap.free(span) });
                });
            }
        });
        checked(&heap);
        let stats = heap.stats();
        assert_eq!((stats.in_use_pages, stats.free_pages), (0, stats.arenas * USABLE_PAGES));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn arenas_have_names() {
        let heap = heap();
        let span = allocate(&heap, 1);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let name_at = |ptr: *const u8| {
            let covers = |line: &&str| {
                let (start, rest) = line.split_once('-').unwrap();
                let bound = |hex| usize::from_str_radix(hex, 16).unwrap();
                (bound(start)..bound(rest.split_once(' ').unwrap().0)).contains(&ptr.addr())
            };
            maps.lines().find(covers).unwrap()
        };
        // A kernel without names shows none at all.
        if maps.contains("[anon:graphgc") {
            assert!(name_at(span.start()).ends_with("[anon:graphgc heap]"));
            assert!(name_at(span.arena().page_address(ARENA_PAGES - 1)).ends_with("[anon:graphgc heap]"));
            assert!(name_at(span.arena().base()).ends_with("[anon:graphgc metadata]"));
        }
    }
}
