//! A load for the collector that no program changes: many roots, so that the root scan takes a while, and a tree in whose leaves objects of the
//! program hang, which the marker meets at all times of the cycle. Else a cycle would be over before two operations of a program had
//! met it.

use super::node::{Any, Family};
use graphgc::{Gc, Trace};

/// Objects of the program that hang in the tree.
pub const FAR: usize = 32;

const BRANCHES: usize = 8;
const DEPTH: u32 = 5;
const LEAVES: usize = BRANCHES.pow(DEPTH);
const ROOTS: u32 = 50_000;

#[derive(Trace)]
#[trace(bound = "F: Family")]
struct Branch<F: Family> {
    branches: [Option<Gc<Branch<F>>>; BRANCHES],
    object: Option<Any<F>>,
}

/// The tree and the roots.
pub struct Ballast<F: Family> {
    tree: Gc<Branch<F>>,
    roots: Vec<Gc<u32>>,
    /// Objects that it consists of.
    pub weight: u64,
}

/// The leaf where an object hangs.
fn leaf_of(number: usize) -> usize {
    let distance = LEAVES / FAR;
    number % FAR * distance + distance / 2
}

impl<F: Family> Ballast<F> {
    /// Hangs the objects into a new tree.
    pub fn new(objects: Vec<Any<F>>) -> Self {
        assert_eq!(objects.len(), FAR);
        let mut level: Vec<_> = (0..LEAVES).map(|_| Branch { branches: Default::default(), object: None }).collect();
        for (number, object) in objects.into_iter().enumerate() {
            level[leaf_of(number)].object = Some(object);
        }
        let mut weight = 0;
        while level.len() > 1 {
            weight += level.len() as u64;
            let mut below = level.into_iter().map(|branch| Some(Gc::new(branch)));
            let mut upper = Vec::new();
            while let Some(first) = below.next() {
                let mut branches: [_; BRANCHES] = Default::default();
                branches[0] = first;
                branches[1..].fill_with(|| below.next().flatten());
                upper.push(Branch { branches, object: None });
            }
            level = upper;
        }
        let tree = Gc::new(level.remove(0));
        Ballast { tree, roots: (0..ROOTS).map(Gc::new).collect(), weight: weight + 1 + u64::from(ROOTS) }
    }

    /// One of the objects.
    ///
    /// # Panics
    /// If a part of the tree is gone.
    pub fn object(&self, number: usize) -> &Any<F> {
        let (leaf, mut branch) = (leaf_of(number), &self.tree);
        for level in (0..DEPTH).rev() {
            let index = leaf / BRANCHES.pow(level) % BRANCHES;
            branch = branch.branches[index].as_ref().expect("an inner branch");
        }
        branch.object.as_ref().expect("an object hangs here")
    }

    /// All of them.
    pub fn objects(&self) -> impl Iterator<Item = &Any<F>> {
        (0..FAR).map(|number| self.object(number))
    }
}

impl<F: Family> Drop for Ballast<F> {
    fn drop(&mut self) {
        assert!(self.roots.iter().enumerate().all(|(number, root)| number as u32 == **root), "a root is overwritten");
    }
}
