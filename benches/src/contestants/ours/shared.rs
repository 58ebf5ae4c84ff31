//! What threads share: a graph that they walk, and lists that they push to.

use crate::{
    contestants::machine::on_threads,
    programs::{EDGES, LIST},
    random::Random,
    report::Report,
};
use graphgc::{Gc, GcCell, Local, Trace, pin};

#[derive(Trace)]
struct Node {
    number: u64,
    edges: [GcCell<Option<Gc<Node>>>; EDGES],
}

fn graph(nodes: u64) -> Vec<Gc<Node>> {
    let mut random = Random::new(1);
    let graph: Vec<_> = (0..nodes).map(|number| Gc::new(Node { number, edges: Default::default() })).collect();
    for node in &graph {
        for edge in &node.edges {
            edge.set(Some(graph[random.below(nodes)].clone()));
        }
    }
    graph
}

pub(super) fn read_plain(sizes: &[u64], report: &mut Report) -> u64 {
    read(sizes, report, |start, mut random, steps| {
        let (mut node, mut sum) = (start.clone(), 0u64);
        for _ in 0..steps {
            sum = sum.wrapping_add(node.number);
            node = node.edges[random.below(EDGES as u64)].get().unwrap();
        }
        sum
    })
}

pub(super) fn read_pinned(sizes: &[u64], report: &mut Report) -> u64 {
    read(sizes, report, |start, mut random, steps| {
        let guard = pin();
        let (mut node, mut sum) = (start.local(&guard), 0u64);
        for _ in 0..steps {
            sum = sum.wrapping_add(node.number);
            node = node.edges[random.below(EDGES as u64)].load(&guard).unwrap();
        }
        sum
    })
}

fn read(sizes: &[u64], report: &mut Report, walk: fn(&Gc<Node>, Random, u64) -> u64) -> u64 {
    let [nodes, steps, threads] = *sizes else { unreachable!() };
    let graph = graph(nodes);
    report.phase("walk", || {
        on_threads(threads, |index| {
            // So that each thread's sum counts the same whatever the number of threads.
            walk(&graph[index as usize], Random::new(index + 2), steps)
        })
    })
}

#[derive(Trace)]
struct Link {
    place: u64,
    next: GcCell<Option<Gc<Link>>>,
}

type Lists = Gc<Vec<GcCell<Option<Gc<Link>>>>>;

fn sum(lists: &Lists) -> u64 {
    let guard = pin();
    let mut sum = 0;
    for (index, list) in (1..).zip(lists.iter()) {
        let mut link = list.load(&guard);
        while let Some(it) = link {
            sum += it.place * index;
            link = it.next.load(&guard);
        }
    }
    sum
}

fn churn(sizes: &[u64], report: &mut Report, push_all: fn(&Lists, Random, u64)) -> u64 {
    let [lists, times, threads] = *sizes else { unreachable!() };
    let lists: Lists = Gc::new((0..lists).map(|_| GcCell::default()).collect());
    report.phase("push", || {
        on_threads(threads, |index| {
            push_all(&lists, Random::new(index + 1), times);
            0
        })
    });
    sum(&lists)
}

pub(super) fn churn_plain(sizes: &[u64], report: &mut Report) -> u64 {
    churn(sizes, report, |lists, mut random, times| {
        for _ in 0..times {
            let list = &lists[random.below(lists.len() as u64)];
            loop {
                let head = list.get();
                let kept = head.as_ref().filter(|it| it.place < LIST);
                let place = kept.map_or(0, |it| it.place) + 1;
                let link = Gc::new(Link { place, next: GcCell::new(kept.cloned()) });
                if list.replace_if(&head, Some(link)).is_ok() {
                    break;
                }
            }
        }
    })
}

pub(super) fn churn_pinned(sizes: &[u64], report: &mut Report) -> u64 {
    churn(sizes, report, |lists, mut random, times| {
        let mut guard = pin();
        for time in 0..times {
            if time % 256 == 0 {
                guard.repin();
            }
            let list = &lists[random.below(lists.len() as u64)];
            loop {
                let head = list.load(&guard);
                let kept = head.filter(|it| it.place < LIST);
                let link = guard.alloc(Link { place: kept.map_or(0, |it| it.place) + 1, next: GcCell::default() });
                Local::get(link).next.store(kept, &guard);
                if list.compare_exchange(head, Some(link), &guard).is_ok() {
                    break;
                }
            }
        }
    })
}
