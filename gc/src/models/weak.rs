//! L6: weak handles against S2, the clearing pass and reuse of slots.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{Gc, Weak, pin, sync::Mutation};

/// What an upgrade gives is not freed, whenever in the cycle that finds the object unreachable it happens.
///
/// Breaks if the upgrade does not look at the mark between S2 and the sweep: S2; upgrade; the pass clears the link, sweep. If it reads the address
/// outside its operation: read; S2, pass, sweep; count. If sweeping begins without a look at the threads: S2; read; pass; the sweep is allowed, so that
/// the upgrade believes the address.
#[test]
fn upgraded_beside_a_cycle() {
    let mutations = [Mutation::UpgradeIgnoresMarks, Mutation::UpgradeReadsOutside, Mutation::ClearWithoutHandshake];
    verify(2, &mutations, || {
        let weak = ending_here(|| Gc::downgrade(&Gc::new(1)));
        let reader = mutator(move || weak.upgrade());
        cycle();
        if let Some(upgraded) = reader.join().unwrap() {
            assert!(is_allocated(object(&upgraded)));
        }
    });
}

/// What is upgraded under a pin younger than R is not freed while the pin is held.
///
/// Breaks if a pinned upgrade does not shade: R, without an entry for the object; pin, upgrade; S2 does not wait for the pin, sweep.
#[test]
fn upgraded_under_a_pin() {
    verify(2, &[Mutation::PinnedUpgradeWithoutShade], || {
        let weak = ending_here(|| Gc::downgrade(&Gc::new(1)));
        let reader = mutator(move || {
            let guard = pin();
            let upgraded = weak.local(&guard).upgrade(&guard);
            upgraded.map(|local| local.to_gc())
        });
        cycle();
        if let Some(upgraded) = reader.join().unwrap() {
            assert!(is_allocated(object(&upgraded)));
        }
    });
}

/// The link of a live object stays, even if no weak handle is left: the next `downgrade` finds it.
///
/// Breaks if the pass does not mark the links that it keeps: the handle is dropped, S1, S2, sweep; `downgrade` finds the link's slot.
#[test]
fn downgraded_again_beside_a_cycle() {
    verify(2, &[Mutation::LinksAreNotKept], || {
        let strong = ending_here(|| {
            let strong = Gc::new(1);
            drop(Gc::downgrade(&strong));
            strong
        });
        let again = mutator(move || (Gc::downgrade(&strong), strong));
        cycle();
        let (weak, strong) = again.join().unwrap();
        assert!(is_allocated(weak.link_object().unwrap()));
        assert!(Gc::ptr_eq(&ending_here(|| weak.upgrade().unwrap()), &strong));
    });
}

/// Two threads that downgrade an object get the same link.
///
/// Breaks if a link is put in without a look, under the lock, whether there is one: both find none; both put theirs in.
#[test]
fn downgraded_by_two() {
    verify(2, &[Mutation::InsertWithoutLook], || {
        let strong = ending_here(|| Gc::new(1));
        let other = mutator({
            let strong = strong.clone();
            move || Gc::downgrade(&strong)
        });
        let mine: Weak<_> = ending_here(|| Gc::downgrade(&strong));
        assert!(mine.ptr_eq(&other.join().unwrap()));
    });
}
