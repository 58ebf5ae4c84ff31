//! `Arc` of std.

use super::{Contestant, machine};
use crate::{
    programs::{ALONE, EDGES, LIST, Seen, gcbench_trees, numbers, short_lived_trees},
    random::Random,
    report::Report,
};
use std::{
    collections::VecDeque,
    hint::black_box,
    mem::{size_of, take},
    sync::{Arc, Mutex, OnceLock, RwLock},
};

pub(super) const CONTESTANT: Contestant = Contestant {
    name: "Arc",
    versions: &[
        ("binary_trees", binary_trees),
        ("parent_trees", parent_trees),
        ("gcbench", gcbench),
        ("list", list),
        ("graph", graph),
        ("alloc", alloc),
        ("alloc_held", alloc),
        ("clone_drop", clone_drop),
        ("shared_read", shared_read),
        ("shared_read_1", shared_read),
        ("churn_mt", churn),
        ("churn_mt_1", churn),
        ("bytes", bytes),
    ],
    other_allocators: true,
};

struct Tree {
    left: Option<Arc<Tree>>,
    right: Option<Arc<Tree>>,
}

fn tree(depth: u64) -> Arc<Tree> {
    let child = || (depth > 0).then(|| tree(depth - 1));
    Arc::new(Tree { left: child(), right: child() })
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
    parent: Mutex<Option<Arc<Family>>>,
    left: OnceLock<Arc<Family>>,
    right: OnceLock<Arc<Family>>,
}

fn family(depth: u64, parent: Option<&Arc<Family>>) -> Arc<Family> {
    let parent = Mutex::new(parent.cloned());
    let node = Arc::new(Family { parent, left: OnceLock::new(), right: OnceLock::new() });
    if depth > 0 {
        let _ = node.left.set(family(depth - 1, Some(&node)));
        let _ = node.right.set(family(depth - 1, Some(&node)));
    }
    node
}

/// The nodes that know their parent.
fn count_family(node: &Arc<Family>, parent: Option<&Arc<Family>>) -> u64 {
    let known = node.parent.lock().unwrap().as_ref().map(Arc::as_ptr) == parent.map(Arc::as_ptr);
    let count = |child: &OnceLock<_>| child.get().map_or(0, |child| count_family(child, Some(node)));
    u64::from(known) + count(&node.left) + count(&node.right)
}

/// Breaks the cycles; then the handle to the root is the last one.
fn forget_parents(node: &Family) {
    *node.parent.lock().unwrap() = None;
    for child in [&node.left, &node.right] {
        if let Some(child) = child.get() {
            forget_parents(child);
        }
    }
}

fn parent_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let count_and_drop = |family: Arc<Family>| {
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
    left: OnceLock<Arc<Node>>,
    right: OnceLock<Arc<Node>>,
    _numbers: [u32; 2],
}

fn populate(node: &Node, depth: u64) {
    if depth > 0 {
        let (left, right) = (Arc::new(Node::default()), Arc::new(Node::default()));
        populate(&left, depth - 1);
        populate(&right, depth - 1);
        let _ = node.left.set(left);
        let _ = node.right.set(right);
    }
}

fn from_the_root(depth: u64) -> Arc<Node> {
    let root = Arc::new(Node::default());
    populate(&root, depth);
    root
}

fn from_the_leaves(depth: u64) -> Arc<Node> {
    let child = || if depth > 0 { OnceLock::from(from_the_leaves(depth - 1)) } else { OnceLock::new() };
    Arc::new(Node { left: child(), right: child(), _numbers: [0; 2] })
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
    let array = Arc::new(numbers(length).collect::<Vec<_>>());
    let trees = |depth| leftmost_path(&from_the_root(depth)) + leftmost_path(&from_the_leaves(depth));
    let paths = gcbench_trees(depth, trees);
    stretch + paths + leftmost_path(&long_lived) + (1.0 / array[array.len() / 2]) as u64
}

struct Item {
    value: u64,
    next: Mutex<Option<Arc<Item>>>,
}

/// Not by recursion, which would overflow the stack.
impl Drop for Item {
    fn drop(&mut self) {
        let mut next = self.next.get_mut().unwrap().take();
        while let Some(mut item) = next.and_then(Arc::into_inner) {
            next = item.next.get_mut().unwrap().take();
        }
    }
}

fn list(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    let item = |value| Arc::new(Item { value, next: Mutex::new(None) });
    let head = report.phase("build", || {
        let head = item(0);
        let mut tail = head.clone();
        for value in 1..length {
            let next = item(value);
            *tail.next.lock().unwrap() = Some(next.clone());
            tail = next;
        }
        head
    });
    let walk = || {
        let mut sum = 0;
        let mut item = Some(head.clone());
        while let Some(it) = item {
            sum += it.value;
            item = it.next.lock().unwrap().clone();
        }
        sum
    };
    report.phase("walk", || (0..walks).map(|_| walk()).sum())
}

struct Vertex {
    number: u32,
    edges: RwLock<Vec<Arc<Vertex>>>,
}

fn search(start: &Arc<Vertex>, vertices: usize) -> u64 {
    let (mut sum, mut place) = (0u64, 0);
    let mut seen = Seen::new(vertices, start.number);
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(vertex) = queue.pop_front() {
        place += 1;
        sum = sum.wrapping_add(place * u64::from(vertex.number));
        for next in vertex.edges.read().unwrap().iter() {
            if seen.is_new(next.number) {
                queue.push_back(next.clone());
            }
        }
    }
    sum
}

fn rewire(graph: &[Arc<Vertex>], random: &mut Random, times: u64) {
    for _ in 0..times {
        let (from, to) = (random.below(graph.len() as u64), random.below(graph.len() as u64));
        let mut edges = graph[from].edges.write().unwrap();
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
        let vertex = |number| Arc::new(Vertex { number: number as u32, edges: RwLock::new(Vec::new()) });
        let graph: Vec<_> = (0..vertices).map(vertex).collect();
        for _ in 0..edges {
            let (from, to) = (random.below(vertices), random.below(vertices));
            graph[from].edges.write().unwrap().push(graph[to].clone());
        }
        graph
    });
    let search = || search(&graph[0], graph.len());
    let first = report.phase("bfs", || (0..searches).map(|_| search()).fold(0, u64::wrapping_add));
    report.phase("rewire", || rewire(&graph, &mut random, rewires));
    let sum = first.wrapping_add(search());
    // Breaks the cycles.
    for vertex in &graph {
        let _edges = take(&mut *vertex.edges.write().unwrap());
    }
    sum
}

fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
    let mut held: Vec<Option<Arc<[u64; 4]>>> = vec![None; sizes[1] as usize];
    for number in 0..sizes[0] {
        held[(number % sizes[1]) as usize] = Some(Arc::new([number; 4]));
    }
    held.iter().flatten().map(|it| it[3]).sum()
}

fn clone_drop(sizes: &[u64], report: &mut Report) -> u64 {
    let objects = [Arc::new(ALONE), Arc::new(ALONE)];
    let times =
        |object: &Arc<[u64; 16]>| (0..sizes[0]).map(|_| black_box(Arc::clone(black_box(object)))[0]).sum::<u64>();
    let single = report.phase("single", || times(&objects[0]));
    let one = report.phase("one_object", || machine::on_threads(2, |_| times(&objects[0])));
    single + one + report.phase("two_objects", || machine::on_threads(2, |index| times(&objects[index as usize])))
}

struct Place {
    number: u64,
    edges: RwLock<[Option<Arc<Place>>; EDGES]>,
}

fn shared_read(sizes: &[u64], report: &mut Report) -> u64 {
    let [places, steps, threads] = *sizes else { unreachable!() };
    let mut random = Random::new(1);
    let place = |number| Arc::new(Place { number, edges: RwLock::default() });
    let graph: Vec<_> = (0..places).map(place).collect();
    for place in &graph {
        *place.edges.write().unwrap() = std::array::from_fn(|_| Some(graph[random.below(places)].clone()));
    }
    let walk = |start: &Arc<Place>, mut random: Random| {
        let (mut place, mut sum) = (start.clone(), 0u64);
        for _ in 0..steps {
            sum = sum.wrapping_add(place.number);
            let next = place.edges.read().unwrap()[random.below(EDGES as u64)].clone();
            place = next.unwrap();
        }
        sum
    };
    let sum = report
        .phase("walk", || machine::on_threads(threads, |index| walk(&graph[index as usize], Random::new(index + 2))));
    // Breaks the cycles.
    for place in &graph {
        let _edges = take(&mut *place.edges.write().unwrap());
    }
    sum
}

struct Link {
    place: u64,
    next: Option<Arc<Link>>,
}

fn churn(sizes: &[u64], report: &mut Report) -> u64 {
    let [lists, times, threads] = *sizes else { unreachable!() };
    let lists: Vec<Mutex<Option<Arc<Link>>>> = (0..lists).map(|_| Mutex::default()).collect();
    let push = |index| {
        let mut random = Random::new(index + 1);
        for _ in 0..times {
            let mut list = lists[random.below(lists.len() as u64)].lock().unwrap();
            let kept = list.take().filter(|it| it.place < LIST);
            *list = Some(Arc::new(Link { place: kept.as_ref().map_or(0, |it| it.place) + 1, next: kept }));
        }
        0
    };
    report.phase("push", || machine::on_threads(threads, push));
    let mut sum = 0;
    for (index, list) in (1..).zip(&lists) {
        let list = list.lock().unwrap();
        let mut link = list.as_ref();
        while let Some(it) = link {
            sum += it.place * index;
            link = it.next.as_ref();
        }
    }
    sum
}

fn bytes(sizes: &[u64], report: &mut Report) -> u64 {
    let small = per_object::<1>(sizes[0], report);
    let medium = per_object::<3>(sizes[0], report);
    let large = per_object::<7>(sizes[0], report);
    small.iter().flatten().map(|it| it[0]).sum::<u64>()
        + medium.iter().flatten().map(|it| it[1]).sum::<u64>()
        + large.iter().flatten().map(|it| it[2]).sum::<u64>()
}

fn per_object<const WORDS: usize>(objects: u64, report: &mut Report) -> Vec<Option<Arc<[u64; WORDS]>>> {
    let mut all = Vec::with_capacity(objects as usize);
    all.resize(objects as usize, None);
    let before = machine::resident();
    for (number, place) in (0..).zip(&mut all) {
        *place = Some(Arc::new([number; WORDS]));
    }
    report.value(&format!("payload_{}", WORDS * size_of::<u64>()), (machine::resident() - before) / objects as f64);
    all
}
