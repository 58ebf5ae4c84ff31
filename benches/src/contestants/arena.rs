//! `gc-arena`: pointers that are free to copy, and collection between callbacks, which a contestant here leaves often enough.

use super::Contestant;
use crate::{
    programs::{Seen, short_lived_trees},
    random::Random,
    report::Report,
};
use gc_arena::{Arena, Collect, Gc, Mutation, RefLock, Rootable, arena::Root};

pub(super) const CONTESTANT: Contestant = Contestant {
    name: "gc-arena",
    versions: &[
        ("binary_trees", binary_trees),
        ("parent_trees", parent_trees),
        ("list", list),
        ("graph", graph),
        ("alloc", alloc),
        ("alloc_held", alloc),
    ],
    other_allocators: false,
};

/// How many small changes a callback makes.
const BATCH: u64 = 4096;

#[derive(Collect)]
#[collect(no_drop)]
struct Tree<'gc> {
    left: Option<Gc<'gc, Tree<'gc>>>,
    right: Option<Gc<'gc, Tree<'gc>>>,
}

fn tree<'gc>(mc: &Mutation<'gc>, depth: u64) -> Gc<'gc, Tree<'gc>> {
    let child = || (depth > 0).then(|| tree(mc, depth - 1));
    Gc::new(mc, Tree { left: child(), right: child() })
}

fn count(tree: &Tree<'_>) -> u64 {
    1 + tree.left.as_ref().map_or(0, |it| count(it)) + tree.right.as_ref().map_or(0, |it| count(it))
}

fn binary_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let mut arena = Arena::<Rootable![Option<Gc<'_, Tree<'_>>>]>::new(|_| None);
    let stretch = arena.mutate(|mc, _| count(&tree(mc, depth + 1)));
    arena.collect_debt();
    arena.mutate_root(|mc, root| *root = Some(tree(mc, depth)));
    let nodes = short_lived_trees(depth, |depth| {
        let nodes = arena.mutate(|mc, _| count(&tree(mc, depth)));
        arena.collect_debt();
        nodes
    });
    stretch + nodes + arena.mutate(|_, root| root.map_or(0, |it| count(&it)))
}

#[derive(Collect)]
#[collect(no_drop)]
struct Family<'gc> {
    parent: Option<FamilyPointer<'gc>>,
    children: Option<[FamilyPointer<'gc>; 2]>,
}

type FamilyPointer<'gc> = Gc<'gc, RefLock<Family<'gc>>>;

fn family<'gc>(mc: &Mutation<'gc>, depth: u64, parent: Option<FamilyPointer<'gc>>) -> FamilyPointer<'gc> {
    let node = Gc::new(mc, RefLock::new(Family { parent, children: None }));
    if depth > 0 {
        let children = [(); 2].map(|()| family(mc, depth - 1, Some(node)));
        node.borrow_mut(mc).children = Some(children);
    }
    node
}

/// The nodes that know their parent.
fn count_family<'gc>(node: FamilyPointer<'gc>, parent: Option<FamilyPointer<'gc>>) -> u64 {
    let family = node.borrow();
    let known = family.parent.map(Gc::as_ptr) == parent.map(Gc::as_ptr);
    let children = family.children.iter().flatten();
    u64::from(known) + children.map(|child| count_family(*child, Some(node))).sum::<u64>()
}

fn parent_trees(sizes: &[u64], _: &mut Report) -> u64 {
    let depth = sizes[0];
    let mut arena = Arena::<Rootable![Option<FamilyPointer<'_>>]>::new(|_| None);
    let stretch = arena.mutate(|mc, _| count_family(family(mc, depth + 1, None), None));
    arena.collect_debt();
    arena.mutate_root(|mc, root| *root = Some(family(mc, depth, None)));
    let nodes = short_lived_trees(depth, |depth| {
        let nodes = arena.mutate(|mc, _| count_family(family(mc, depth, None), None));
        arena.collect_debt();
        nodes
    });
    stretch + nodes + arena.mutate(|_, root| root.map_or(0, |it| count_family(it, None)))
}

#[derive(Collect)]
#[collect(no_drop)]
struct Item<'gc> {
    value: u64,
    next: Option<ItemPointer<'gc>>,
}

type ItemPointer<'gc> = Gc<'gc, RefLock<Item<'gc>>>;

fn item<'gc>(mc: &Mutation<'gc>, value: u64) -> ItemPointer<'gc> {
    Gc::new(mc, RefLock::new(Item { value, next: None }))
}

fn list(sizes: &[u64], report: &mut Report) -> u64 {
    let [length, walks] = *sizes else { unreachable!() };
    // The first and the last.
    type Ends = Rootable![[ItemPointer<'_>; 2]];
    let arena = report.phase("build", || {
        let mut arena = Arena::<Ends>::new(|mc| [item(mc, 0); 2]);
        for begin in (1..length).step_by(BATCH as usize) {
            arena.mutate_root(|mc, [_, last]: &mut Root<'_, Ends>| {
                for value in begin..length.min(begin + BATCH) {
                    let next = item(mc, value);
                    last.borrow_mut(mc).next = Some(next);
                    *last = next;
                }
            });
            arena.collect_debt();
        }
        arena
    });
    let walk = || {
        arena.mutate(|_, [first, _]| {
            let (mut sum, mut item) = (0, Some(*first));
            while let Some(it) = item {
                let it = it.borrow();
                sum += it.value;
                item = it.next;
            }
            sum
        })
    };
    report.phase("walk", || (0..walks).map(|_| walk()).sum())
}

#[derive(Collect)]
#[collect(no_drop)]
struct Vertex<'gc> {
    number: u32,
    edges: Vec<VertexPointer<'gc>>,
}

type VertexPointer<'gc> = Gc<'gc, RefLock<Vertex<'gc>>>;

type Graph = Rootable![Vec<VertexPointer<'_>>];

fn search(start: VertexPointer<'_>, vertices: usize) -> u64 {
    let (mut sum, mut place) = (0u64, 0);
    let mut seen = Seen::new(vertices, start.borrow().number);
    let mut queue = Vec::with_capacity(vertices);
    queue.push(start);
    while let Some(vertex) = queue.get(place) {
        let vertex = vertex.borrow();
        place += 1;
        sum = sum.wrapping_add(place as u64 * u64::from(vertex.number));
        for next in &vertex.edges {
            if seen.is_new(next.borrow().number) {
                queue.push(*next);
            }
        }
    }
    sum
}

/// Makes `times` changes to the graph, in batches.
fn change(
    arena: &mut Arena<Graph>,
    times: u64,
    mut change: impl for<'gc> FnMut(&Mutation<'gc>, &[VertexPointer<'gc>]),
) {
    for begin in (0..times).step_by(BATCH as usize) {
        arena.mutate(|mc, graph| (begin..times.min(begin + BATCH)).for_each(|_| change(mc, graph)));
        arena.collect_debt();
    }
}

fn graph(sizes: &[u64], report: &mut Report) -> u64 {
    let [vertices, edges, searches, rewires] = *sizes else { unreachable!() };
    let mut random = Random::new(1);
    let mut arena = report.phase("build", || {
        let mut arena = Arena::<Graph>::new(|mc| {
            let vertex = |number| Gc::new(mc, RefLock::new(Vertex { number: number as u32, edges: Vec::new() }));
            (0..vertices).map(vertex).collect()
        });
        change(&mut arena, edges, |mc, graph| {
            let (from, to) = (random.below(vertices), random.below(vertices));
            graph[from].borrow_mut(mc).edges.push(graph[to]);
        });
        arena
    });
    let search = |arena: &Arena<_>| arena.mutate(|_, graph: &Vec<_>| search(graph[0], graph.len()));
    let first = report.phase("bfs", || (0..searches).map(|_| search(&arena)).fold(0, u64::wrapping_add));
    report.phase("rewire", || {
        change(&mut arena, rewires, |mc, graph| {
            let (from, to) = (random.below(vertices), random.below(vertices));
            let edges = &mut graph[from].borrow_mut(mc).edges;
            if !edges.is_empty() {
                let which = random.below(edges.len() as u64);
                edges[which] = graph[to];
            }
        });
    });
    first.wrapping_add(search(&arena))
}

fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
    type Held = Rootable![Vec<Option<Gc<'_, [u64; 4]>>>];
    let [objects, held] = *sizes else { unreachable!() };
    let mut arena = Arena::<Held>::new(|_| vec![None; held as usize]);
    for begin in (0..objects).step_by(BATCH as usize) {
        arena.mutate_root(|mc, all: &mut Root<'_, Held>| {
            for number in begin..objects.min(begin + BATCH) {
                all[(number % held) as usize] = Some(Gc::new(mc, [number; 4]));
            }
        });
        arena.collect_debt();
    }
    arena.mutate(|_, all| all.iter().flatten().map(|it| it[3]).sum())
}
