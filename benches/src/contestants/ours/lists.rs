//! Lists with mutable links.

use crate::report::Report;
use graphgc::{Gc, GcCell, Trace, pin};

#[derive(Trace)]
struct Node {
    value: u64,
    next: GcCell<Option<Gc<Node>>>,
}

fn build(length: u64) -> Gc<Node> {
    let node = |value| Gc::new(Node { value, next: GcCell::default() });
    let head = node(0);
    let mut tail = head.clone();
    for value in 1..length {
        let next = node(value);
        tail.next.set(Some(next.clone()));
        tail = next;
    }
    head
}

fn build_pinned(length: u64) -> Gc<Node> {
    let mut guard = pin();
    let head = Gc::new(Node { value: 0, next: GcCell::default() });
    let mut last = head.clone();
    // Not one long pin: it would keep marking open.
    for begin in (1..length).step_by(1024) {
        guard.repin();
        let mut tail = last.local(&guard);
        for value in begin..length.min(begin + 1024) {
            let next = guard.alloc(Node { value, next: GcCell::default() });
            tail.next.store(Some(next), &guard);
            tail = next;
        }
        last = tail.to_gc();
    }
    head
}

fn walk(head: &Gc<Node>) -> u64 {
    let mut sum = 0;
    let mut node = Some(head.clone());
    while let Some(it) = node {
        sum += it.value;
        node = it.next.get();
    }
    sum
}

fn walk_pinned(head: &Gc<Node>) -> u64 {
    let guard = pin();
    let mut sum = 0;
    let mut node = Some(head.local(&guard));
    while let Some(it) = node {
        sum += it.value;
        node = it.next.load(&guard);
    }
    sum
}

pub(super) fn plain(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    let head = report.phase("build", || build(length));
    report.phase("walk", || (0..walks).map(|_| walk(&head)).sum())
}

pub(super) fn pinned(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    let head = report.phase("build", || build_pinned(length));
    report.phase("walk", || (0..walks).map(|_| walk_pinned(&head)).sum())
}
