//! `shredder`: a collector in the background; each access takes a guard. Its derive is older than the lint.

#![allow(non_local_definitions)]

use super::Contestant;
use crate::{
    programs::{Seen, gcbench_trees, numbers, short_lived_trees},
    random::Random,
    report::Report,
};
use shredder::{Gc, Scan};
use std::{cell::RefCell, collections::VecDeque};

pub(super) const CONTESTANT: Contestant = Contestant {
    name: "shredder",
    versions: &[
        ("binary_trees", binary_trees),
        ("parent_trees", parent_trees),
        ("gcbench", gcbench),
        ("list", list),
        ("graph", graph),
        ("alloc", alloc),
        ("alloc_held", alloc),
    ],
    other_allocators: false,
};

#[derive(Scan)]
struct Tree {
    left: Option<Gc<Tree>>,
    right: Option<Gc<Tree>>,
}

fn tree(depth: u64) -> Gc<Tree> {
    let child = || (depth > 0).then(|| tree(depth - 1));
    Gc::new(Tree { left: child(), right: child() })
}

fn count(tree: &Gc<Tree>) -> u64 {
    let tree = tree.get();
    1 + tree.left.as_ref().map_or(0, count) + tree.right.as_ref().map_or(0, count)
}

fn binary_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let stretch = count(&tree(depth + 1));
    let long_lived = tree(depth);
    stretch + short_lived_trees(depth, |depth| count(&tree(depth))) + count(&long_lived)
}

type Child<T> = RefCell<Option<Gc<T>>>;

#[derive(Scan)]
struct Family {
    parent: Option<Gc<Family>>,
    left: Child<Family>,
    right: Child<Family>,
}

fn family(depth: u64, parent: Option<&Gc<Family>>) -> Gc<Family> {
    let node = Gc::new(Family { parent: parent.cloned(), left: RefCell::new(None), right: RefCell::new(None) });
    if depth > 0 {
        let (left, right) = (family(depth - 1, Some(&node)), family(depth - 1, Some(&node)));
        let guard = node.get();
        *guard.left.borrow_mut() = Some(left);
        *guard.right.borrow_mut() = Some(right);
        drop(guard);
    }
    node
}

/// The nodes that know their parent.
fn count_family(node: &Gc<Family>, parent: Option<*const Family>) -> u64 {
    let node = node.get();
    let address: *const Family = &*node;
    let known = node.parent.as_ref().map(|it| &*it.get() as *const Family) == parent;
    let count = |child: &Child<Family>| child.borrow().as_ref().map_or(0, |it| count_family(it, Some(address)));
    u64::from(known) + count(&node.left) + count(&node.right)
}

fn parent_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let once = |depth| count_family(&family(depth, None), None);
    let stretch = once(depth + 1);
    let long_lived = family(depth, None);
    stretch + short_lived_trees(depth, once) + count_family(&long_lived, None)
}

/// A node of `gcbench`, with two numbers that nobody reads.
#[derive(Scan)]
struct Node {
    left: Child<Node>,
    right: Child<Node>,
    _first: u32,
    _second: u32,
}

fn node(left: Option<Gc<Node>>, right: Option<Gc<Node>>) -> Gc<Node> {
    Gc::new(Node { left: RefCell::new(left), right: RefCell::new(right), _first: 0, _second: 0 })
}

fn populate(parent: &Gc<Node>, depth: u64) {
    if depth > 0 {
        let (left, right) = (node(None, None), node(None, None));
        populate(&left, depth - 1);
        populate(&right, depth - 1);
        let parent = parent.get();
        *parent.left.borrow_mut() = Some(left);
        *parent.right.borrow_mut() = Some(right);
    }
}

fn from_the_root(depth: u64) -> Gc<Node> {
    let root = node(None, None);
    populate(&root, depth);
    root
}

fn from_the_leaves(depth: u64) -> Gc<Node> {
    let child = || (depth > 0).then(|| from_the_leaves(depth - 1));
    node(child(), child())
}

fn leftmost_path(node: &Gc<Node>) -> u64 {
    node.get().left.borrow().as_ref().map_or(0, |left| 1 + leftmost_path(left))
}

fn gcbench(sizes: &[u64], _: &mut Report) -> u64 {
    let [depth, length] = *sizes else { unreachable!() };
    let stretch = leftmost_path(&from_the_leaves(depth));
    let long_lived = from_the_root(depth - 2);
    let array = Gc::new(numbers(length).collect::<Vec<_>>());
    let trees = |depth| leftmost_path(&from_the_root(depth)) + leftmost_path(&from_the_leaves(depth));
    let paths = gcbench_trees(depth, trees);
    let array = array.get();
    stretch + paths + leftmost_path(&long_lived) + (1.0 / array[array.len() / 2]) as u64
}

#[derive(Scan)]
struct Item {
    value: u64,
    next: Child<Item>,
}

fn list(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    let item = |value| Gc::new(Item { value, next: RefCell::new(None) });
    let head = report.phase("build", || {
        let head = item(0);
        let mut tail = head.clone();
        for value in 1..length {
            let next = item(value);
            *tail.get().next.borrow_mut() = Some(next.clone());
            tail = next;
        }
        head
    });
    let walk = || {
        let mut sum = 0;
        let mut item = Some(head.clone());
        while let Some(it) = item {
            let it = it.get();
            sum += it.value;
            item = it.next.borrow().clone();
        }
        sum
    };
    report.phase("walk", || (0..walks).map(|_| walk()).sum())
}

#[derive(Scan)]
struct Vertex {
    number: u32,
    edges: RefCell<Vec<Gc<Vertex>>>,
}

fn search(start: &Gc<Vertex>, vertices: usize) -> u64 {
    let (mut sum, mut place) = (0u64, 0);
    let mut seen = Seen::new(vertices, start.get().number);
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(vertex) = queue.pop_front() {
        let vertex = vertex.get();
        place += 1;
        sum = sum.wrapping_add(place * u64::from(vertex.number));
        for next in vertex.edges.borrow().iter() {
            if seen.is_new(next.get().number) {
                queue.push_back(next.clone());
            }
        }
    }
    sum
}

fn rewire(graph: &[Gc<Vertex>], random: &mut Random, times: u64) {
    for _ in 0..times {
        let (from, to) = (random.below(graph.len() as u64), random.below(graph.len() as u64));
        let from = graph[from].get();
        let mut edges = from.edges.borrow_mut();
        if !edges.is_empty() {
            let which = random.below(edges.len() as u64);
            edges[which] = graph[to].clone();
        }
    }
}

fn graph(sizes: &[u64], report: &mut Report) -> u64 {
    let [vertices, edges, searches, rewires] = *sizes else { unreachable!() };
    let mut random = Random::new(1);
    let graph: Vec<_> = report.phase("build", || {
        let vertex = |number| Gc::new(Vertex { number: number as u32, edges: RefCell::new(Vec::new()) });
        let graph: Vec<_> = (0..vertices).map(vertex).collect();
        for _ in 0..edges {
            let (from, to) = (random.below(vertices), random.below(vertices));
            graph[from].get().edges.borrow_mut().push(graph[to].clone());
        }
        graph
    });
    let search = || search(&graph[0], graph.len());
    let first = report.phase("bfs", || (0..searches).map(|_| search()).fold(0, u64::wrapping_add));
    report.phase("rewire", || rewire(&graph, &mut random, rewires));
    first.wrapping_add(search())
}

#[derive(Scan)]
struct Numbers {
    first: u64,
    second: u64,
    third: u64,
    fourth: u64,
}

fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
    let mut held: Vec<Option<Gc<Numbers>>> = vec![None; sizes[1] as usize];
    for number in 0..sizes[0] {
        let numbers = Numbers { first: number, second: number, third: number, fourth: number };
        held[(number % sizes[1]) as usize] = Some(Gc::new(numbers));
    }
    let sum = |it: &Numbers| it.fourth.max(it.first.min(it.second).min(it.third));
    held.iter().flatten().map(|it| sum(&it.get())).sum()
}
