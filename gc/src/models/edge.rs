//! L3, the part of the word: `GcCell` against the marker's claim and a marker that undoes it.

use super::{count, free, object, verify_all_orders};
use crate::{
    cell::edge_word::{Claimed, EdgeWord},
    heap::header::Object,
    sync::Mutation,
};
use loom::{sync::Arc, thread};

fn up(object: Object) {
    // SAFETY: the model frees its objects at its end.
    unsafe { object.roots() }.up();
}

fn down(object: Object) {
    // SAFETY: as above.
    let before = unsafe { object.roots() }.down();
    assert!(before.count > 0, "a count below zero");
}

/// `GcCell::take`, as the mutator does it in its operation. The caller gets a counted handle.
fn take(cell: &EdgeWord) -> Option<Object> {
    let mut seen = cell.read();
    loop {
        match cell.exchange(seen, None) {
            Ok(()) => {
                if !seen.is_counted() {
                    seen.object().into_iter().for_each(up);
                }
                return seen.object();
            }
            Err(now) => seen = now,
        }
    }
}

/// The marker's visit.
fn claim(cell: &EdgeWord) {
    if let (Some(object), Claimed::ByUs) = cell.claim() {
        down(object);
    }
}

/// Counts stay exact when a counted edge is taken out while the marker claims it.
///
/// Breaks if either side changes the flag apart from the pointer: the marker would count down a handle that the taker has become
/// the owner of.
#[test]
fn take_beside_claim() {
    verify_all_orders(3, &[Mutation::ExchangeInTwoSteps], || {
        let target = object(1);
        let cell = Arc::new(EdgeWord::new(Some(target)));
        let marker = thread::spawn({
            let cell = cell.clone();
            move || claim(&cell)
        });
        let taken = take(&cell);
        marker.join().unwrap();
        assert_eq!(taken, Some(target));
        assert_eq!(count(target), 1, "the taker owns the only handle");
        free(target);
    });
}

/// Counts stay exact when an edge is taken out while a marker that gives up counts it back.
///
/// Breaks if the count is added after the flag is set: the taker drops its handle first, and the count goes below zero.
#[test]
fn take_and_drop_beside_release() {
    verify_all_orders(3, &[Mutation::ReleaseCountsAfter], || {
        let target = object(0);
        let cell = Arc::new(EdgeWord::new(Some(target)));
        cell.claim();
        let marker = thread::spawn({
            let cell = cell.clone();
            move || cell.release(up, down)
        });
        if let Some(object) = take(&cell) {
            down(object);
        }
        marker.join().unwrap();
        assert!(cell.read().is_counted() && cell.read().object().is_none());
        assert_eq!(count(target), 0);
        free(target);
    });
}

/// A pinned store, as the mutator does it in its operation.
fn store(cell: &EdgeWord, new: Object, marking: bool) {
    if cell.read_staying(marking).is_some() {
        return cell.overwrite_claimed(Some(new));
    }
    let mut seen = cell.read();
    loop {
        if seen.is_counted() {
            up(new);
        }
        let result = cell.exchange(seen, Some(new));
        if seen.is_counted() {
            let no_longer = if result.is_ok() { seen.object() } else { Some(new) };
            no_longer.into_iter().for_each(down);
        }
        match result {
            Ok(()) => return,
            Err(now) => seen = now,
        }
    }
}

/// Counts stay exact when an edge is stored while a marker claims what is there, gives up and counts it back.
///
/// Breaks if the store is a plain one although a marker may count back: it looks; the marker counts the old edge and sets the flag; the store puts a
/// claimed edge in its place, and nobody counts the old one down. So it does if the marker says what it may do when it has claimed: the store looks in
/// between.
#[test]
fn store_beside_claim_and_release() {
    verify_all_orders(3, &[Mutation::PlainStoreOfRevocable, Mutation::RevocableClaimToldLate], || {
        let (first, second) = (object(1), object(0));
        let cell = Arc::new(EdgeWord::new(Some(first)));
        let marker = thread::spawn({
            let cell = cell.clone();
            move || {
                if let (Some(object), Claimed::ByUs) = cell.claim_revocably() {
                    down(object);
                }
                cell.release(up, down);
            }
        });
        store(&cell, second, true);
        marker.join().unwrap();
        assert_eq!(cell.read().object(), Some(second));
        assert!(cell.read().is_counted());
        assert_eq!((count(first), count(second)), (0, 1));
        free(first);
        free(second);
    });
}

/// Edges of a cell that stays claimed are stored plainly while one thread takes what is there: it gets one of them, or none twice.
///
/// Breaks if the flag could change between a look and its store. No one line does that: whatever change of a claimed word comes last stays.
#[test]
fn plain_stores_beside_take() {
    [false, true].into_iter().for_each(plain_stores);
}

fn plain_stores(marking: bool) {
    verify_all_orders(3, &[], move || {
        let [first, second, third] = [object(0), object(0), object(0)];
        let cell = Arc::new(EdgeWord::new(Some(first)));
        cell.claim();
        let taker = thread::spawn({
            let cell = cell.clone();
            move || take(&cell)
        });
        let other = thread::spawn({
            let cell = cell.clone();
            move || store(&cell, second, marking)
        });
        store(&cell, third, marking);
        other.join().unwrap();
        let taken = taker.join().unwrap().unwrap();
        let left = cell.read();
        assert!(!left.is_counted());
        assert!(left.object().is_none_or(|object| object != first && object != taken));
        [first, second, third].into_iter().for_each(|object| {
            assert_eq!(count(object), i32::from(taken == object));
            free(object);
        });
    });
}

/// Two threads exchange edges of one cell while the marker claims it; whatever the order, each object has as many counts as handles.
///
/// Breaks if the word is compared and changed in two steps: both find the first edge; each changes the word, and each has got that edge out.
#[test]
fn two_writers_beside_claim() {
    verify_all_orders(2, &[Mutation::ExchangeInTwoSteps], || {
        let (first, second) = (object(1), object(1));
        let cell = Arc::new(EdgeWord::new(Some(first)));
        let marker = thread::spawn({
            let cell = cell.clone();
            move || claim(&cell)
        });
        let taker = thread::spawn({
            let cell = cell.clone();
            move || take(&cell)
        });
        // `GcCell::replace`: `second` goes in.
        let mut seen = cell.read();
        while let Err(now) = cell.exchange(seen, Some(second)) {
            seen = now;
        }
        if !seen.is_counted() {
            down(second);
            seen.object().into_iter().for_each(up);
        }
        marker.join().unwrap();
        let taken = taker.join().unwrap();
        let left = cell.read();
        let handles = |object| {
            i32::from(taken == Some(object))
                + i32::from(seen.object() == Some(object))
                + i32::from(left.is_counted() && left.object() == Some(object))
        };
        let expected = (handles(first), handles(second));
        assert_eq!((count(first), count(second)), expected);
        free(first);
        free(second);
    });
}
