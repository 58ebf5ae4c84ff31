//! What threads did to a shared object and when, and whether that is linearizable.
//!
//! It is if every call can be thought to take effect at one moment between its invocation and its response, so that the responses are those
//! of a sequential object. The search goes through all orders of the calls that the intervals allow, as Wing and Gong's does, and
//! remembers where it has been, as Lowe's does.

use std::{collections::HashSet, fmt::Debug, hash::Hash};

#[cfg(graphgc_loom)]
use loom::sync::atomic::{AtomicUsize, Ordering::AcqRel};
#[cfg(not(graphgc_loom))]
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};

/// A sequential object, in its initial state.
pub(crate) trait Specification: Clone + Eq + Hash + Default {
    type Operation: Clone + Debug;
    type Response: PartialEq + Debug;

    fn apply(&mut self, operation: &Self::Operation) -> Self::Response;
}

/// One call, from its invocation to its response.
#[derive(Debug)]
pub(crate) struct Call<S: Specification> {
    pub(crate) operation: S::Operation,
    pub(crate) response: S::Response,
    pub(crate) invoked: usize,
    pub(crate) responded: usize,
}

/// What one thread did, in order.
pub(crate) type Calls<S> = Vec<Call<S>>;

/// Gives each invocation and response a number. What it numbers lower has happened before: also to the threads' knowledge, so that a
/// response cannot have been missed for lack of news.
pub(crate) struct Clock(AtomicUsize);

impl Clock {
    pub(crate) fn new() -> Self {
        Clock(AtomicUsize::new(0))
    }

    fn tick(&self) -> usize {
        self.0.fetch_add(1, AcqRel)
    }

    /// Does `operations` by `call`, one after the other.
    pub(crate) fn record<S: Specification>(
        &self,
        operations: &[S::Operation],
        call: impl Fn(&S::Operation) -> S::Response,
    ) -> Calls<S> {
        let record = |operation: &S::Operation| {
            let invoked = self.tick();
            let response = call(operation);
            Call { operation: operation.clone(), response, invoked, responded: self.tick() }
        };
        operations.iter().map(record).collect()
    }
}

/// Whether the calls of these threads can be brought into an order that `S` allows.
pub(crate) fn is_linearizable<S: Specification>(threads: &[Calls<S>]) -> bool {
    Search { threads, seen: HashSet::new() }.go_on(S::default(), vec![0; threads.len()])
}

#[track_caller]
pub(crate) fn assert_linearizable<S: Specification + Debug>(threads: &[Calls<S>]) {
    assert!(is_linearizable(threads), "not linearizable: {threads:#?}");
}

struct Search<'a, S: Specification> {
    threads: &'a [Calls<S>],
    /// Where no way led to the end.
    seen: HashSet<(S, Vec<usize>)>,
}

impl<S: Specification> Search<'_, S> {
    /// Whether the calls that are left, those from `done` on, can follow `state`.
    fn go_on(&mut self, state: S, done: Vec<usize>) -> bool {
        if !self.seen.insert((state.clone(), done.clone())) {
            return false;
        }
        let threads = self.threads;
        let next: Vec<_> = threads.iter().zip(&done).map(|(calls, &done)| calls.get(done)).collect();
        // Whoever is next must have been invoked before any of the others responded.
        let Some(deadline) = next.iter().flatten().map(|call| call.responded).min() else { return true };
        next.iter().enumerate().any(|(thread, call)| {
            let Some(call) = call.filter(|call| call.invoked <= deadline) else { return false };
            let mut state = state.clone();
            let fits = state.apply(&call.operation) == call.response;
            fits && {
                let mut done = done.clone();
                done[thread] += 1;
                self.go_on(state, done)
            }
        })
    }
}

#[cfg(not(graphgc_loom))]
mod tests {
    use super::{
        super::specifications::{QueueOperation::*, SequentialQueue},
        *,
    };

    fn call(
        operation: super::super::specifications::QueueOperation,
        response: Option<u32>,
        when: [usize; 2],
    ) -> Call<SequentialQueue> {
        Call { operation, response, invoked: when[0], responded: when[1] }
    }

    #[test]
    fn one_after_the_other() {
        assert!(is_linearizable(&[vec![call(Push(1), None, [0, 1])], vec![call(Pop, Some(1), [2, 3])]]));
        assert!(!is_linearizable(&[vec![call(Push(1), None, [0, 1])], vec![call(Pop, None, [2, 3])]]));
        assert!(!is_linearizable(&[vec![call(Push(1), None, [2, 3])], vec![call(Pop, Some(1), [0, 1])]]));
    }

    #[test]
    fn at_the_same_time() {
        assert!(is_linearizable(&[vec![call(Push(1), None, [0, 2])], vec![call(Pop, None, [1, 3])]]));
        assert!(is_linearizable(&[vec![call(Push(1), None, [0, 2])], vec![call(Pop, Some(1), [1, 3])]]));
        assert!(!is_linearizable(&[vec![call(Push(1), None, [0, 2])], vec![call(Pop, Some(2), [1, 3])]]));
    }

    /// Each pop alone could be explained, but not both: 1 was pushed before 2.
    #[test]
    fn the_wrong_order() {
        let pushes = vec![call(Push(1), None, [0, 1]), call(Push(2), None, [2, 3])];
        let one = vec![call(Pop, Some(2), [4, 7])];
        assert!(is_linearizable(&[pushes, one, vec![call(Pop, Some(1), [5, 8])]]));
        let pushes = vec![call(Push(1), None, [0, 1]), call(Push(2), None, [2, 3])];
        let one = vec![call(Pop, Some(2), [4, 5])];
        assert!(!is_linearizable(&[pushes, one, vec![call(Pop, Some(1), [6, 7])]]));
    }

    #[test]
    fn a_value_that_comes_out_twice() {
        let pushes = vec![call(Push(1), None, [0, 9])];
        assert!(!is_linearizable(&[pushes, vec![call(Pop, Some(1), [1, 8])], vec![call(Pop, Some(1), [2, 7])]]));
    }
}
