//! Vectors.

use super::everywhere;
use graphgc::{Gc, GcCell, GcRefCell, GcRefVec, GcRwLock, GcVec, Trace, Weak, collect, pin, verify};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_quietly},
    payload::{Leaf, drops_of, new_id},
    random::Random,
    sound::while_collecting,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

#[derive(Trace)]
struct Node {
    leaf: Leaf,
    edges: GcVec<Gc<Node>>,
}

fn node() -> Gc<Node> {
    Gc::new(Node { leaf: Leaf::new(new_id()), edges: GcVec::new() })
}

fn numbers(vec: &GcVec<Gc<u32>>) -> Vec<u32> {
    vec.read().iter().map(|number| **number).collect()
}

#[test]
fn changes_as_std_does() {
    everywhere(|vec: &GcVec<Gc<u32>>| {
        let mut model = Vec::new();
        let mut random = Random::new(7);
        for turn in 0..20_000u32 {
            let len = model.len();
            let (index, other) = (random.below(len.max(1)), random.below(len.max(1)));
            match random.below(if len == 0 { 4 } else { 16 }) {
                0..3 => {
                    vec.push(Gc::new(turn));
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
                    vec.set(index, Gc::new(turn));
                    model[index] = turn;
                }
                10 if turn % 8 == 0 => {
                    vec.retain(|number| **number % 3 != turn % 3);
                    model.retain(|number| number % 3 != turn % 3);
                }
                11 if turn % 8 == 0 => {
                    vec.sort_by_key(|number| **number % 100);
                    model.sort_by_key(|number| number % 100);
                }
                12 if turn % 8 == 0 => {
                    let range = index.min(other)..index.max(other);
                    let drained: Vec<u32> = vec.drain(range.clone()).map(|number| *number).collect();
                    assert_eq!(drained, model.drain(range).collect::<Vec<_>>());
                }
                13 if turn % 64 == 0 => {
                    vec.truncate(index);
                    model.truncate(index);
                }
                14 => {
                    vec.extend([Gc::new(turn), Gc::new(turn + 1)]);
                    model.extend([turn, turn + 1]);
                }
                15 if turn % 8 == 0 => {
                    vec.reverse();
                    model.reverse();
                }
                _ => assert_eq!(vec.get(index).as_deref(), model.get(index)),
            }
            if turn % 100 == 0 {
                assert_eq!(numbers(vec), model);
            }
        }
        assert_eq!((vec.len(), vec.is_empty()), (model.len(), model.is_empty()));
        assert_eq!(vec.take().into_iter().map(|number| *number).collect::<Vec<_>>(), model);
        assert!(vec.is_empty() && vec.first().is_none() && vec.last().is_none());
    });
}

#[test]
fn long_shifts_are_copies() {
    everywhere(|vec: &GcVec<Gc<u32>>| {
        let zero = Gc::new(0);
        vec.extend((0..10_000).map(|_| zero.clone()));
        vec.insert(1, Gc::new(1));
        assert_eq!((vec.len(), *vec.get(1).unwrap(), *vec.get(2).unwrap()), (10_001, 1, 0));
        assert_eq!(*vec.remove(1), 1);
        assert_eq!((vec.len(), *vec.get(1).unwrap()), (10_000, 0));
        vec.clear();
        assert!(vec.is_empty() && vec.capacity() >= 10_000);
    });
}

#[test]
fn what_is_owned_is_changed_as_a_vec() {
    let mut vec: GcVec<_> = (0..3).map(Gc::new).collect();
    Extend::extend(&mut vec, [Gc::new(3), Gc::new(4)]);
    vec.get_mut().swap(1, 2);
    assert_eq!((numbers(&vec), format!("{vec:?}")), (vec![0, 2, 1, 3, 4], "GcVec(..)".into()));
    let copy = vec.clone();
    vec.clear();
    assert_eq!(copy.into_iter().map(|number| *number).sum::<u32>(), 10);
    assert!(GcVec::<Gc<u32>>::default().into_inner().is_empty());
    let optional = GcVec::from(vec![None, Some(Gc::new(1))]);
    assert_eq!(optional.read().iter().flatten().count(), 1);
}

/// What makes nodes small: the rest lies where the elements are.
#[test]
fn sizes_in_a_node() {
    assert_eq!(size_of::<GcVec<Gc<u32>>>(), 16);
    assert_eq!(size_of::<GcRefVec<Gc<u32>>>(), 20);
    assert_eq!(size_of::<(u32, GcRefVec<Gc<u32>>)>(), 24);
}

#[test]
fn indices_out_of_range_panic_and_nothing_is_lost() {
    everywhere(|vec: &GcVec<Gc<u32>>| {
        vec.push(Gc::new(1));
        let gone = |attempt: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(attempt)).is_err());
        gone(&|| vec.set(1, Gc::new(2)));
        gone(&|| vec.swap(0, 1));
        gone(&|| vec.insert(2, Gc::new(2)));
        gone(&|| drop(vec.remove(1)));
        gone(&|| drop(vec.swap_remove(1)));
        gone(&|| drop(vec.drain(0..2)));
        gone(&|| vec.reserve(usize::MAX));
        assert!(vec.try_reserve(usize::MAX / 8).is_err());
        assert_eq!(numbers(vec), [1]);
        assert!(vec.get(1).is_none());
        vec.truncate(7);
        assert_eq!(vec.len(), 1);
    });
}

#[test]
fn panics_of_users_code_leave_all_as_it_was() {
    everywhere(|vec: &GcVec<Gc<u32>>| {
        vec.extend((0..10).map(Gc::new));
        assert!(panics_quietly(|| vec.retain(|number| **number < 5 || panic_quietly())));
        assert!(panics_quietly(|| vec.sort_by(|_, _| panic_quietly())));
        assert!(panics_quietly(|| vec.extend((10..12).map(|n| if n == 11 { panic_quietly() } else { Gc::new(n) }))));
        assert_eq!(numbers(vec), (0..11).collect::<Vec<_>>());
        vec.push(Gc::new(11));
        assert_eq!(vec.len(), 12);
    });
}

#[test]
fn cycles_go_and_what_is_reachable_stays() {
    let _alone = alone();
    let (one, two, three) = (node(), node(), node());
    let ids = [&one, &two, &three].map(|node| node.leaf.check());
    one.edges.push(two.clone());
    two.edges.extend([one.clone(), three.clone(), two.clone()]);
    drop((two, three));
    settle();
    let two = one.edges.get(0).unwrap();
    assert_eq!(two.edges.read().iter().map(|node| node.leaf.check()).collect::<Vec<_>>(), [ids[0], ids[2], ids[1]]);
    let three = two.edges.remove(1);
    drop((one, two));
    settle();
    assert_eq!(ids.map(drops_of), [1, 1, 0]);
    three.leaf.check();
    three.edges.push(three.clone());
    three.edges.clear();
    drop(three);
    settle();
    assert_eq!(drops_of(ids[2]), 1);
}

#[test]
fn in_other_cells_they_are_opened_with_them() {
    let _alone = alone();
    let owner = Gc::new(GcRefCell::new(vec![GcVec::new(), GcVec::new()]));
    let leaf = node();
    let id = leaf.leaf.check();
    owner.borrow()[0].push(leaf);
    collect();
    let moved = owner.borrow_mut().swap_remove(0).into_inner();
    owner.borrow()[0].push(moved[0].clone());
    drop(moved);
    settle();
    owner.borrow()[0].get(0).unwrap().leaf.check();
    // Borrowed for writing it is counted.
    let mut content = owner.borrow_mut();
    Extend::extend(&mut content[0], [node()]);
    content[0].push(node());
    settle();
    assert_eq!(content[0].len(), 3);
    drop(content);
    drop(owner);
    settle();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn leaked_readers_keep_writers_out_and_nothing_else() {
    let _alone = alone();
    let owner = node();
    let (id, inner) = (owner.leaf.check(), node());
    let inner_id = inner.leaf.check();
    owner.edges.push(inner);
    std::mem::forget(owner.edges.read());
    settle();
    assert!(owner.edges.try_read().is_some());
    assert_eq!(owner.edges.get(0).unwrap().leaf.check(), inner_id);
    drop(owner);
    settle();
    assert_eq!([id, inner_id].map(drops_of), [1, 1]);
    let vec = GcVec::from(vec![node()]);
    std::mem::forget(vec.read());
    let id = vec.read()[0].leaf.check();
    let moved = Gc::new(vec);
    settle();
    moved.read()[0].leaf.check();
    drop(moved);
    settle();
    assert_eq!(drops_of(id), 1);
}

/// Code that has the vector to itself may ask for its length, too.
#[test]
fn the_length_is_known_while_the_lock_is_held() {
    everywhere(|vec: &GcVec<Gc<u32>>| {
        vec.extend((0..3).map(Gc::new));
        vec.retain(|number| {
            assert_eq!((vec.len(), vec.is_empty()), (3, false));
            **number > 0
        });
        assert_eq!(vec.len(), 2);
        vec.clear();
        assert!(vec.is_empty());
    });
}

/// Whoever looks sees the vector grow, element by element, through all its buffers, and never shrink.
#[test]
fn grows_under_the_eyes_of_another_thread() {
    let turns = 2_000;
    everywhere(|vec: &GcVec<Gc<u32>>| {
        std::thread::scope(|scope| {
            let pusher = scope.spawn(|| (0..turns).for_each(|number| vec.push(Gc::new(number as u32))));
            let mut before = 0;
            while !pusher.is_finished() {
                let now = vec.len();
                assert!((before..=turns).contains(&now), "{now} after {before}");
                before = now;
                std::thread::yield_now();
            }
        });
        assert_eq!(vec.len(), turns);
        vec.clear();
    });
}

#[test]
fn dead_vectors_drop_what_is_counted() {
    let _alone = alone();
    let inner = node();
    let id = inner.leaf.check();
    let owner = Gc::new(GcRwLock::new(GcVec::from(vec![inner])));
    // Opened: counted, and so it dies.
    owner.write().push(node());
    drop(owner);
    settle();
    settle();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn under_a_pin() {
    let _alone = alone();
    for vec in [Gc::new(GcVec::new()), Gc::new(GcVec::from(vec![Gc::new(0)]))] {
        let before = vec.len();
        let guard = pin();
        for n in 0..1000 {
            vec.push_local(guard.alloc(n), &guard);
        }
        vec.store(before, guard.alloc(7), &guard);
        drop(guard);
        settle();
        let guard = pin();
        let first = vec.load(before, &guard).unwrap();
        let sum: u32 = vec.iter_pinned(&guard).map(|number| *number).sum();
        vec.clear();
        assert_eq!((sum, *first), (499_507, 7));
        assert!(vec.load(0, &guard).is_none());
    }
    let counted = GcVec::new();
    let guard = pin();
    counted.push_local(guard.alloc(1), &guard);
    counted.store(0, guard.alloc(2), &guard);
    drop(guard);
    settle();
    assert_eq!(numbers(&counted), [2]);
}

/// Threads move the same objects between vectors while cycles run. None is lost, none appears twice.
#[test]
fn threads_change_them_while_the_collector_works() {
    const EACH: usize = 3000;
    let _alone = alone();
    let vecs = Gc::new([GcVec::new(), GcVec::new(), GcVec::new()]);
    let first = new_id();
    for vec in vecs.iter() {
        vec.extend((0..EACH).map(|_| Gc::new(Leaf::new(new_id()))));
    }
    while_collecting(|| {
        thread::scope(|scope| {
            for seed in 0..3 {
                let vecs = vecs.clone();
                scope.spawn(move || {
                    let mut random = Random::of_run(seed + 1);
                    for _ in 0..if cfg!(debug_assertions) { 4000 } else { 20_000 } {
                        let (from, to) = (&vecs[random.below(3)], &vecs[random.below(3)]);
                        let Some(moved) = from.pop() else { continue };
                        moved.check();
                        match random.below(40) {
                            0 => to.insert(0, moved),
                            1 => {
                                to.push(moved);
                                to.sort_by_key(|leaf| std::cmp::Reverse(leaf.check()));
                            }
                            2 => {
                                to.push(moved);
                                to.reverse();
                            }
                            3 => {
                                to.push(moved);
                                to.retain(|leaf| leaf.check() > first);
                            }
                            // The first is never emptied at once: between a look at its length and a swap in it there are a few pops at most.
                            4 if !ptr::eq(to, &vecs[0]) => {
                                to.push(moved);
                                from.extend(to.take());
                            }
                            _ => {
                                to.push(moved);
                                if vecs[0].len() > 2 * EACH {
                                    vecs[0].swap(random.below(EACH), random.below(EACH));
                                }
                            }
                        }
                    }
                });
            }
        });
    });
    settle();
    let mut ids: Vec<u32> = vecs.iter().flat_map(GcVec::to_vec).map(|leaf| leaf.check()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3 * EACH);
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    let violations = verify();
    assert!(violations.is_empty(), "{violations:?}");
    drop(vecs);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// A writer that pushes all the time keeps no cycle open.
#[test]
fn a_busy_writer_and_a_large_vector() {
    let _alone = alone();
    let cell = GcCell::new(Some(Gc::new(Leaf::new(new_id()))));
    let vec = Gc::new(GcVec::new());
    let leaf = Gc::new(Leaf::new(new_id()));
    vec.extend((0..300_000).map(|_| leaf.clone()));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                vec.push(leaf.clone());
                drop(vec.swap_remove(0));
            }
        });
        thread::sleep(Duration::from_millis(10));
        let dying = cell.take().unwrap();
        let id = dying.check();
        drop(dying);
        collect();
        stop.store(true, SeqCst);
        assert_eq!(drops_of(id), 1);
    });
    assert_eq!(vec.len(), 300_000);
}

#[test]
fn weak_elements() {
    let strong = Gc::new(7);
    let vec = Gc::new(GcVec::new());
    vec.extend([Gc::downgrade(&strong), Weak::new(), Gc::downgrade(&strong)]);
    settle();
    assert_eq!(*vec.get(0).unwrap().upgrade().unwrap(), 7);
    assert!(vec.get(1).unwrap().upgrade().is_none());
    assert!(vec.replace(2, Weak::new()) == Gc::downgrade(&strong));
    let guard = pin();
    assert_eq!(vec.iter_pinned(&guard).filter(|weak| weak.upgrade(&guard).is_some()).count(), 1);
    drop((guard, strong));
    settle();
    assert!(vec.to_vec().iter().all(|weak| weak.upgrade().is_none()));
    assert_eq!(graphgc::verify(), []);
}
