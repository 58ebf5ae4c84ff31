//! Raw pointers, which cost nothing and check nothing: what a walk can cost at best.

use super::Contestant;
use crate::report::Report;
use std::ptr::null_mut;

pub(super) const CONTESTANT: Contestant =
    Contestant { name: "raw pointers", versions: &[("list", list)], other_allocators: false };

struct Node {
    value: u64,
    next: *mut Node,
}

fn list(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    let node = |value| Box::into_raw(Box::new(Node { value, next: null_mut() }));
    let head = report.phase("build", || {
        let head = node(0);
        let mut tail = head;
        for value in 1..length {
            let next = node(value);
            // SAFETY: made above, and nobody else has it.
            unsafe { (*tail).next = next };
            tail = next;
        }
        head
    });
    let walk = || {
        let (mut sum, mut node) = (0, head.cast_const());
        // SAFETY: a node of the list, or null.
        while let Some(it) = unsafe { node.as_ref() } {
            sum += it.value;
            node = it.next;
        }
        sum
    };
    let sum = report.phase("walk", || (0..walks).map(|_| walk()).sum());
    let mut node = head;
    while !node.is_null() {
        // SAFETY: from `Box::into_raw`, and given up by the list.
        node = unsafe { Box::from_raw(node) }.next;
    }
    sum
}
