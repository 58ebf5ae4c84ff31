//! Graphs with edges in mutable vectors.

use crate::{random::Random, report::Report};
use graphgc::{Gc, GcRefCell, GcRwLock, Trace, pin};
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

            /// `Local`s in the queue.
            fn search_pinned(start: &Gc<$node>, nodes: usize) -> u64 {
                let guard = pin();
                let (mut sum, mut place) = (0u64, 0);
                let mut seen = vec![false; nodes];
                seen[start.number as usize] = true;
                let mut queue = VecDeque::from([start.local(&guard)]);
                while let Some(node) = queue.pop_front() {
                    place += 1;
                    sum = sum.wrapping_add(place * u64::from(node.number));
                    for next in node.edges.$read().iter() {
                        if !std::mem::replace(&mut seen[next.number as usize], true) {
                            queue.push_back(next.local(&guard));
                        }
                    }
                }
                sum
            }

            fn program(sizes: &[u64], report: &mut Report, search: fn(&Gc<$node>, usize) -> u64) -> u64 {
                let [nodes, edges, searches, rewires] = *sizes else { unreachable!() };
                let mut random = Random::new(1);
                let graph = report.phase("build", || $node::graph(&mut random, nodes, edges));
                let search = || search(&graph[0], graph.len());
                let first = report.phase("bfs", || (0..searches).map(|_| search()).fold(0, u64::wrapping_add));
                report.phase("rewire", || $node::rewire(&graph, &mut random, rewires));
                first.wrapping_add(search())
            }
        }
    };
}

graph!(Node, GcRefCell, borrow, borrow_mut);
graph!(Locked, GcRwLock, read, write);

/// Handles in the queue.
fn search(start: &Gc<Node>, nodes: usize) -> u64 {
    let (mut sum, mut place) = (0u64, 0);
    let mut seen = vec![false; nodes];
    seen[start.number as usize] = true;
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(node) = queue.pop_front() {
        place += 1;
        sum = sum.wrapping_add(place * u64::from(node.number));
        for next in node.edges.borrow().iter() {
            if !std::mem::replace(&mut seen[next.number as usize], true) {
                queue.push_back(next.clone());
            }
        }
    }
    sum
}

pub(super) fn plain(sizes: &[u64], report: &mut Report) -> u64 {
    Node::program(sizes, report, search)
}

pub(super) fn pinned(sizes: &[u64], report: &mut Report) -> u64 {
    Node::program(sizes, report, Node::search_pinned)
}

pub(super) fn locked(sizes: &[u64], report: &mut Report) -> u64 {
    Locked::program(sizes, report, Locked::search_pinned)
}
