//! Looking for damage. Uses the global allocator, so never inside an operation.

use super::{PageHeapStats, State, arenas, scavenged_and_committed};
use crate::{
    heap::{
        arena::{ARENA_PAGES, Arena, METADATA_PAGES, PAGE_SIZE},
        span::RunState,
    },
    sync::Ordering::Relaxed,
};

impl State {
    pub(super) fn check(&self) -> Vec<String> {
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
