//! The treap of free runs; its nodes are the runs' own records.

use crate::{
    heap::span::{RunState, Span},
    sync::{AtomicPtr, Ordering::Relaxed},
};
use std::ptr::null_mut;

/// What free runs are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) pages: usize,
    pub(super) address: usize,
}

impl Key {
    /// Above all runs.
    pub(super) const MAX: Key = Key { pages: usize::MAX, address: usize::MAX };

    pub(super) fn of(run: &Span) -> Key {
        Key { pages: run.pages(), address: run.start().addr() }
    }
}

/// A search tree by [`Key`] that is a heap by random priorities, so that its depth is logarithmic whatever the order
/// of changes.
///
/// A link is the root or a field of a record; a null link is an empty tree.
pub(super) struct Treap {
    pub(super) root: AtomicPtr<Span>,
}

/// The run that a link leads to.
pub(super) fn follow(link: &AtomicPtr<Span>) -> Option<&'static Span> {
    // SAFETY: links lead to records of free runs; those are in arenas that are never unmapped.
    unsafe { link.load(Relaxed).as_ref() }
}

pub(super) fn priority(run: &Span) -> u32 {
    run.priority.load(Relaxed)
}

impl Treap {
    /// Descends to where the priority says, and splits the tree there.
    pub(super) fn insert(&mut self, run: &'static Span) {
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
    pub(super) fn remove(&mut self, run: &'static Span) {
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
    pub(super) fn best_fit(&self, pages: usize) -> Option<&'static Span> {
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
    pub(super) fn greatest_below(&self, key: Key) -> Option<&'static Span> {
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

impl Treap {
    /// Checks both orders and returns the number of runs.
    pub(super) fn check(&self, wrong: &mut Vec<String>) -> usize {
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
