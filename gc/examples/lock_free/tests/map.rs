//! The map under load.

use super::{
    load::{Alone, Census, Ending, Random, THREADS, Value, at_once, both_homes, check_histories, fewer_if_sanitized},
    specifications::{MapOperation, SequentialMap},
};
use crate::{
    heap::{Gc, pin},
    map::Map,
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Few keys, so that the threads get in each other's way.
fn any_operation(random: &mut Random, keys: u32) -> MapOperation {
    let key = random.below(keys);
    match random.below(4) {
        0 | 1 => MapOperation::Insert(key, random.below(1_000_000), random.below(3) as usize),
        2 => MapOperation::Remove(key),
        _ => MapOperation::Get(key),
    }
}

#[test]
fn alone_it_does_what_stds_does() {
    let _alone = Alone::collecting();
    let (map, mut sequential, mut random) = (Map::new(), SequentialMap::default(), Random::new(1));
    for _ in 0..fewer_if_sanitized(200_000) {
        let operation = any_operation(&mut random, 1_000);
        let expected = super::history::Specification::apply(&mut sequential, &operation);
        assert_eq!(operation.call(&map, &pin()), expected, "{operation:?}");
    }
    let guard = pin();
    let pairs = |(&key, &value): (&u32, &u32)| (key, value);
    let expected: BTreeMap<_, _> = (0..1_000).filter_map(|key| Some((key, *map.get(&key, &guard)?))).collect();
    assert!(!expected.is_empty());
    assert!(map.iter(&guard).map(pairs).eq(expected.iter().map(pairs)));
    for key in [0, 1, 500, 999, 1_000] {
        assert!(map.iter_from(&key, &guard).map(pairs).eq(expected.range(key..).map(pairs)), "from {key}");
    }
}

#[test]
fn histories_are_linearizable() {
    let operation = |random: &mut Random| any_operation(random, 3);
    let call = |operation: &MapOperation, map: &Map<u32, u32>| operation.call(map, &pin());
    let gets = [0, 1, 2].map(MapOperation::Get);
    check_histories::<SequentialMap, _>(|| Gc::new(Map::new()), operation, &gets, call);
    check_histories::<SequentialMap, _>(|| Box::new(Map::new()), operation, &gets, call);
}

/// Threads put values in under few keys and take them out again. What went in comes out once: replaced, removed, or left at last.
#[test]
fn every_value_comes_out_once_and_is_dropped_once() {
    const EACH: usize = fewer_if_sanitized(40_000);
    const KEYS: u32 = 16;
    both_homes(Map::new, |alone, map: &Map<u32, Value>| {
        let census = Census::of(THREADS * EACH);
        at_once(|thread| {
            let mut random = Random::new(thread);
            for number in thread * EACH..(thread + 1) * EACH {
                let guard = pin();
                let replaced = map.insert(random.below(KEYS), census.value(number), &guard);
                let removed = map.remove(&random.below(KEYS), &guard);
                replaced.into_iter().chain(removed).for_each(|value| census.meet(value.number));
            }
        });
        let left = map.iter(&pin()).map(|(_, value)| census.meet(value.number)).count();
        assert_eq!(census.met(), THREADS * EACH);
        alone.stop_collecting();
        census.assert_left(left);
        (0..KEYS).for_each(|key| _ = map.remove(&key, &pin()));
        census.assert_left(0);
        census
    });
}

/// Keys that are there all the time: multiples of 4. Others come and go, but for those just before a multiple, which never come.
#[test]
fn iterations_see_what_stays_and_nothing_that_never_was() {
    const KEYS: usize = 2_000;
    const TURNS: usize = fewer_if_sanitized(60_000);
    both_homes(Map::new, |alone, map: &Map<usize, Value>| {
        let lasting = KEYS / 4;
        let census = Census::of(lasting + 2 * TURNS);
        for number in 0..lasting {
            map.insert(4 * number, census.value(number), &pin());
        }
        let writers = AtomicUsize::new(2);
        let write = |writer: usize| {
            let _ends = Ending(&writers);
            let mut random = Random::new(writer);
            for turn in 0..TURNS {
                let [inserted, removed] =
                    [(); 2].map(|()| 4 * random.below(lasting as u32) as usize + 1 + random.below(2) as usize);
                map.insert(inserted, census.value(lasting + writer * TURNS + turn), &pin());
                map.remove(&removed, &pin());
            }
        };
        let iterate = || {
            let mut random = Random::new(9);
            while writers.load(Relaxed) > 0 {
                check_keys(map.iter(&pin()).map(|(&key, _)| key), 0, KEYS);
                let from = random.below(KEYS as u32) as usize;
                check_keys(map.iter_from(&from, &pin()).map(|(&key, _)| key), from, KEYS);
                assert_eq!(map.get(&(from / 4 * 4), &pin()).map(|value| value.number), Some(from / 4));
                assert!(map.get(&(from / 4 * 4 + 3), &pin()).is_none());
            }
        };
        at_once(|thread| if thread < 2 { write(thread) } else { iterate() });
        let left = map.iter(&pin()).count();
        alone.stop_collecting();
        census.assert_left(left);
        census
    });
}

fn check_keys(keys: impl Iterator<Item = usize>, from: usize, end: usize) {
    let keys: Vec<_> = keys.collect();
    assert!(keys.is_sorted_by(|one, other| one < other), "not in order: {keys:?}");
    assert!(keys.iter().all(|&key| key >= from && key % 4 != 3), "never there: {keys:?}");
    let lasting = keys.into_iter().filter(|key| key.is_multiple_of(4));
    assert!(lasting.eq((from..end).filter(|key| key.is_multiple_of(4))), "what stays was not seen");
}

/// A removed entry leaves nothing behind, not even its key.
#[test]
fn nothing_keeps_what_was_removed() {
    let _alone = Alone::new();
    let map = Gc::new(Map::new());
    let [keys, values, sought] = [(); 3].map(|()| Census::of(1_000));
    for number in 0..1_000 {
        map.insert(keys.value(number), values.value(number), &pin());
    }
    for number in (0..1_000).filter(|number| number % 10 != 0) {
        map.remove(&sought.value(number), &pin()).unwrap();
    }
    keys.assert_left(100);
    values.assert_left(100);
    drop(map);
    keys.assert_left(0);
    values.assert_left(0);
}

#[test]
fn a_million_nodes_go() {
    const NODES: usize = fewer_if_sanitized(1_000_000);
    both_homes(Map::new, |alone, map| {
        let census = Census::of(NODES);
        let mut guard = pin();
        for number in 0..NODES {
            map.insert(number, census.value(number), &guard);
            guard.repin();
        }
        drop(guard);
        alone.stop_collecting();
        census.assert_left(NODES);
        census
    });
}
