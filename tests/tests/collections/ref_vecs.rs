//! Vectors of one thread.

use super::everywhere;
use graphgc::{Gc, GcRefVec, GcVec, Trace, Weak, collect, pin};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_here, panics_quietly},
    payload::{Canary, Leaf, drops_of, new_id},
    random::Random,
    sound::while_collecting,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Trace)]
struct Link {
    canary: Canary,
    edges: GcRefVec<Gc<Link>>,
}

#[derive(Trace)]
struct Node {
    leaf: Leaf,
    edges: GcRefVec<Gc<Node>>,
}

/// Whether `change` panics because the vector is borrowed.
fn conflicts<R>(change: impl FnOnce() -> R) -> bool {
    let Err(panic) = catch_unwind(AssertUnwindSafe(change)) else { return false };
    panic.downcast_ref::<&str>() == Some(&"the `GcRefVec` is borrowed already")
}

fn numbers(vec: &GcRefVec<Gc<u32>>) -> Vec<u32> {
    vec.borrow().iter().map(|number| **number).collect()
}

#[test]
fn gives_its_elements_out() {
    let vec: GcRefVec<_> = (0..3).map(Gc::new).collect();
    let elements: Vec<_> = vec.clone().into_iter().collect();
    assert_eq!(elements.iter().map(|number| **number).collect::<Vec<_>>(), numbers(&vec));
}

#[test]
fn changes_as_std_does() {
    everywhere(|vec: &GcRefVec<Gc<u32>>| {
        let mut model = Vec::new();
        let mut random = Random::new(7);
        let mut guard = pin();
        for turn in 0..20_000u32 {
            if turn % 64 == 0 {
                guard.repin();
            }
            let len = model.len();
            let (index, other) = (random.below(len.max(1)), random.below(len.max(1)));
            match random.below(if len == 0 { 4 } else { 18 }) {
                0..2 => {
                    vec.push(Gc::new(turn));
                    model.push(turn);
                }
                2 => {
                    vec.push_local(guard.alloc(turn), &guard);
                    model.push(turn);
                }
                3 => {
                    vec.insert(index, Gc::new(turn));
                    model.insert(index, turn);
                }
                4 => assert_eq!(vec.pop().as_deref().copied(), model.pop()),
                5 => assert_eq!(*vec.remove(index), model.remove(index)),
                6 => assert_eq!(*vec.swap_remove(index), model.swap_remove(index)),
                7 => {
                    vec.swap(index, other);
                    model.swap(index, other);
                }
                8 => assert_eq!(*vec.replace(index, Gc::new(turn)), std::mem::replace(&mut model[index], turn)),
                9 => {
                    vec.set(index, vec.get(other).unwrap());
                    model[index] = model[other];
                }
                10 => {
                    vec.store(index, vec.load(other, &guard).unwrap(), &guard);
                    model[index] = model[other];
                }
                11 => {
                    vec.store(index, guard.alloc(turn), &guard);
                    model[index] = turn;
                }
                12 if turn % 50 == 0 => {
                    vec.retain(|number| **number % 3 != 0);
                    model.retain(|number| number % 3 != 0);
                }
                13 if turn % 50 == 0 => {
                    vec.sort_by(|a, b| b.cmp(a));
                    model.sort_by(|a, b| b.cmp(a));
                }
                14 if turn % 500 == 0 => {
                    vec.truncate(index);
                    model.truncate(index);
                }
                15 if turn % 50 == 0 => {
                    assert!(vec.iter_pinned(&guard).map(|number| *number).eq(model.iter().copied()));
                }
                _ => assert_eq!(vec.load(index, &guard).as_deref(), model.get(index)),
            }
        }
        assert_eq!(numbers(vec), model);
        vec.clear();
        assert!(vec.is_empty());
    });
}

/// The loop that walks over a vector changes it; what it has met stays for as long as it is pinned.
#[test]
fn changed_while_it_is_walked_over() {
    everywhere(|vec: &GcRefVec<Gc<u32>>| {
        (0..4).for_each(|number| vec.push(Gc::new(number)));
        let guard = pin();
        let mut met = Vec::new();
        for number in vec.iter_pinned(&guard) {
            met.push(number);
            match *number {
                1 => (10..40).for_each(|more| vec.push(Gc::new(more))),
                11 => vec.truncate(6),
                _ => (),
            }
        }
        vec.clear();
        assert_eq!(met.iter().map(|number| **number).collect::<Vec<_>>(), [0, 1, 2, 3, 10, 11]);
        let mut steps = vec.iter_pinned(&guard);
        assert!(steps.next().is_none());
        vec.push(Gc::new(7));
        assert_eq!(steps.next().as_deref(), Some(&7), "each step takes what is there then");
        vec.retain(|_| {
            assert!(conflicts(|| _ = vec.iter_pinned(&guard).next()));
            false
        });
    });
}

/// A panic names the line that is to blame, not one of the crate's.
#[test]
fn panics_name_the_callers_line() {
    everywhere(|vec: &GcRefVec<Gc<u32>>| {
        vec.push(Gc::new(1));
        let guard = pin();
        let seven = guard.alloc(7);
        assert!(panics_here(|| vec.set(1, Gc::new(2))) && panics_here(|| vec.store(1, seven, &guard)));
        assert!(panics_here(|| vec.replace(1, Gc::new(2))) && panics_here(|| vec.swap(0, 1)));
        assert!(panics_here(|| vec.swap_remove(1)) && panics_here(|| vec.remove(1)));
        let borrow = vec.borrow();
        assert!(panics_here(|| vec.push(Gc::new(2))) && panics_here(|| vec.pop()) && panics_here(|| vec.clear()));
        assert!(panics_here(|| vec.push_local(seven, &guard)) && panics_here(|| vec.store(0, seven, &guard)));
        drop(borrow);
        vec.retain(|_| {
            assert!(panics_here(|| drop(vec.borrow())) && panics_here(|| vec.get(0)));
            assert!(panics_here(|| _ = vec.load(0, &guard)));
            true
        });
        vec.clear();
    });
    let shared = GcVec::from(vec![Gc::new(1)]);
    assert!(panics_here(|| shared.set(1, Gc::new(2))) && panics_here(|| shared.replace(1, Gc::new(2))));
    assert!(panics_here(|| shared.swap_remove(1)) && panics_here(|| shared.remove(1)));
}

#[test]
fn borrows_exclude_changes() {
    everywhere(|vec: &GcRefVec<Gc<u32>>| {
        vec.push(Gc::new(1));
        let guard = pin();
        let seven = guard.alloc(7);
        let borrow = vec.borrow();
        assert!(conflicts(|| vec.push(Gc::new(2))));
        assert!(conflicts(|| vec.push_local(seven, &guard)));
        assert!(conflicts(|| vec.store(0, seven, &guard)));
        assert!(conflicts(|| vec.reserve(100)));
        assert!(conflicts(|| vec.clear()));
        let again = graphgc::Ref::clone(&borrow);
        drop(borrow);
        assert!(conflicts(|| drop(vec.pop())));
        drop(again);
        vec.retain(|_| {
            assert!(vec.try_borrow().is_err() && conflicts(|| vec.borrow()) && conflicts(|| drop(vec.pop())));
            assert_eq!((vec.len(), vec.is_empty()), (1, false), "no borrow is needed");
            assert!(conflicts(|| vec.push_local(seven, &guard)) && conflicts(|| vec.store(0, seven, &guard)));
            true
        });
        assert!(panics_quietly(|| vec.retain(|_| panic_quietly())));
        vec.push_local(seven, &guard);
        assert_eq!(numbers(vec), [1, 7]);
        vec.clear();
    });
}

/// Under a pin, edges that may be empty, and weak ones.
#[test]
fn stores_edges_of_every_kind() {
    everywhere(|vec: &GcRefVec<Option<Gc<u32>>>| {
        let guard = pin();
        vec.push_local(Some(guard.alloc(1)), &guard);
        vec.push_local(None, &guard);
        vec.store(0, None, &guard);
        vec.store(1, Some(guard.alloc(2)), &guard);
        assert_eq!(vec.borrow().iter().map(Option::as_deref).collect::<Vec<_>>(), [None, Some(&2)]);
        vec.clear();
    });
    let (kept, gone) = (Gc::new(1), Gc::new(2));
    let (weak, other) = (Gc::downgrade(&kept), Gc::downgrade(&gone));
    everywhere(|vec: &GcRefVec<Weak<u32>>| {
        let guard = pin();
        vec.push_local(other.local(&guard), &guard);
        vec.store(0, weak.local(&guard), &guard);
        vec.push_local(other.local(&guard), &guard);
        assert!(vec.borrow()[0].ptr_eq(&weak) && vec.borrow()[1].ptr_eq(&other));
        vec.clear();
    });
}

#[test]
fn cycles_through_them_go() {
    let _alone = alone();
    let id = new_id();
    let node = Gc::new(Node { leaf: Leaf::new(id), edges: GcRefVec::new() });
    node.edges.push(node.clone());
    let guard = pin();
    node.edges.push_local(node.local(&guard), &guard);
    drop(guard);
    collect();
    assert_eq!(node.leaf.check(), id);
    node.edges.set(1, node.clone());
    drop(node);
    settle();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn rewired_while_the_collector_works() {
    while_collecting(|| {
        let mut random = Random::new(3);
        let node = |_| Gc::new(Link { canary: Canary::new(7), edges: GcRefVec::new() });
        let graph: Vec<_> = (0..100).map(node).collect();
        for _ in 0..20_000 {
            let guard = pin();
            let (from, to) = (random.below(graph.len()), random.below(graph.len()));
            let edges = &graph[from].edges;
            let fresh = guard.alloc(Link { canary: Canary::new(7), edges: GcRefVec::new() });
            graphgc::Local::get(fresh).edges.push_local(graph[to].local(&guard), &guard);
            if edges.len() < 8 {
                edges.push_local(fresh, &guard);
            } else {
                edges.store(random.below(8), fresh, &guard);
            }
            for edge in edges.borrow().iter() {
                edge.canary.check();
                edge.edges.borrow()[0].canary.check();
            }
        }
    });
}
