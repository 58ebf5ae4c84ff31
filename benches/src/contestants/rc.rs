//! `Rc` of std.

use super::{Contestant, machine};
use crate::{
    programs::{ALONE, Seen, gcbench_trees, numbers, short_lived_trees},
    random::Random,
    report::Report,
};
use std::{
    cell::{OnceCell, RefCell},
    collections::VecDeque,
    hint::black_box,
    mem::{size_of, take},
    rc::Rc,
};

pub(super) const CONTESTANT: Contestant = Contestant {
    name: "Rc",
    versions: &[
        ("binary_trees", binary_trees),
        ("parent_trees", parent_trees),
        ("gcbench", gcbench),
        ("list", list),
        ("graph", graph),
        ("alloc", alloc),
        ("alloc_held", alloc),
        ("clone_drop", clone_drop),
        ("bytes", bytes),
    ],
    other_allocators: true,
};

struct Tree {
    left: Option<Rc<Tree>>,
    right: Option<Rc<Tree>>,
}

fn tree(depth: u64) -> Rc<Tree> {
    let child = || (depth > 0).then(|| tree(depth - 1));
    Rc::new(Tree { left: child(), right: child() })
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

struct Family {
    parent: RefCell<Option<Rc<Family>>>,
    left: OnceCell<Rc<Family>>,
    right: OnceCell<Rc<Family>>,
}

fn family(depth: u64, parent: Option<&Rc<Family>>) -> Rc<Family> {
    let parent = RefCell::new(parent.cloned());
    let node = Rc::new(Family { parent, left: OnceCell::new(), right: OnceCell::new() });
    if depth > 0 {
        let _ = node.left.set(family(depth - 1, Some(&node)));
        let _ = node.right.set(family(depth - 1, Some(&node)));
    }
    node
}

/// The nodes that know their parent.
fn count_family(node: &Rc<Family>, parent: Option<&Rc<Family>>) -> u64 {
    let known = node.parent.borrow().as_ref().map(Rc::as_ptr) == parent.map(Rc::as_ptr);
    let count = |child: &OnceCell<_>| child.get().map_or(0, |child| count_family(child, Some(node)));
    u64::from(known) + count(&node.left) + count(&node.right)
}

/// Breaks the cycles; then the handle to the root is the last one.
fn forget_parents(node: &Family) {
    *node.parent.borrow_mut() = None;
    for child in [&node.left, &node.right] {
        if let Some(child) = child.get() {
            forget_parents(child);
        }
    }
}

fn parent_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let count_and_drop = |family: Rc<Family>| {
        let count = count_family(&family, None);
        forget_parents(&family);
        count
    };
    let stretch = count_and_drop(family(depth + 1, None));
    let long_lived = family(depth, None);
    stretch + short_lived_trees(depth, |depth| count_and_drop(family(depth, None))) + count_and_drop(long_lived)
}

/// A node of `gcbench`, with two numbers that nobody reads.
#[derive(Default)]
struct Node {
    left: OnceCell<Rc<Node>>,
    right: OnceCell<Rc<Node>>,
    _numbers: [u32; 2],
}

fn populate(node: &Node, depth: u64) {
    if depth > 0 {
        let (left, right) = (Rc::new(Node::default()), Rc::new(Node::default()));
        populate(&left, depth - 1);
        populate(&right, depth - 1);
        let _ = node.left.set(left);
        let _ = node.right.set(right);
    }
}

fn from_the_root(depth: u64) -> Rc<Node> {
    let root = Rc::new(Node::default());
    populate(&root, depth);
    root
}

fn from_the_leaves(depth: u64) -> Rc<Node> {
    let child = || if depth > 0 { OnceCell::from(from_the_leaves(depth - 1)) } else { OnceCell::new() };
    Rc::new(Node { left: child(), right: child(), _numbers: [0; 2] })
}

fn leftmost_path(root: &Node) -> u64 {
    let (mut node, mut length) = (root, 0);
    while let Some(left) = node.left.get() {
        (node, length) = (left, length + 1);
    }
    length
}

fn gcbench(sizes: &[u64], _: &mut Report) -> u64 {
    let [depth, length] = *sizes else { unreachable!() };
    let stretch = leftmost_path(&from_the_leaves(depth));
    let long_lived = from_the_root(depth - 2);
    let array = Rc::new(numbers(length).collect::<Vec<_>>());
    let trees = |depth| leftmost_path(&from_the_root(depth)) + leftmost_path(&from_the_leaves(depth));
    let paths = gcbench_trees(depth, trees);
    stretch + paths + leftmost_path(&long_lived) + (1.0 / array[array.len() / 2]) as u64
}

struct Item {
    value: u64,
    next: RefCell<Option<Rc<Item>>>,
}

/// Not by recursion, which would overflow the stack.
impl Drop for Item {
    fn drop(&mut self) {
        let mut next = self.next.get_mut().take();
        while let Some(mut item) = next.and_then(Rc::into_inner) {
            next = item.next.get_mut().take();
        }
    }
}

fn list(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    let item = |value| Rc::new(Item { value, next: RefCell::new(None) });
    let head = report.phase("build", || {
        let head = item(0);
        let mut tail = head.clone();
        for value in 1..length {
            let next = item(value);
            *tail.next.borrow_mut() = Some(next.clone());
            tail = next;
        }
        head
    });
    let walk = || {
        let mut sum = 0;
        let mut item = Some(head.clone());
        while let Some(it) = item {
            sum += it.value;
            item = it.next.borrow().clone();
        }
        sum
    };
    report.phase("walk", || (0..walks).map(|_| walk()).sum())
}

struct Vertex {
    number: u32,
    edges: RefCell<Vec<Rc<Vertex>>>,
}

fn search(start: &Rc<Vertex>, vertices: usize) -> u64 {
    let (mut sum, mut place) = (0u64, 0);
    let mut seen = Seen::new(vertices, start.number);
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(vertex) = queue.pop_front() {
        place += 1;
        sum = sum.wrapping_add(place * u64::from(vertex.number));
        for next in vertex.edges.borrow().iter() {
            if seen.is_new(next.number) {
                queue.push_back(next.clone());
            }
        }
    }
    sum
}

fn rewire(graph: &[Rc<Vertex>], random: &mut Random, times: u64) {
    for _ in 0..times {
        let (from, to) = (random.below(graph.len() as u64), random.below(graph.len() as u64));
        let mut edges = graph[from].edges.borrow_mut();
        if !edges.is_empty() {
            let which = random.below(edges.len() as u64);
            edges[which] = graph[to].clone();
        }
    }
}

fn graph(sizes: &[u64], report: &mut Report) -> u64 {
    let [vertices, edges, searches, rewires] = *sizes else { unreachable!() };
    let mut random = Random::new(1);
    let graph = report.phase("build", || {
        let vertex = |number| Rc::new(Vertex { number: number as u32, edges: RefCell::new(Vec::new()) });
        let graph: Vec<_> = (0..vertices).map(vertex).collect();
        for _ in 0..edges {
            let (from, to) = (random.below(vertices), random.below(vertices));
            graph[from].edges.borrow_mut().push(graph[to].clone());
        }
        graph
    });
    let search = || search(&graph[0], graph.len());
    let first = report.phase("bfs", || (0..searches).map(|_| search()).fold(0, u64::wrapping_add));
    report.phase("rewire", || rewire(&graph, &mut random, rewires));
    let sum = first.wrapping_add(search());
    // Breaks the cycles.
    for vertex in &graph {
        let _edges = take(&mut *vertex.edges.borrow_mut());
    }
    sum
}

fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
    let mut held: Vec<Option<Rc<[u64; 4]>>> = vec![None; sizes[1] as usize];
    for number in 0..sizes[0] {
        held[(number % sizes[1]) as usize] = Some(Rc::new([number; 4]));
    }
    held.iter().flatten().map(|it| it[3]).sum()
}

/// With one thread only.
fn clone_drop(sizes: &[u64], report: &mut Report) -> u64 {
    let object = Rc::new(ALONE);
    let times = || (0..sizes[0]).map(|_| black_box(Rc::clone(black_box(&object)))[0]).sum::<u64>();
    // What the threads of others count.
    5 * report.phase("single", times)
}

fn bytes(sizes: &[u64], report: &mut Report) -> u64 {
    let small = per_object::<1>(sizes[0], report);
    let medium = per_object::<3>(sizes[0], report);
    let large = per_object::<7>(sizes[0], report);
    small.iter().flatten().map(|it| it[0]).sum::<u64>()
        + medium.iter().flatten().map(|it| it[1]).sum::<u64>()
        + large.iter().flatten().map(|it| it[2]).sum::<u64>()
}

fn per_object<const WORDS: usize>(objects: u64, report: &mut Report) -> Vec<Option<Rc<[u64; WORDS]>>> {
    let mut all = Vec::with_capacity(objects as usize);
    all.resize(objects as usize, None);
    let before = machine::resident();
    for (number, place) in (0..).zip(&mut all) {
        *place = Some(Rc::new([number; WORDS]));
    }
    report.value(&format!("payload_{}", WORDS * size_of::<u64>()), (machine::resident() - before) / objects as f64);
    all
}
