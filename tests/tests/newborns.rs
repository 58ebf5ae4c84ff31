//! Objects whose only handle goes before anything else leads to them: their slots are used again at once, and never too early.

use graphgc::{Gc, GcCell, GcRefCell, Local, Trace, collect, pin, stats, verify};
use graphgc_tests::{process::alone, random::Random};
use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

#[derive(Trace)]
struct Node {
    value: u64,
    left: Option<Gc<Node>>,
    right: Option<Gc<Node>>,
}

fn leaf(value: u64) -> Gc<Node> {
    Gc::new(Node { value, left: None, right: None })
}

#[test]
fn what_is_made_for_a_moment_takes_no_memory() {
    alone("what_is_made_for_a_moment_takes_no_memory", &[], || {
        const MADE: u64 = 2_000_000;
        for value in 0..MADE {
            assert_eq!(black_box(Gc::new([value; 4]))[3], value);
        }
        assert!(stats().span_bytes < 1 << 20, "{} bytes", stats().span_bytes);
        assert_eq!(stats().cycles, 0);
        collect();
        assert!(stats().total_objects >= MADE && stats().freed_objects >= MADE, "each was an object all the same");
    });
}

/// The next object is there before the last one goes: two slots are enough.
#[test]
fn what_is_replaced_takes_no_memory() {
    alone("what_is_replaced_takes_no_memory", &[], || {
        const MADE: u64 = 2_000_000;
        let mut held = Gc::new([0; 4]);
        for value in 1..MADE {
            let before = std::mem::replace(&mut held, black_box(Gc::new([value; 4])));
            assert_eq!((before[0], held[3]), (value - 1, value));
        }
        assert!(stats().span_bytes < 1 << 20, "{} bytes", stats().span_bytes);
        assert_eq!(stats().cycles, 0);
        collect();
        assert!(stats().total_objects >= MADE && stats().freed_objects >= MADE - 1, "each was an object all the same");
    });
}

/// As many as are held, in whatever order they go: no more slots are needed, and no collection.
#[test]
fn what_is_held_in_turns_takes_no_more_memory() {
    alone("what_is_held_in_turns_takes_no_more_memory", &[], || {
        const MADE: u64 = 1_000_000;
        let mut random = Random::new(7);
        for held in [4, 100, 5_000] {
            let mut window: Vec<_> = (0..held).map(|value| Gc::new([value; 4])).collect();
            let before = stats().span_bytes;
            for value in held..MADE {
                window[random.below(held as usize)] = Gc::new([value; 4]);
                assert!(window.iter().take(4).all(|it| it.iter().all(|part| *part == it[0])));
            }
            assert!(stats().span_bytes <= before, "{} bytes for {held} objects", stats().span_bytes);
            assert_eq!(stats().cycles, 0);
            let mut values: Vec<_> = window.iter().map(|it| it[1]).collect();
            values.sort_unstable();
            values.dedup();
            assert_eq!(values.len(), held as usize, "two objects in one slot");
        }
        assert_eq!(verify(), []);
        collect();
        assert!(stats().total_objects >= 3 * (MADE - 5_000) && stats().live_objects < 10);
    });
}

/// More than the entries of newborns may be, of several sizes, beside cycles.
#[test]
fn what_is_held_in_large_numbers_stays() {
    let mut random = Random::new(11);
    let mut small: Vec<_> = (0..20_000).map(|value| Gc::new([value; 4])).collect();
    let mut large: Vec<_> = (0..100).map(|value| Gc::new([value; 40])).collect();
    let mut nodes: Vec<_> = (0..100).map(leaf).collect();
    for value in 0..300_000u64 {
        let place = random.below(20_000);
        assert!(small[place].iter().all(|part| *part == small[place][0]));
        small[place] = Gc::new([value; 4]);
        let place = random.below(100);
        assert!(large[place].iter().all(|part| *part == large[place][0]));
        large[place] = Gc::new([value; 40]);
        let place = random.below(100);
        nodes[place] = Gc::new(Node { value, left: Some(leaf(value)), right: Some(nodes[99 - place].clone()) });
        if random.below(100) == 0 {
            nodes[place] = leaf(value);
            // Leaves vacant slots whose entries go before they do.
            small.drain(..random.below(10_000));
            small.resize_with(20_000, || Gc::new([value; 4]));
        }
        if value % 50_000 == 0 {
            collect();
            assert_eq!(verify(), []);
        }
        let node = &nodes[random.below(100)];
        assert!(node.left.as_ref().is_none_or(|it| it.value == node.value));
    }
}

/// What lies in slots of one size and kind: an array, a slice, what was born for a pinned scope. And a node, which does not.
enum Held {
    Array(Gc<[u64; 3]>),
    Slice(Gc<[u64]>),
    Pinned(Gc<[u64; 3]>),
    Node(Gc<Node>),
    Counted(Gc<[u64; 3]>, Gc<[u64; 3]>),
}

impl Held {
    fn new(random: &mut Random, value: u64) -> Self {
        match random.below(8) {
            0 => Held::Slice(Gc::from(&[value; 3][..])),
            1 => {
                let guard = pin();
                // One that nothing leads to when the pin ends, and one that is kept.
                _ = guard.alloc([!value; 3]);
                Held::Pinned(guard.alloc([value; 3]).to_gc())
            }
            2 => Held::Node(leaf(value)),
            3 => {
                let handle = Gc::new([value; 3]);
                Held::Counted(handle.clone(), handle)
            }
            _ => Held::Array(Gc::new([value; 3])),
        }
    }

    fn values(&self) -> [u64; 3] {
        match self {
            Held::Array(it) | Held::Pinned(it) => **it,
            Held::Slice(it) => (**it).try_into().unwrap(),
            Held::Node(it) => [it.value; 3],
            Held::Counted(one, other) => {
                assert_eq!(one, other);
                **one
            }
        }
    }
}

/// Slots go from one kind of birth to another, beside cycles, in threads that end.
#[test]
fn slots_serve_all_kinds_of_births() {
    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let size = [3, 50, 1_000, 9_000][seed as usize];
                let mut held: Vec<_> = (0..size).map(|value| (value, Held::new(&mut random, value))).collect();
                for value in 0..40_000 {
                    let place = random.below(held.len());
                    let (before, it) = &held[place];
                    assert_eq!(it.values(), [*before; 3]);
                    held[place] = (value, Held::new(&mut random, value));
                    if value % 9_000 == 0 {
                        collect();
                        assert_eq!(verify(), []);
                    }
                }
                assert!(held.iter().all(|(value, it)| it.values() == [*value; 3]));
            });
        }
    });
}

/// Two at a time are replaced, in the order in which they were made, beside objects that stay.
#[test]
fn pairs_that_are_replaced_leave_others_alone() {
    let mut kept = vec![];
    let mut pair = (leaf(0), leaf(1));
    for value in (2..20_000).step_by(2) {
        let next = (leaf(value), leaf(value + 1));
        assert_eq!((pair.0.value, pair.1.value), (value - 2, value - 1));
        pair = next;
        if value % 100 == 0 {
            kept.push(leaf(value));
        }
        if value % 5_000 == 0 {
            collect();
        }
    }
    assert_eq!((pair.0.value, pair.1.value), (19_998, 19_999));
    collect();
    assert!(kept.iter().map(|node| node.value).eq((100..20_000).step_by(100)));
}

/// Slots go back in the opposite order; what was made before and after stays what it is.
#[test]
fn last_in_first_out() {
    let before = leaf(1);
    let addresses: Vec<_> = [leaf(2), leaf(3), leaf(4)].into_iter().rev().map(|node| Gc::as_ptr(&node)).collect();
    let again = [leaf(5), leaf(6), leaf(7)];
    assert_eq!(before.value, 1);
    assert!(again.iter().map(|node| node.value).eq(5..8));
    assert!(addresses.iter().all(|address| *address != Gc::as_ptr(&before)));
}

/// A handle that moves into a new object is not one that goes.
#[test]
fn children_stay_however_they_are_claimed() {
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]] {
        let mut nodes: Vec<Option<Gc<Node>>> = (0..6).map(|value| Some(leaf(value))).collect();
        let parents: Vec<_> = order
            .chunks(2)
            .map(|pair| Gc::new(Node { value: 100, left: nodes[pair[0]].take(), right: nodes[pair[1]].take() }))
            .collect();
        let _others: Vec<_> = (50..80).map(leaf).collect();
        collect();
        let found = parents.iter().flat_map(|parent| [&parent.left, &parent.right]).flatten().map(|node| node.value);
        assert!(found.eq(order.map(|index| index as u64)));
    }
}

#[test]
fn what_a_pin_leads_to_stays() {
    let guard = pin();
    let handle = leaf(1);
    let local = handle.local(&guard);
    drop(handle);
    let next = leaf(2);
    assert_eq!((local.value, next.value), (1, 2));
    assert_ne!(Local::as_ptr(local), Gc::as_ptr(&next));
}

/// A counted cell's content can be loaded under a pin: nobody takes a handle then.
#[test]
fn what_was_loaded_from_a_cell_on_the_stack_stays() {
    let guard = pin();
    let cell = GcCell::new(Some(leaf(1)));
    let local = cell.load(&guard).unwrap();
    drop(cell);
    let next = leaf(2);
    assert_eq!((local.value, next.value), (1, 2));

    let cell = GcCell::new(None);
    cell.set(Some(leaf(3)));
    let local = cell.load(&guard).unwrap();
    drop(cell.take());
    let next = leaf(4);
    assert_eq!((local.value, next.value), (3, 4));
}

#[test]
fn what_an_edge_leads_to_stays() {
    let owner = Gc::new(GcCell::new(None));
    let child = leaf(1);
    owner.set(Some(child.clone()));
    drop(child);
    let next = leaf(2);
    assert_eq!((owner.get().unwrap().value, next.value), (1, 2));

    let list = Gc::new(GcRefCell::new(vec![]));
    let child = leaf(3);
    list.borrow_mut().push(child.clone());
    collect();
    drop(child);
    let next = leaf(4);
    assert_eq!((list.borrow()[0].value, next.value), (3, 4));
}

#[test]
fn handles_that_went_to_other_threads() {
    for round in 0..2_000 {
        let handle = leaf(round);
        let clone = handle.clone();
        let other = thread::spawn(move || {
            let value = clone.value;
            (round % 3 == 0).then(|| Gc::new(Node { value, left: Some(clone), right: None }))
        });
        if round % 2 == 0 {
            drop(handle);
            let next = leaf(round + 1);
            let parent = other.join().unwrap();
            assert_eq!(next.value, round + 1);
            assert!(parent.is_none_or(|parent| parent.left.as_ref().unwrap().value == round));
        } else {
            let parent = other.join().unwrap();
            drop(handle);
            let next = leaf(round + 1);
            assert_eq!(next.value, round + 1);
            assert!(parent.is_none_or(|parent| parent.left.as_ref().unwrap().value == round));
        }
    }
}

/// A value with a `Drop` waits for the collector, as ever.
#[test]
fn values_with_a_drop_are_dropped_once() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);

    struct Noisy;
    impl Drop for Noisy {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    #[derive(Trace)]
    struct Holder(#[trace(leaf)] Noisy, Option<Gc<Node>>);

    for value in 0..100 {
        Gc::new(Holder(Noisy, Some(leaf(value))));
    }
    assert_eq!(DROPPED.load(Relaxed), 0);
    collect();
    assert_eq!(DROPPED.load(Relaxed), 100);
}

/// Trees are built and thrown away while cycle follows cycle.
#[test]
fn trees_beside_cycles() {
    fn tree(depth: u64) -> Gc<Node> {
        match depth {
            0 => leaf(0),
            _ => Gc::new(Node { value: depth, left: Some(tree(depth - 1)), right: Some(tree(depth - 1)) }),
        }
    }
    fn check(node: &Node, depth: u64) -> u64 {
        assert_eq!(node.value, depth);
        1 + [&node.left, &node.right].into_iter().flatten().map(|child| check(child, depth - 1)).sum::<u64>()
    }
    thread::scope(|scope| {
        let builders = [12, 9].map(|depth| {
            scope.spawn(move || {
                let mut kept = tree(depth);
                for round in 0..60 {
                    let new = tree(depth);
                    assert_eq!(check(&kept, depth), (2 << depth) - 1);
                    if round % 3 == 0 {
                        kept = new;
                    }
                    drop(leaf(7));
                }
            })
        });
        while !builders.iter().all(thread::ScopedJoinHandle::is_finished) {
            collect();
        }
    });
}
