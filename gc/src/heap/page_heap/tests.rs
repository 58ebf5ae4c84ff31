//! The page heap against a model, and its corners.

use super::{os::fault, treap::follow, *};
use crate::random::Random;

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

/// A heap of some size grows by whole large pages, if it may; what lies in them is as any memory.
#[test]
fn a_large_heap_grows_by_large_pages() {
    for on in [false, true] {
        let heap = heap();
        heap.use_large_pages(on);
        let first = allocate(&heap, LARGE_PAGES_FROM - 1);
        assert_ne!((first.first_page() + first.pages()) % LARGE_PAGE, 0);
        let committed = heap.stats().committed_bytes;
        let small = allocate(&heap, COMMIT_PAGES + 1);
        assert_eq!(heap.stats().committed_bytes, committed + (COMMIT_PAGES + 1) * PAGE_SIZE);
        let spans = allocate_all(&heap, [1, LARGE_PAGE, 3]);
        assert_eq!(heap.stats().committed_bytes.is_multiple_of(LARGE_PAGE * PAGE_SIZE), on);
        assert_eq!(heap.stats().scavenged_pages == 0, on, "all of a large page is memory");
        assert!(spans.iter().all(|span| holds(span, 0)));
        spans.iter().for_each(|span| fill(span, 7));
        let huge = heap.allocate_huge(HUGE_PAGES).unwrap();
        assert!(holds(huge, 0) && spans.iter().all(|span| holds(span, 7)));
        spans.into_iter().chain([first, small, huge]).for_each(|span| free(&heap, span));
    }
}

/// What does not get a large page gets as much as it needs.
#[test]
fn a_large_page_that_is_refused_is_none_that_is_needed() {
    let heap = heap();
    heap.use_large_pages(true);
    let spans = allocate_all(&heap, [LARGE_PAGES_FROM - 1, COMMIT_PAGES + 1]);
    let committed = heap.stats().committed_bytes;
    fault::refuse_nth(1);
    let span = allocate(&heap, 1);
    assert!(!fault::is_to_come());
    assert_eq!(heap.stats().committed_bytes, committed + COMMIT_PAGES * PAGE_SIZE);
    fault::refuse_from(1);
    assert!(heap.allocate(COMMIT_PAGES).is_none());
    fault::allow();
    fill(span, 7);
    spans.into_iter().chain([span]).for_each(|span| free(&heap, span));
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
    let state = lock(&heap.state);
    assert!(arenas(&state.arenas).all(|arena| arena.span_at(METADATA_PAGES).pages() == USABLE_PAGES));
    assert_eq!(arenas(&state.arenas).count(), 2);
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
    {
        let state = lock(&heap.state);
        assert_eq!(arenas(&state.arenas).count() + arenas(&state.huge).count(), 4);
    }
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
