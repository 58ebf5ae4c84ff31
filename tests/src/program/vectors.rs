//! The vectors of edges under one name.

use graphgc::{Gc, GcRefVec, GcVec, Guard, Local, Trace, pin};
use std::cmp::Ordering;

/// A vector of edges.
pub trait EdgeVec<T: Trace>: Trace + Default {
    /// Looks at the elements, if that is possible. `wait`: waits for other threads.
    fn look<R>(&self, wait: bool, look: impl FnOnce(&[Gc<T>]) -> R) -> Option<R>;
    /// Puts all of these at the end.
    fn add(&self, new: Vec<Gc<T>>);
    /// Turns the order round.
    fn turn_round(&self);
    /// Takes those at `index` and behind it.
    fn split_off(&self, index: usize) -> Vec<Gc<T>>;
    /// Takes all.
    fn take_all(&self) -> Vec<Gc<T>>;
    /// All of them, each met under a pin.
    fn met(&self, guard: &Guard) -> Vec<Gc<T>>;
    /// As the vector's own.
    fn len(&self) -> usize;
    /// As the vector's own.
    fn is_empty(&self) -> bool;
    /// As the vector's own.
    fn push_local(&self, edge: Local<'_, T>, guard: &Guard);
    /// As the vector's own.
    fn pop(&self) -> Option<Gc<T>>;
    /// As the vector's own.
    fn remove(&self, index: usize) -> Gc<T>;
    /// As the vector's own.
    fn swap_remove(&self, index: usize) -> Gc<T>;
    /// As the vector's own.
    fn replace(&self, index: usize, edge: Gc<T>) -> Gc<T>;
    /// As the vector's own.
    fn swap(&self, a: usize, b: usize);
    /// As the vector's own.
    fn retain(&self, keep: impl FnMut(&Gc<T>) -> bool);
    /// As the vector's own.
    fn sort_by(&self, compare: impl FnMut(&Gc<T>, &Gc<T>) -> Ordering);
    /// As the vector's own.
    fn clear(&self);
}

macro_rules! as_the_vectors_own {
    () => {
        fn len(&self) -> usize {
            self.len()
        }

        fn is_empty(&self) -> bool {
            self.is_empty()
        }

        fn push_local(&self, edge: Local<'_, T>, guard: &Guard) {
            self.push_local(edge, guard);
        }

        fn pop(&self) -> Option<Gc<T>> {
            self.pop()
        }

        fn remove(&self, index: usize) -> Gc<T> {
            self.remove(index)
        }

        fn swap_remove(&self, index: usize) -> Gc<T> {
            self.swap_remove(index)
        }

        fn replace(&self, index: usize, edge: Gc<T>) -> Gc<T> {
            self.replace(index, edge)
        }

        fn swap(&self, a: usize, b: usize) {
            self.swap(a, b);
        }

        fn retain(&self, keep: impl FnMut(&Gc<T>) -> bool) {
            self.retain(keep);
        }

        fn sort_by(&self, compare: impl FnMut(&Gc<T>, &Gc<T>) -> Ordering) {
            self.sort_by(compare);
        }

        fn clear(&self) {
            self.clear();
        }
    };
}

impl<T: Trace> EdgeVec<T> for GcVec<Gc<T>> {
    fn look<R>(&self, wait: bool, look: impl FnOnce(&[Gc<T>]) -> R) -> Option<R> {
        Some(look(&if wait { self.read() } else { self.try_read()? }))
    }

    fn add(&self, new: Vec<Gc<T>>) {
        self.extend(new);
    }

    fn turn_round(&self) {
        self.reverse();
    }

    fn split_off(&self, index: usize) -> Vec<Gc<T>> {
        self.drain(index..).collect()
    }

    fn take_all(&self) -> Vec<Gc<T>> {
        self.take()
    }

    fn met(&self, guard: &Guard) -> Vec<Gc<T>> {
        self.iter_pinned(guard).map(Local::to_gc).collect()
    }

    as_the_vectors_own!();
}

impl<T: Trace> EdgeVec<T> for GcRefVec<Gc<T>> {
    fn look<R>(&self, _wait: bool, look: impl FnOnce(&[Gc<T>]) -> R) -> Option<R> {
        self.try_borrow().ok().map(|edges| look(&edges))
    }

    fn add(&self, new: Vec<Gc<T>>) {
        let guard = pin();
        for (number, edge) in new.into_iter().enumerate() {
            match number % 3 {
                0 => self.push(edge),
                1 => self.push_local(edge.local(&guard), &guard),
                _ => self.insert(self.len(), edge),
            }
        }
    }

    fn turn_round(&self) {
        let guard = pin();
        for (a, b) in (0..self.len()).zip((0..self.len()).rev()).take_while(|(a, b)| a < b) {
            let (first, last) = (self.get(a), self.load(b, &guard));
            self.store(a, last.expect("it is there"), &guard);
            self.set(b, first.expect("it is there"));
        }
    }

    fn split_off(&self, index: usize) -> Vec<Gc<T>> {
        let taken = self.borrow()[index..].to_vec();
        self.truncate(index);
        taken
    }

    fn take_all(&self) -> Vec<Gc<T>> {
        let mut taken: Vec<_> = std::iter::from_fn(|| self.pop()).collect();
        taken.reverse();
        taken
    }

    fn met(&self, guard: &Guard) -> Vec<Gc<T>> {
        (0..self.len()).map(|index| self.load(index, guard).expect("it is there").to_gc()).collect()
    }

    as_the_vectors_own!();
}
