//! What the collector does: marking, sweeping, and the memory that objects take.

use crate::{contestants::machine::resident, random::Random, report::Report};
use graphgc::{Gc, GcCell, Trace, collect, pin, stats};
use std::mem::size_of;

#[derive(Trace)]
struct Node {
    value: u64,
    children: [GcCell<Option<Gc<Node>>>; 2],
}

/// A tree of that many nodes, each of whose places was drawn at random.
fn shuffled_tree(nodes: u64) -> Gc<Node> {
    let all: Vec<_> = (0..nodes).map(|value| Gc::new(Node { value, children: Default::default() })).collect();
    let order = Random::new(1).permutation(nodes);
    for child in 1..order.len() {
        let (parent, side) = ((child - 1) / 2, (child - 1) % 2);
        all[order[parent]].children[side].set(Some(all[order[child]].clone()));
    }
    all[order[0]].clone()
}

fn sum(root: &Gc<Node>) -> u64 {
    let guard = pin();
    let (mut sum, mut stack) = (0, vec![root.local(&guard)]);
    while let Some(node) = stack.pop() {
        sum += node.value;
        stack.extend(graphgc::Local::get(node).children.iter().filter_map(|child| child.load(&guard)));
    }
    sum
}

pub(super) fn mark(sizes: &[u64], report: &mut Report) -> u64 {
    let [nodes, times] = *sizes else { unreachable!() };
    let root = shuffled_tree(nodes);
    collect();
    let before = stats();
    for _ in 0..times {
        collect();
    }
    let after = stats();
    let (mark, sweep) = (after.mark_time - before.mark_time, after.sweep_time - before.sweep_time);
    let cycles = (after.cycles - before.cycles) as f64;
    report.phases.push(("mark".into(), mark.as_secs_f64() / cycles));
    report.phases.push(("cycle".into(), (mark + sweep).as_secs_f64() / cycles));
    sum(&root)
}

pub(super) fn sweep(sizes: &[u64], report: &mut Report) -> u64 {
    let objects: Vec<_> = (0..sizes[0]).map(|number| Gc::new([number; 4])).collect();
    collect();
    let sum = objects.iter().map(|it| it[0]).sum();
    drop(objects);
    let before = stats();
    collect();
    let after = stats();
    let swept = (after.freed_objects - before.freed_objects) as f64;
    report.value("sweep_ns", (after.sweep_time - before.sweep_time).as_nanos() as f64 / swept);
    sum
}

pub(super) fn bytes(sizes: &[u64], report: &mut Report) -> u64 {
    // All stay to the end: none takes memory over from another.
    let small = per_object::<1>(sizes[0], report);
    let medium = per_object::<3>(sizes[0], report);
    let large = per_object::<7>(sizes[0], report);
    small.iter().flatten().map(|it| it[0]).sum::<u64>()
        + medium.iter().flatten().map(|it| it[1]).sum::<u64>()
        + large.iter().flatten().map(|it| it[2]).sum::<u64>()
}

fn per_object<const WORDS: usize>(objects: u64, report: &mut Report) -> Vec<Option<Gc<[u64; WORDS]>>> {
    let mut all = Vec::with_capacity(objects as usize);
    all.resize(objects as usize, None);
    let before = resident();
    for (number, place) in (0..).zip(&mut all) {
        *place = Some(Gc::new([number; WORDS]));
    }
    report.value(&format!("payload_{}", WORDS * size_of::<u64>()), (resident() - before) / objects as f64);
    all
}
