//! Ephemerons: who waits for a mark against who marks, and readers against S2, the clearing pass and the sweep.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{Ephemeron, Gc, sync::Mutation};

/// The value of an ephemeron that is reached is kept if the key is, by whomever and whenever the key is marked.
///
/// Breaks if the marker that makes the ephemeron wait does not look at the mark after that: it finds the key white; the key is upgraded, hence
/// marked, and nothing waits for it; the ephemeron is put in the table, and cleared after S2.
#[test]
fn a_key_is_marked_beside_its_ephemeron() {
    verify(2, &[Mutation::WaitWithoutLook], || {
        let (note, weak) = ending_here(|| {
            let key = Gc::new(1u8);
            (Ephemeron::new(&key, Gc::new(2u8)), Gc::downgrade(&key))
        });
        let reader = mutator(move || weak.upgrade());
        cycle();
        if let Some(key) = reader.join().unwrap() {
            assert!(is_allocated(object(&key)));
            let value = ending_here(|| note.value().expect("the key is kept"));
            assert!(is_allocated(object(&value)));
        }
    });
}

/// What is read from an ephemeron is not freed, whenever in the cycle that finds the key dead it happens.
///
/// Breaks if the reader does not look at the key's mark between S2 and the sweep: S2; read; the pass clears the ephemeron, sweep. Breaks, too, if sweeping begins
/// without a look at the threads: S2; the addresses are read; pass; the sweep is allowed, so that the reader believes them.
#[test]
fn read_beside_the_cycle_that_clears_it() {
    verify(2, &[Mutation::EphemeronIgnoresMarks, Mutation::ClearWithoutHandshake], || {
        let note = ending_here(|| Ephemeron::new(&Gc::new(1u8), Gc::new(2u8)));
        let reader = mutator(move || (note.upgrade(), note));
        cycle();
        if let (Some((key, value)), _) = reader.join().unwrap() {
            assert!(is_allocated(object(&key)) && is_allocated(object(&value)));
        }
    });
}
