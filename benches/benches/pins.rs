//! What pinned access costs beside raw pointers, and the pin itself.
//!
//! `cargo bench -p graphgc-benches --bench pins`. After the groups of criterion it prints the ratios that matter, each the median of
//! many short runs of both contestants taken in turns, so that a busy machine slows both alike.

use criterion::{Criterion, criterion_group};
use graphgc::{Gc, GcCell, Guard, Local, Trace, pin};
use std::{
    hint::black_box,
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering::SeqCst},
    time::Instant,
};

/// Nodes that fit the first-level cache, and nodes that no cache holds.
const SIZES: [(&str, usize); 2] = [("in cache", 1_000), ("out of cache", 4_000_000)];

#[derive(Trace)]
struct Node {
    value: u64,
    next: GcCell<Option<Gc<Node>>>,
}

/// As long as a node with its header.
struct RawNode {
    _header: u64,
    value: u64,
    next: *mut RawNode,
}

/// The order in which nodes hang together: shuffled, so that neighbours in the list are far apart in memory.
fn order(length: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for index in (1..length).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(index, (state % (index as u64 + 1)) as usize);
    }
    order
}

fn list(length: usize) -> Gc<Node> {
    let nodes: Vec<_> = (0..length as u64).map(|value| Gc::new(Node { value, next: GcCell::default() })).collect();
    let order = order(length);
    for pair in order.windows(2) {
        nodes[pair[0]].next.set(Some(nodes[pair[1]].clone()));
    }
    nodes[order[0]].clone()
}

fn raw_list(length: usize) -> *mut RawNode {
    let node = |value| Box::into_raw(Box::new(RawNode { _header: 0, value, next: null_mut() }));
    let nodes: Vec<_> = (0..length as u64).map(node).collect();
    let order = order(length);
    for pair in order.windows(2) {
        let node = nodes[pair[0]];
        // SAFETY: made above, and nobody else has it.
        unsafe { (*node).next = nodes[pair[1]] };
    }
    nodes[order[0]]
}

fn sum_pinned(head: &Gc<Node>) -> u64 {
    let guard = pin();
    let mut sum = 0;
    let mut node = Some(head.local(&guard));
    while let Some(it) = node {
        sum += it.value;
        node = it.next.load(&guard);
    }
    sum
}

fn sum_unpinned(head: &Gc<Node>) -> u64 {
    let mut sum = 0;
    let mut node = Some(head.clone());
    while let Some(it) = node {
        sum += it.value;
        node = it.next.get();
    }
    sum
}

fn sum_raw(head: *mut RawNode) -> u64 {
    let mut sum = 0;
    let mut node = head;
    while !node.is_null() {
        // SAFETY: a node of the list, which is never freed.
        let it = unsafe { &*node };
        sum += it.value;
        node = it.next;
    }
    sum
}

fn steps(c: &mut Criterion) {
    for (name, length) in SIZES {
        let (head, raw) = (list(length), raw_list(length));
        assert_eq!(sum_pinned(&head), sum_raw(raw));
        assert_eq!(sum_unpinned(&head), sum_raw(raw));
        let mut group = c.benchmark_group(format!("walk {length} nodes, {name}"));
        group.sample_size(10);
        group.bench_function("pinned load", |b| b.iter(|| sum_pinned(black_box(&head))));
        group.bench_function("raw pointer", |b| b.iter(|| sum_raw(black_box(raw))));
        group.bench_function("unpinned get", |b| b.iter(|| sum_unpinned(black_box(&head))));
        group.finish();
    }
}

fn scopes(c: &mut Criterion) {
    let mut group = c.benchmark_group("pin and unpin");
    group.bench_function("outermost", |b| b.iter(pin));
    let _outer = pin();
    group.bench_function("nested", |b| b.iter(pin));
    group.finish();
}

/// A cell in the heap, where stores count nothing.
fn heap_cell() -> Gc<GcCell<Option<Gc<u64>>>> {
    Gc::new(GcCell::new(None))
}

fn stores(c: &mut Criterion) {
    let mut group = c.benchmark_group("store an edge, no marking");
    let (cell, guard) = (heap_cell(), pin());
    let target = Some(guard.alloc(7));
    group.bench_function("pinned store", |b| b.iter(|| black_box(&cell).store(black_box(target), &guard)));
    group.bench_function("pinned swap", |b| b.iter(|| black_box(&cell).swap(black_box(target), &guard)));
    let raw = Box::new(AtomicPtr::new(null_mut::<u64>()));
    let mut value = 7;
    let pointer: *mut u64 = &mut value;
    group.bench_function("AtomicPtr::store(SeqCst)", |b| b.iter(|| black_box(&raw).store(black_box(pointer), SeqCst)));
    group.bench_function("AtomicPtr::swap(SeqCst)", |b| b.iter(|| black_box(&raw).swap(black_box(pointer), SeqCst)));
    group.finish();
}

/// The median time of `ours` over that of `theirs`, and the two, in nanoseconds per step.
fn ratio(rounds: usize, steps: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64, f64) {
    let time = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64() * 1e9 / steps as f64
    };
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        times[0].push(time(&mut ours));
        times[1].push(time(&mut theirs));
    }
    let [ours, theirs] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    (ours / theirs, ours, theirs)
}

fn print_ratio(what: &str, (ratio, ours, theirs): (f64, f64, f64)) {
    println!("{what}: {ratio:.2} ({ours:.2} ns / {theirs:.2} ns)");
}

fn ratios() {
    println!("\nratios of medians, ours / theirs");
    for (name, length) in SIZES {
        let (head, raw) = (list(length), raw_list(length));
        let turns = 1_000_000 / length + 1;
        let repeat = |work: &dyn Fn() -> u64| {
            for _ in 0..turns {
                black_box(work());
            }
        };
        let pinned = || repeat(&|| sum_pinned(black_box(&head)));
        let unpinned = || repeat(&|| sum_unpinned(black_box(&head)));
        let theirs = || repeat(&|| sum_raw(black_box(raw)));
        print_ratio(&format!("pinned step / raw step, {name}"), ratio(15, turns * length, pinned, theirs));
        print_ratio(&format!("get() step / raw step, {name}"), ratio(15, turns * length, unpinned, theirs));
    }
    const TIMES: usize = 1_000_000;
    let repeat = |work: &dyn Fn()| (0..TIMES).for_each(|_| work());
    let (cell, guard) = (heap_cell(), pin());
    let target = Some(guard.alloc(7));
    let raw = Box::new(AtomicPtr::new(null_mut::<u64>()));
    let mut value = 7;
    let pointer: *mut u64 = &mut value;
    let store = || repeat(&|| stored(&cell, target, &guard));
    let raw_store = || repeat(&|| black_box(&raw).store(black_box(pointer), SeqCst));
    print_ratio("pinned store / AtomicPtr::store(SeqCst)", ratio(31, TIMES, store, raw_store));
    drop(guard);
    let pinning = || repeat(&|| drop(black_box(pin())));
    let nothing = || repeat(&|| drop(black_box(Box::new(7))));
    print_ratio("pin and unpin / Box of a number", ratio(31, TIMES, pinning, nothing));
}

fn stored(cell: &Gc<GcCell<Option<Gc<u64>>>>, target: Option<Local<'_, u64>>, guard: &Guard) {
    black_box(cell).store(black_box(target), guard);
}

criterion_group!(benches, steps, scopes, stores);

fn main() {
    benches();
    // `cargo test` runs benchmarks once each, to see that they work.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
    Criterion::default().configure_from_args().final_summary();
}
