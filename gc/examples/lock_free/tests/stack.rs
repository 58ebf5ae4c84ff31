//! The stack under load.

use super::{
    load::{Alone, Census, Random, THREADS, Value, at_once, both_homes, check_histories, fewer_if_sanitized},
    specifications::{SequentialStack, StackOperation},
};
use crate::{
    heap::{Gc, pin},
    stack::Stack,
};
use std::{thread, time::Duration};

#[test]
fn histories_are_linearizable() {
    let operation = |random: &mut Random| match random.below(2) {
        0 => StackOperation::Push(random.below(1_000_000)),
        _ => StackOperation::Pop,
    };
    let pops = vec![StackOperation::Pop; 17];
    let call = |operation: &StackOperation, stack: &Stack<u32>| operation.call(stack, &pin());
    check_histories::<SequentialStack, _>(|| Gc::new(Stack::new()), operation, &pops, call);
    check_histories::<SequentialStack, _>(|| Box::new(Stack::new()), operation, &pops, call);
}

/// Two values are pushed for one that is popped; the rest comes out at last.
#[test]
fn every_value_comes_out_once_and_is_dropped_once() {
    const EACH: usize = fewer_if_sanitized(40_000);
    both_homes(Stack::new, |alone, stack: &Stack<Value>| {
        let census = Census::of(THREADS * EACH);
        let take = || stack.pop(&pin()).map(|value| census.meet(value.number));
        at_once(|thread| {
            for number in thread * EACH..(thread + 1) * EACH {
                stack.push(census.value(number), &pin());
                if number % 2 == 0 {
                    take().expect("nobody takes more than was put in");
                }
            }
        });
        assert_eq!(census.met(), THREADS * EACH / 2);
        while take().is_some() {}
        assert_eq!(census.met(), THREADS * EACH);
        alone.stop_collecting();
        census.assert_left(0);
        census
    });
}

/// What a thread has popped stays until its pin is gone, whatever the collector does.
#[test]
fn a_value_outlasts_the_stack_under_a_pin() {
    let mut alone = Alone::collecting();
    let census = Census::of(1);
    let stack = Gc::new(Stack::new());
    stack.push(census.value(0), &pin());
    let guard = pin();
    let value = stack.pop(&guard).unwrap();
    drop(stack);
    thread::sleep(Duration::from_millis(50));
    assert_eq!((value.number, census.dropped()), (0, 0));
    drop(guard);
    alone.stop_collecting();
    census.assert_left(0);
}

#[test]
fn a_million_nodes_go() {
    const NODES: usize = fewer_if_sanitized(1_000_000);
    both_homes(Stack::new, |alone, stack| {
        let census = Census::of(NODES);
        let mut guard = pin();
        for number in 0..NODES {
            stack.push(census.value(number), &guard);
            guard.repin();
        }
        while stack.pop(&guard).is_some_and(|value| value.number > NODES / 2) {
            guard.repin();
        }
        drop(guard);
        alone.stop_collecting();
        census.assert_left(NODES / 2);
        census
    });
}
