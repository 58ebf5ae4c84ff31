//! Graphs with edges in mutable vectors.

use crate::{programs::Seen, random::Random, report::Report};
use graphgc::{Gc, GcRefCell, GcRefVec, GcRwLock, GcVec, Trace, pin};
use std::collections::VecDeque;

/// A graph whose nodes keep their edges in the given cell.
macro_rules! graph {
    ($node:ident, $cell:ident, $read:ident, $write:ident) => {
        #[derive(Trace)]
        struct $node {
            number: u32,
            edges: $cell<Vec<Gc<$node>>>,
        }

        impl $node {
            fn graph(random: &mut Random, nodes: u64, edges: u64) -> Vec<Gc<$node>> {
                let node = |number| Gc::new($node { number: number as u32, edges: $cell::new(Vec::new()) });
                let graph: Vec<_> = (0..nodes).map(node).collect();
                for _ in 0..edges {
                    let (from, to) = (random.below(nodes), random.below(nodes));
                    graph[from].edges.$write().push(graph[to].clone());
                }
                graph
            }

            fn rewire(graph: &[Gc<$node>], random: &mut Random, times: u64) {
                for _ in 0..times {
                    let (from, to) = (random.below(graph.len() as u64), random.below(graph.len() as u64));
                    let mut edges = graph[from].edges.$write();
                    if !edges.is_empty() {
                        let which = random.below(edges.len() as u64);
                        edges[which] = graph[to].clone();
                    }
                }
            }
        }
    };
}

graph!(Node, GcRefCell, borrow, borrow_mut);
graph!(Locked, GcRwLock, read, write);

/// Edges stored under one pin.
const AT_ONCE: u64 = 1024;

/// A graph whose nodes keep their edges in the given collection, which are stored under pins: nothing is counted.
macro_rules! graph_of_collections {
    ($node:ident, $collection:ident) => {
        #[derive(Trace)]
        struct $node {
            number: u32,
            edges: $collection<Gc<$node>>,
        }

        impl $node {
            fn graph(random: &mut Random, nodes: u64, edges: u64) -> Vec<Gc<$node>> {
                let node = |number| Gc::new($node { number: number as u32, edges: $collection::new() });
                let graph: Vec<_> = (0..nodes).map(node).collect();
                let mut guard = pin();
                for time in 0..edges {
                    if time % AT_ONCE == 0 {
                        guard.repin();
                    }
                    let (from, to) = (random.below(nodes), random.below(nodes));
                    graph[from].edges.push_local(graph[to].local(&guard), &guard);
                }
                graph
            }

            fn rewire(graph: &[Gc<$node>], random: &mut Random, times: u64) {
                let mut guard = pin();
                for time in 0..times {
                    if time % AT_ONCE == 0 {
                        guard.repin();
                    }
                    let (from, to) = (random.below(graph.len() as u64), random.below(graph.len() as u64));
                    let edges = &graph[from].edges;
                    let len = edges.len();
                    if len > 0 {
                        edges.store(random.below(len as u64), graph[to].local(&guard), &guard);
                    }
                }
            }
        }
    };
}

graph_of_collections!(Pinned, GcRefVec);
graph_of_collections!(Shared, GcVec);

/// A search with `Local`s in the queue, which may all stay there.
macro_rules! search_pinned {
    ($node:ident, $read:ident) => {
        impl $node {
            fn search_pinned(start: &Gc<$node>, nodes: usize) -> u64 {
                let guard = pin();
                let (mut sum, mut place) = (0u64, 0);
                let mut seen = Seen::new(nodes, start.number);
                let mut queue = Vec::with_capacity(nodes);
                queue.push(start.local(&guard));
                while let Some(&node) = queue.get(place) {
                    place += 1;
                    sum = sum.wrapping_add(place as u64 * u64::from(node.number));
                    for next in node.edges.$read().iter() {
                        if seen.is_new(next.number) {
                            queue.push(next.local(&guard));
                        }
                    }
                }
                sum
            }
        }
    };
}

search_pinned!(Pinned, borrow);
search_pinned!(Shared, read);
search_pinned!(Locked, read);

/// Handles in the queue.
fn search(start: &Gc<Node>, nodes: usize) -> u64 {
    let (mut sum, mut place) = (0u64, 0);
    let mut seen = Seen::new(nodes, start.number);
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(node) = queue.pop_front() {
        place += 1;
        sum = sum.wrapping_add(place * u64::from(node.number));
        for next in node.edges.borrow().iter() {
            if seen.is_new(next.number) {
                queue.push_back(next.clone());
            }
        }
    }
    sum
}

/// The program with nodes of one kind: how a graph of them is built, rewired and searched.
fn program<N>(
    sizes: &[u64],
    report: &mut Report,
    build: fn(&mut Random, u64, u64) -> Vec<Gc<N>>,
    rewire: fn(&[Gc<N>], &mut Random, u64),
    search: fn(&Gc<N>, usize) -> u64,
) -> u64 {
    let [nodes, edges, searches, rewires] = *sizes else { unreachable!() };
    let mut random = Random::new(1);
    let graph = report.phase("build", || build(&mut random, nodes, edges));
    let search = || search(&graph[0], graph.len());
    let first = report.phase("bfs", || (0..searches).map(|_| search()).fold(0, u64::wrapping_add));
    report.phase("rewire", || rewire(&graph, &mut random, rewires));
    first.wrapping_add(search())
}

pub(super) fn plain(sizes: &[u64], report: &mut Report) -> u64 {
    program(sizes, report, Node::graph, Node::rewire, search)
}

pub(super) fn pinned(sizes: &[u64], report: &mut Report) -> u64 {
    program(sizes, report, Pinned::graph, Pinned::rewire, Pinned::search_pinned)
}

pub(super) fn shared(sizes: &[u64], report: &mut Report) -> u64 {
    program(sizes, report, Shared::graph, Shared::rewire, Shared::search_pinned)
}

pub(super) fn locked(sizes: &[u64], report: &mut Report) -> u64 {
    program(sizes, report, Locked::graph, Locked::rewire, Locked::search_pinned)
}
