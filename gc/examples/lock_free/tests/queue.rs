//! The queue under load.

use super::{
    load::{Alone, Census, Random, THREADS, Value, at_once, both_homes, check_histories, fewer_if_sanitized, wait_for},
    specifications::{QueueOperation, SequentialQueue},
};
use crate::{
    heap::{Gc, Local, pin},
    queue::Queue,
};

#[test]
fn histories_are_linearizable() {
    let operation = |random: &mut Random| match random.below(2) {
        0 => QueueOperation::Push(random.below(1_000_000)),
        _ => QueueOperation::Pop,
    };
    let pops = vec![QueueOperation::Pop; 17];
    let call = |operation: &QueueOperation, queue: &Queue<u32>| operation.call(queue, &pin());
    check_histories::<SequentialQueue, _>(|| Gc::new(Queue::new()), operation, &pops, call);
    check_histories::<SequentialQueue, _>(|| Box::new(Queue::new()), operation, &pops, call);
}

/// Half of the threads push; the others must meet what each of those pushed in its order.
#[test]
fn every_value_comes_out_once_in_its_producers_order() {
    const PRODUCERS: usize = THREADS / 2;
    const EACH: usize = fewer_if_sanitized(100_000);
    both_homes(Queue::new, |alone, queue: &Queue<Value>| {
        let census = Census::of(PRODUCERS * EACH);
        let produce = |thread| {
            for number in thread * EACH..(thread + 1) * EACH {
                queue.push(census.value(number), &pin());
            }
        };
        let consume = || {
            let mut last = [None; PRODUCERS];
            for _ in 0..EACH {
                let number = wait_for(|| queue.pop(&pin()).map(|value| value.number));
                census.meet(number);
                let before = last[number / EACH].replace(number);
                assert!(before < Some(number), "{number} came out after {before:?}");
            }
        };
        at_once(|thread| if thread < PRODUCERS { produce(thread) } else { consume() });
        assert_eq!(census.met(), PRODUCERS * EACH);
        assert!(queue.pop(&pin()).is_none());
        alone.stop_collecting();
        census.assert_left(0);
        census
    });
}

/// Neither does the dummy keep the last value, nor a value those that were pushed after it.
#[test]
fn nothing_keeps_what_was_taken() {
    let _alone = Alone::new();
    let queue = Gc::new(Queue::new());
    let census = Census::of(1_001);
    queue.push(census.value(0), &pin());
    let kept = queue.pop(&pin()).map(Local::to_gc).unwrap();
    for number in 1..=1_000 {
        queue.push(census.value(number), &pin());
        assert_eq!(queue.pop(&pin()).unwrap().number, number);
    }
    census.assert_left(1);
    assert_eq!(kept.number, 0);
    drop(kept);
    census.assert_left(0);
    assert!(queue.pop(&pin()).is_none());
}

#[test]
fn a_million_nodes_go() {
    const NODES: usize = fewer_if_sanitized(1_000_000);
    both_homes(Queue::new, |alone, queue| {
        let census = Census::of(NODES);
        let mut guard = pin();
        for number in 0..NODES {
            queue.push(census.value(number), &guard);
            guard.repin();
        }
        while queue.pop(&guard).is_some_and(|value| value.number < NODES / 2) {
            guard.repin();
        }
        drop(guard);
        alone.stop_collecting();
        census.assert_left(NODES - NODES / 2 - 1);
        census
    });
}
