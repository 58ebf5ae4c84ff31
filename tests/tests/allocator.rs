//! A global allocator of the program's own that uses the collector: nothing that the collector does inside its critical sections, or with
//! the world stopped, may call it.

use graphgc::{Gc, GcRefCell, Outcome, Trace, collect, stats};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// Allocates an object for each call, on whatever thread, the collector's included.
struct Collecting;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn use_the_collector(bytes: usize) {
    if !INSIDE.replace(true) {
        drop(Gc::new(bytes));
        INSIDE.set(false);
    }
}

// SAFETY: forwards to the system's allocator.
unsafe impl GlobalAlloc for Collecting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        use_the_collector(layout.size());
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        use_the_collector(layout.size());
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Collecting = Collecting;

#[derive(Trace)]
struct Node {
    numbers: Vec<u64>,
    others: GcRefCell<Vec<Gc<Node>>>,
}

#[test]
fn allocator_may_use_the_collector() {
    let mut kept: Vec<Gc<Node>> = Vec::new();
    for number in 0..200_000 {
        let node = Gc::new(Node { numbers: vec![number; 8], others: GcRefCell::new(Vec::new()) });
        node.others.borrow_mut().push(node.clone());
        if number % 100 == 0 {
            kept.push(node);
        }
        if number % 50_000 == 0 {
            assert_ne!(collect().outcome, Outcome::Requested);
        }
    }
    for (index, node) in (0..).zip(&kept) {
        assert_eq!(node.numbers[3], index * 100);
        assert!(Gc::ptr_eq(node, &node.others.borrow()[0]));
    }
    assert!(stats().cycles > 0);
}
