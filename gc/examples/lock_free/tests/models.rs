//! Loom's turn: small programs on the structures, in every interleaving with few preemptions.
//!
//! Run with `RUSTFLAGS="--cfg graphgc_loom" cargo test -p graphgc --release --example lock_free`. What memory orders allow is explored
//! as well. The clock that numbers the calls orders them, so that "before" means what it means to the threads; without such news loads
//! that only acquire may see different entries of a map change in different orders, as with any structure whose loads do.

use super::{
    history::{Calls, Clock, Specification, assert_linearizable},
    specifications::{MapOperation, QueueOperation, SequentialMap, SequentialQueue, SequentialStack, StackOperation},
};
use crate::{
    heap::{Guard, pin},
    map::Map,
    queue::Queue,
    stack::Stack,
};
use loom::{sync::Arc, thread};
use std::{collections::BTreeSet, fmt::Debug, sync::Mutex};

/// A program: what is done first, what threads do then, at the same time, and what is done when they have ended.
struct Program<S: Specification> {
    before: Vec<S::Operation>,
    threads: Vec<Vec<S::Operation>>,
    after: Vec<S::Operation>,
}

impl<S: Specification + Debug + 'static> Program<S>
where
    S::Operation: Send + Sync,
    S::Response: Send,
{
    /// Runs in all interleavings with at most so many preemptions.
    fn explore<T: 'static>(
        self,
        preemptions: usize,
        new: fn() -> T,
        call: fn(&S::Operation, &T, &Guard) -> S::Response,
    ) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        let program = std::sync::Arc::new(self);
        model.check(move || assert_linearizable(&program.run(new(), call)));
    }

    fn run<T: 'static>(
        self: &std::sync::Arc<Self>,
        object: T,
        call: fn(&S::Operation, &T, &Guard) -> S::Response,
    ) -> Vec<Calls<S>> {
        let shared = Arc::new((object, Clock::new()));
        let record = move |shared: &(T, Clock), operations: &[S::Operation]| {
            shared.1.record(operations, |operation| call(operation, &shared.0, &pin()))
        };
        let mut calls = vec![record(&shared, &self.before)];
        let spawn = |number: usize| {
            let (program, shared) = (self.clone(), shared.clone());
            thread::spawn(move || record(&shared, &program.threads[number]))
        };
        let others: Vec<_> = (1..self.threads.len()).map(spawn).collect();
        calls.push(record(&shared, &self.threads[0]));
        calls.extend(others.into_iter().map(|thread| thread.join().unwrap()));
        calls.push(record(&shared, &self.after));
        calls
    }
}

mod stack {
    use super::{StackOperation::*, *};

    fn explore(before: Vec<StackOperation>, threads: Vec<Vec<StackOperation>>) {
        let program = Program::<SequentialStack> { before, threads, after: vec![Pop, Pop, Pop] };
        program.explore(3, Stack::new, |operation, stack, guard| operation.call(stack, guard));
    }

    #[test]
    fn push_beside_push() {
        explore(vec![], vec![vec![Push(1)], vec![Push(2)]]);
    }

    #[test]
    fn pop_beside_pop() {
        explore(vec![Push(1), Push(2)], vec![vec![Pop], vec![Pop]]);
    }

    #[test]
    fn push_and_pop_beside_pop_and_push() {
        explore(vec![Push(1)], vec![vec![Push(2), Pop], vec![Pop, Push(3)]]);
    }

    /// Where addresses are used again, this is where ABA strikes: one pops two and pushes one while another is about to pop.
    #[test]
    fn pop_pop_push_beside_pop() {
        explore(vec![Push(1), Push(2)], vec![vec![Pop, Pop, Push(3)], vec![Pop]]);
    }

    #[test]
    fn three_threads() {
        explore(vec![Push(1)], vec![vec![Push(2)], vec![Pop], vec![Pop]]);
    }
}

mod queue {
    use super::{QueueOperation::*, *};

    fn explore(before: Vec<QueueOperation>, threads: Vec<Vec<QueueOperation>>) {
        let program = Program::<SequentialQueue> { before, threads, after: vec![Pop, Pop, Pop] };
        program.explore(3, Queue::new, |operation, queue, guard| operation.call(queue, guard));
    }

    #[test]
    fn push_beside_push() {
        explore(vec![], vec![vec![Push(1)], vec![Push(2)]]);
    }

    #[test]
    fn pop_beside_pop() {
        explore(vec![Push(1), Push(2)], vec![vec![Pop], vec![Pop]]);
    }

    #[test]
    fn pop_beside_pushes_into_an_empty_queue() {
        explore(vec![], vec![vec![Push(1), Push(2)], vec![Pop, Pop]]);
    }

    /// The edge to the first node overtakes the one to the last.
    #[test]
    fn push_and_pop_beside_pop_and_push() {
        explore(vec![Push(1)], vec![vec![Push(2), Pop], vec![Pop, Push(3)]]);
    }

    #[test]
    fn three_threads() {
        explore(vec![], vec![vec![Push(1)], vec![Push(2)], vec![Pop]]);
    }
}

mod map {
    use super::{MapOperation::*, *};

    fn explore(before: Vec<MapOperation>, threads: Vec<Vec<MapOperation>>) {
        // A search takes many steps.
        let preemptions = if threads.iter().map(Vec::len).sum::<usize>() == 2 { 3 } else { 2 };
        let program = Program::<SequentialMap> { before, threads, after: vec![Get(1), Get(2), Get(3)] };
        program.explore(preemptions, Map::new, |operation, map, guard| operation.call(map, guard));
    }

    #[test]
    fn insert_beside_insert_of_the_same_key() {
        explore(vec![], vec![vec![Insert(1, 10, 0)], vec![Insert(1, 11, 0)]]);
    }

    #[test]
    fn insert_beside_insert_of_the_next_key() {
        explore(vec![], vec![vec![Insert(1, 10, 0)], vec![Insert(2, 20, 0)]]);
    }

    #[test]
    fn remove_beside_remove() {
        explore(vec![Insert(1, 10, 0)], vec![vec![Remove(1)], vec![Remove(1)]]);
    }

    /// Breaks if nothing closes the edge of a deleted node: the new one is put behind it, and leaves with it.
    #[test]
    fn remove_beside_insert_behind_it() {
        explore(vec![Insert(1, 10, 0)], vec![vec![Remove(1)], vec![Insert(2, 20, 0)]]);
    }

    /// Breaks likewise: the second of two neighbours is taken out of the first, when that is out already, and what is inserted instead
    /// goes the same way.
    #[test]
    fn removal_of_neighbours() {
        let before = vec![Insert(1, 10, 0), Insert(2, 20, 0)];
        explore(before, vec![vec![Remove(1)], vec![Remove(2), Insert(2, 21, 0)]]);
    }

    #[test]
    fn remove_and_insert_again_beside_insert() {
        explore(vec![Insert(1, 10, 0)], vec![vec![Remove(1), Insert(1, 11, 0)], vec![Insert(1, 12, 0)]]);
    }

    #[test]
    fn get_beside_remove_and_insert_again() {
        explore(vec![Insert(1, 10, 0)], vec![vec![Remove(1), Insert(1, 11, 0)], vec![Get(1), Get(1)]]);
    }

    /// The reader may stand on the first entry when that is taken out, and an entry is put in behind its place.
    #[test]
    fn get_beside_remove_and_insert_behind_it() {
        explore(
            vec![Insert(1, 10, 0), Insert(3, 30, 0)],
            vec![vec![Remove(1), Insert(2, 20, 0)], vec![Get(2), Get(3)]],
        );
    }

    /// As before, and a lane leads to the entry that is removed.
    #[test]
    fn get_by_a_lane_beside_remove_and_insert_behind_it() {
        explore(vec![Insert(1, 10, 1)], vec![vec![Remove(1), Insert(2, 20, 0)], vec![Get(2), Get(2)]]);
    }

    /// The entry may be deleted before it is in its lane.
    #[test]
    fn insert_into_a_lane_beside_remove() {
        explore(vec![], vec![vec![Insert(1, 10, 1)], vec![Remove(1), Insert(2, 20, 0)]]);
    }

    #[test]
    fn three_threads() {
        explore(vec![Insert(1, 10, 0)], vec![vec![Remove(1)], vec![Insert(2, 20, 0)], vec![Insert(1, 11, 0)]]);
    }

    /// Breaks if an insertion can bring back the value of an entry that was deleted a moment ago.
    #[test]
    fn three_threads_on_one_key() {
        explore(vec![Insert(1, 10, 0)], vec![vec![Remove(1)], vec![Insert(1, 11, 0)], vec![Insert(1, 12, 0)]]);
    }

    /// An iteration sees what stays from beginning to end, once and in order, and of the rest what may have been there.
    #[test]
    fn iteration_beside_remove_and_insert() {
        static SEEN: Mutex<BTreeSet<Vec<u32>>> = Mutex::new(BTreeSet::new());
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let map = Arc::new(Map::new());
            let insert = |map: &Map<u32, u32>, key| Insert(key, 10 * key, 0).call(map, &pin());
            for key in [1, 2, 4] {
                insert(&map, key);
            }
            let other = thread::spawn({
                let map = map.clone();
                move || {
                    Remove(1).call(&map, &pin());
                    Remove(2).call(&map, &pin());
                    insert(&map, 3);
                }
            });
            let guard = pin();
            let seen: Vec<_> = map.iter(&guard).map(|(&key, &value)| (key, value)).collect();
            assert!(seen.is_sorted_by(|one, other| one.0 < other.0), "{seen:?}");
            assert!(seen.iter().all(|&(key, value)| (1..=4).contains(&key) && value == 10 * key), "{seen:?}");
            assert!(seen.contains(&(4, 40)), "{seen:?}");
            other.join().unwrap();
            let left: Vec<_> = map.iter(&guard).map(|(&key, _)| key).collect();
            assert_eq!(left, [3, 4]);
            SEEN.lock().unwrap().insert(seen.into_iter().map(|(key, _)| key).collect());
        });
        let all = [&[1, 2, 4][..], &[1, 4], &[2, 4], &[3, 4], &[4]];
        assert!(SEEN.lock().unwrap().iter().eq(all), "{:?}", SEEN.lock().unwrap());
    }
}
