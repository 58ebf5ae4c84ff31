//! Handles whose counts wait on the thread that made them: they end there or elsewhere, before a collection and after.

use graphgc::{Gc, GcCell, Trace, Weak, collect, verify};
use graphgc_tests::{
    payload::{Canary, Leaf, drops_of, new_id},
    random::Random,
};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

#[derive(Trace)]
struct Node {
    canary: Canary,
    leaf: Leaf,
    next: GcCell<Option<Gc<Node>>>,
}

fn node() -> Gc<Node> {
    let id = new_id();
    Gc::new(Node { canary: Canary::new(id), leaf: Leaf::new(id), next: GcCell::new(None) })
}

/// A cell in the heap that leads to a new node, and the node's id.
fn held() -> (Gc<GcCell<Option<Gc<Node>>>>, u32) {
    let node = node();
    let id = node.leaf.check();
    (Gc::new(GcCell::new(Some(node))), id)
}

#[test]
fn what_is_got_and_dropped_goes_with_its_cell() {
    let (cell, id) = held();
    for _ in 0..3 {
        cell.get().unwrap().canary.check();
    }
    cell.set(None);
    collect();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn handles_end_on_another_thread() {
    const HANDLES: usize = 1000;
    let cells: Vec<_> = (0..HANDLES).map(|_| held()).collect();
    for round in 0..3 {
        let (sender, receiver) = mpsc::channel::<Gc<Node>>();
        let other = thread::spawn(move || receiver.into_iter().map(|node| node.canary.check()).max());
        for (cell, _) in &cells {
            let node = cell.get().unwrap();
            sender.send(node.clone()).unwrap();
            if round == 1 {
                sender.send(node).unwrap();
            }
        }
        drop(sender);
        other.join().unwrap();
    }
    assert!(cells.iter().all(|(_, id)| drops_of(*id) == 0));
    cells.iter().for_each(|(cell, _)| cell.set(None));
    collect();
    assert!(cells.iter().all(|(_, id)| drops_of(*id) == 1));
    assert!(verify().is_empty());
}

/// All but one of the handles that this thread noted end elsewhere.
#[test]
fn the_last_handle_keeps_its_object() {
    let (cell, id) = held();
    let kept = cell.get().unwrap();
    let others: Vec<_> = (0..100).map(|_| kept.clone()).collect();
    cell.set(None);
    thread::spawn(move || drop(others)).join().unwrap();
    collect();
    kept.canary.check();
    assert!(verify().is_empty());
    drop(kept);
    collect();
    assert_eq!(drops_of(id), 1);
}

/// A thread that does nothing more does not keep what it has passed on.
#[test]
fn an_idle_thread_keeps_nothing() {
    let (cell, id) = held();
    let (sender, receiver) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let idle = thread::spawn(move || {
        sender.send(cell.get().unwrap()).unwrap();
        cell.set(None);
        drop((cell, sender));
        ended.recv().unwrap_err();
    });
    let passed: Gc<Node> = receiver.recv().unwrap();
    assert!(receiver.recv().is_err());
    let weak: Weak<Node> = Gc::downgrade(&passed);
    weak.upgrade().unwrap().canary.check();
    drop(passed);
    collect();
    assert_eq!(drops_of(id), 1);
    assert!(weak.upgrade().is_none());
    drop(end);
    idle.join().unwrap();
}

/// Takes a step from one of the nodes, and passes the next one on, keeps it or drops it.
fn walk(kept: &mut Vec<Gc<Node>>, random: &mut Random, sender: &mpsc::SyncSender<Gc<Node>>) {
    let at = random.below(kept.len());
    // Another thread may be turning the edge.
    let Some(next) = kept[at].next.get() else { return };
    next.canary.check();
    match random.below(4) {
        0 => _ = sender.try_send(next),
        1 => kept[at] = next.clone(),
        2 if kept.len() < 20 => kept.push(next),
        _ if kept.len() > 1 => drop(kept.swap_remove(at)),
        _ => {}
    }
}

/// Takes the node's edge out and puts it back.
fn turn(node: &Gc<Node>) {
    node.canary.check();
    let target = node.next.take();
    node.next.set(target.or_else(|| Some(node.clone())));
}

/// Threads in a ring pass handles on, keep some for a while, and end others, while one collects and looks for damage.
#[test]
fn handles_go_round_beside_the_collector() {
    const THREADS: usize = 4;
    const STEPS: usize = 300_000;
    let nodes: Vec<Gc<Node>> = (0..64).map(|_| node()).collect();
    for (index, node) in nodes.iter().enumerate() {
        node.next.set(Some(nodes[(index * 5 + 1) % nodes.len()].clone()));
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::sync_channel::<Gc<Node>>(8)).unzip();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let walkers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(index, receiver)| {
                let sender = senders[(index + 1) % THREADS].clone();
                let start = nodes[index].clone();
                scope.spawn(move || {
                    let mut random = Random::of_run(index as u64 + 1);
                    let mut kept = vec![start];
                    for _ in 0..STEPS {
                        walk(&mut kept, &mut random, &sender);
                        if let Ok(passed) = receiver.try_recv() {
                            turn(&passed);
                        }
                    }
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            while !done.load(Relaxed) {
                collect();
                assert!(verify().is_empty());
            }
        });
        walkers.into_iter().for_each(|walker| walker.join().unwrap());
        done.store(true, Relaxed);
        collector.join().unwrap();
    });
    drop(senders);
    let ids: Vec<u32> = nodes.iter().map(|node| node.leaf.check()).collect();
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    drop(nodes);
    collect();
    assert!(ids.iter().all(|id| drops_of(*id) == 1), "all are garbage now");
    assert!(verify().is_empty());
}
