//! Trees: immutable ones, ones with parents, and those of `gcbench`.

use crate::{
    programs::{gcbench_trees, numbers, short_lived_trees},
    report::Report,
};
use graphgc::{Gc, GcCell, Guard, Local, Trace, pin};

#[derive(Trace)]
struct Tree {
    left: Option<Gc<Tree>>,
    right: Option<Gc<Tree>>,
}

fn tree(depth: u64) -> Gc<Tree> {
    let child = || (depth > 0).then(|| tree(depth - 1));
    Gc::new(Tree { left: child(), right: child() })
}

fn count(tree: &Tree) -> u64 {
    1 + tree.left.as_ref().map_or(0, |it| count(it)) + tree.right.as_ref().map_or(0, |it| count(it))
}

pub(super) fn binary_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let stretch = count(&tree(depth + 1));
    let long_lived = tree(depth);
    stretch + short_lived_trees(depth, |depth| count(&tree(depth))) + count(&long_lived)
}

#[derive(Trace)]
struct Family {
    parent: Option<Gc<Family>>,
    left: GcCell<Option<Gc<Family>>>,
    right: GcCell<Option<Gc<Family>>>,
}

fn family(depth: u64, parent: Option<Gc<Family>>) -> Gc<Family> {
    let node = Gc::new(Family { parent, left: GcCell::default(), right: GcCell::default() });
    if depth > 0 {
        node.left.set(Some(family(depth - 1, Some(node.clone()))));
        node.right.set(Some(family(depth - 1, Some(node.clone()))));
    }
    node
}

/// The nodes that know their parent.
fn count_family(node: Local<'_, Family>, parent: Option<Local<'_, Family>>, guard: &Guard) -> u64 {
    let known = node.parent.as_ref().map(|it| it.local(guard)).map(Local::as_ptr) == parent.map(Local::as_ptr);
    let count = |child: Option<_>| child.map_or(0, |child| count_family(child, Some(node), guard));
    u64::from(known) + count(node.left.load(guard)) + count(node.right.load(guard))
}

pub(super) fn parent_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let count = |root: &Gc<Family>| {
        let guard = pin();
        count_family(root.local(&guard), None, &guard)
    };
    let stretch = count(&family(depth + 1, None));
    let long_lived = family(depth, None);
    stretch + short_lived_trees(depth, |depth| count(&family(depth, None))) + count(&long_lived)
}

#[derive(Trace)]
struct PinnedFamily {
    parent: GcCell<Option<Gc<PinnedFamily>>>,
    left: GcCell<Option<Gc<PinnedFamily>>>,
    right: GcCell<Option<Gc<PinnedFamily>>>,
}

fn pinned_family<'g>(depth: u64, parent: Option<Local<'g, PinnedFamily>>, guard: &'g Guard) -> Local<'g, PinnedFamily> {
    let node =
        guard.alloc(PinnedFamily { parent: GcCell::default(), left: GcCell::default(), right: GcCell::default() });
    graphgc::Local::get(node).parent.store(parent, guard);
    if depth > 0 {
        graphgc::Local::get(node).left.store(Some(pinned_family(depth - 1, Some(node), guard)), guard);
        graphgc::Local::get(node).right.store(Some(pinned_family(depth - 1, Some(node), guard)), guard);
    }
    node
}

fn count_pinned(node: Local<'_, PinnedFamily>, parent: Option<Local<'_, PinnedFamily>>, guard: &Guard) -> u64 {
    let known = node.parent.load(guard).map(Local::as_ptr) == parent.map(Local::as_ptr);
    let count = |child: Option<_>| child.map_or(0, |child| count_pinned(child, Some(node), guard));
    u64::from(known) + count(node.left.load(guard)) + count(node.right.load(guard))
}

pub(super) fn parent_trees_pinned(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let count = |root: &Gc<PinnedFamily>| {
        let guard = pin();
        count_pinned(root.local(&guard), None, &guard)
    };
    let short_lived = |depth| {
        let guard = pin();
        count_pinned(pinned_family(depth, None, &guard), None, &guard)
    };
    let stretch = short_lived(depth + 1);
    let long_lived = {
        let guard = pin();
        pinned_family(depth, None, &guard).to_gc()
    };
    stretch + short_lived_trees(depth, short_lived) + count(&long_lived)
}

/// A node of `gcbench`, with two numbers that nobody reads.
#[derive(Trace, Default)]
struct Node {
    left: GcCell<Option<Gc<Node>>>,
    right: GcCell<Option<Gc<Node>>>,
    _numbers: [u32; 2],
}

fn populate(node: &Gc<Node>, depth: u64) {
    if depth > 0 {
        let (left, right) = (Gc::new(Node::default()), Gc::new(Node::default()));
        populate(&left, depth - 1);
        populate(&right, depth - 1);
        node.left.set(Some(left));
        node.right.set(Some(right));
    }
}

fn from_the_root(depth: u64) -> Gc<Node> {
    let root = Gc::new(Node::default());
    populate(&root, depth);
    root
}

fn from_the_leaves(depth: u64) -> Gc<Node> {
    let child = || GcCell::new((depth > 0).then(|| from_the_leaves(depth - 1)));
    Gc::new(Node { left: child(), right: child(), _numbers: [0; 2] })
}

fn leftmost_path(root: &Gc<Node>) -> u64 {
    let guard = pin();
    let (mut node, mut length) = (root.local(&guard), 0);
    while let Some(left) = node.left.load(&guard) {
        (node, length) = (left, length + 1);
    }
    length
}

pub(super) fn gcbench(sizes: &[u64], _: &mut Report) -> u64 {
    gcbench_with(sizes, from_the_root, |depth| leftmost_path(&from_the_root(depth)))
}

fn gcbench_with(sizes: &[u64], long_lived: impl Fn(u64) -> Gc<Node>, short_lived: impl Fn(u64) -> u64) -> u64 {
    let [depth, length] = *sizes else { unreachable!() };
    let stretch = leftmost_path(&from_the_leaves(depth));
    let long_lived = long_lived(depth - 2);
    let array = Gc::new(numbers(length).collect::<Vec<_>>());
    let paths = gcbench_trees(depth, |depth| short_lived(depth) + leftmost_path(&from_the_leaves(depth)));
    stretch + paths + leftmost_path(&long_lived) + (1.0 / array[array.len() / 2]) as u64
}

fn populate_pinned(node: Local<'_, Node>, depth: u64, guard: &Guard) {
    if depth > 0 {
        let (left, right) = (guard.alloc(Node::default()), guard.alloc(Node::default()));
        node.left.store(Some(left), guard);
        node.right.store(Some(right), guard);
        populate_pinned(left, depth - 1, guard);
        populate_pinned(right, depth - 1, guard);
    }
}

fn from_the_root_pinned(depth: u64) -> Gc<Node> {
    let guard = pin();
    let root = guard.alloc(Node::default());
    populate_pinned(root, depth, &guard);
    root.to_gc()
}

pub(super) fn gcbench_pinned(sizes: &[u64], _: &mut Report) -> u64 {
    gcbench_with(sizes, from_the_root_pinned, |depth| leftmost_path(&from_the_root_pinned(depth)))
}
