//! `Box` of std: where every object has one owner.

use super::Contestant;
use crate::{programs::short_lived_trees, report::Report};

pub(super) const CONTESTANT: Contestant = Contestant {
    name: "Box",
    versions: &[("binary_trees", binary_trees), ("alloc", alloc), ("alloc_held", alloc)],
    other_allocators: true,
};

struct Tree {
    left: Option<Box<Tree>>,
    right: Option<Box<Tree>>,
}

fn tree(depth: u64) -> Box<Tree> {
    let child = || (depth > 0).then(|| tree(depth - 1));
    Box::new(Tree { left: child(), right: child() })
}

fn count(tree: &Tree) -> u64 {
    1 + tree.left.as_ref().map_or(0, |it| count(it)) + tree.right.as_ref().map_or(0, |it| count(it))
}

fn binary_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let stretch = count(&tree(depth + 1));
    let long_lived = tree(depth);
    stretch + short_lived_trees(depth, |depth| count(&tree(depth))) + count(&long_lived)
}

fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
    let mut held: Vec<Option<Box<[u64; 4]>>> = vec![None; sizes[1] as usize];
    for number in 0..sizes[0] {
        held[(number % sizes[1]) as usize] = Some(Box::new([number; 4]));
    }
    held.iter().flatten().map(|it| it[3]).sum()
}
