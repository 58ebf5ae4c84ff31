//! L3 and L4 for collections of edges: the marker's place in a vector against what moves across it.
//!
//! In the models a marker leaves a collection after each element if a writer waits.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify, verify_all_orders,
};
use crate::{
    Gc, GcMap, GcRefCell, GcRefVec, GcVec,
    collector::mark::Marker,
    heap::header::Object,
    mutator::record::{WORLD, stop_the_world},
    pin,
    sync::{AtomicBool, Mutation, Ordering},
    trace::type_info::TypeInfo,
};
use loom::{sync::Arc, thread};
use std::hash::{BuildHasherDefault, DefaultHasher};

type Leaf = Gc<u8>;

/// A vector in the heap with two elements and room for a third, and the objects of the two.
fn vector() -> (Gc<GcVec<Leaf>>, [Object; 2]) {
    ending_here(|| {
        let (first, second) = (Gc::new(1), Gc::new(2));
        let objects = [object(&first), object(&second)];
        let vector = GcVec::with_capacity(3);
        vector.push(first);
        vector.push(second);
        (Gc::new(vector), objects)
    })
}

/// Runs `change` beside a cycle: the two elements that there were survive.
fn keeps_both(preemptions: usize, mutations: &[Mutation], change: fn(&GcVec<Leaf>)) {
    verify(preemptions, mutations, move || {
        let (vector, elements) = vector();
        let changing = mutator({
            let vector = vector.clone();
            move || change(&vector)
        });
        cycle();
        changing.join().unwrap();
        assert!(elements.into_iter().all(is_allocated));
        ending_here(|| drop(vector));
    });
}

/// Breaks without the shade: the marker has done the second element and leaves for the writer, the first one comes to its place.
#[test]
fn swapped_beside_a_cycle() {
    keeps_both(3, &[Mutation::EdgeSwapWithoutShade], |vector| vector.swap(0, 1));
}

/// Breaks if the marker's place stays: the first element moves up to where it has been.
#[test]
fn inserted_beside_a_cycle() {
    keeps_both(2, &[Mutation::InsertForgetsProgress], |vector| vector.insert(0, Gc::new(3)));
}

/// Breaks if the marker takes what is write-held for counted, as in a cell: the vector stays claimed.
#[test]
fn pushed_beside_a_cycle() {
    keeps_both(2, &[Mutation::MarkerSkipsOperation], |vector| vector.push(Gc::new(3)));
}

/// The same for a vector of one thread, which is changed twice: elements that go out and come in under a pin, beside a cycle, stay for as
/// long as the pin or the vector does.
///
/// Breaks if overwriting does not shade while marking, or if it takes the way past the lock, which has nothing to shade.
#[test]
fn changed_by_one_thread_beside_a_cycle() {
    verify(2, &[Mutation::EdgeOverwrittenWithoutShade, Mutation::PlainWriteWhileMarking], || {
        let vector = ending_here(|| {
            let vector = GcRefVec::with_capacity(3);
            vector.push(Gc::new(1));
            Gc::new(vector)
        });
        let changing = mutator(move || {
            let guard = pin();
            let first = vector.load(0, &guard).unwrap();
            vector.store(0, guard.alloc(2), &guard);
            vector.push_local(guard.alloc(3), &guard);
            let first: Leaf = first.to_gc();
            drop(guard);
            (first, vector)
        });
        cycle();
        let (first, vector) = changing.join().unwrap();
        assert!(is_allocated(object(&first)));
        ending_here(|| {
            assert_eq!(vector.len(), 2);
            assert!(vector.borrow().iter().all(|edge| is_allocated(object(edge))));
            drop((first, vector));
        });
    });
}

/// A value that goes to the thread which is to have it alone.
struct Moved<T>(T);

// SAFETY: only those of this model are: handles whose object no other thread uses from then on, but for the marker.
unsafe impl<T> Send for Moved<T> {}

impl<T> Moved<T> {
    fn get(self) -> T {
        self.0
    }
}

/// What a pinned thread loads from content that the marker is claiming stays, however the handle to it ends.
///
/// Breaks if the thread learns that the content is claimed, so that the object is shared, but not what the marker did before: it finds its newborn's header
/// as it has written it, ends what it loaded as a newborn's only handle, and the next object gets the slot that the edge leads to.
#[test]
fn loaded_beside_a_claim() {
    verify_all_orders(2, &[Mutation::LookIsRelaxed], || {
        let owner = ending_here(|| Gc::new(GcRefCell::new(GcRefVec::<Leaf>::new())));
        let marked = object(&owner);
        stop_the_world();
        WORLD.change_phase(true);
        let owner = Moved(owner);
        let user = thread::spawn(move || {
            let owner = owner.get();
            ending_here(|| {
                *owner.borrow_mut() = GcRefVec::from(vec![Gc::new(1)]);
                let guard = pin();
                let load = || owner.borrow().load(0, &guard).unwrap().to_gc();
                drop(load());
                let next = Gc::new(2);
                let edge = load();
                assert!(*edge == 1 && !Gc::ptr_eq(&edge, &next), "the slot is used again");
            });
            Moved(owner)
        });
        let mut marker = Marker::new(true);
        // SAFETY: the thread has a handle to it, and its type is written in its header.
        unsafe { TypeInfo::of(marked).mark(marked, &mut marker) };
        marker.finish();
        let owner = user.join().unwrap().get();
        ending_here(|| drop(owner));
    });
}

/// Breaks without the shade: as for a swap, though no element moves before the marker has left.
#[test]
fn rebuilt_beside_a_cycle() {
    keeps_both(3, &[Mutation::RebuildWithoutShade], GcVec::reverse);
}

/// Growing moves the buffer while the marker may be in it, and loses nothing.
///
/// Breaks if the marker, which comes while the buffers change places, takes what is write-held for counted: the vector stays claimed.
#[test]
fn grown_beside_a_cycle() {
    keeps_both(2, &[Mutation::MarkerSkipsOperation], |vector| vector.reserve(2));
}

/// Breaks without the shade: what is popped was reachable at S1 and may have no entry that S1 took.
#[test]
fn popped_beside_a_cycle() {
    verify(2, &[Mutation::EdgeOutWithoutShade], || {
        let (vector, [_, second]) = vector();
        let popping = mutator(move || vector.pop());
        cycle();
        let popped = popping.join().unwrap();
        assert!(popped.is_some() && is_allocated(second));
        ending_here(|| drop(popped));
    });
}

/// Breaks without the shade: a pin younger than R has loaded the element before it is overwritten, and S2 does not wait for that pin.
#[test]
fn overwritten_beside_a_cycle() {
    verify(2, &[Mutation::EdgeOverwrittenWithoutShade], || {
        let (vector, _) = vector();
        let changing = mutator(move || {
            let guard = pin();
            let local = vector.load(0, &guard).unwrap();
            vector.set(0, Gc::new(3));
            local.to_gc()
        });
        cycle();
        let first = changing.join().unwrap();
        assert!(is_allocated(object(&first)));
        ending_here(|| drop(first));
    });
}

/// Who sees a length, without the lock, sees what the thread that brought it about had done before. Breaks with a store that is not a release.
///
/// The content is counted: an operation has a fence, which would order this, too.
#[test]
fn asked_for_its_length_beside_a_push() {
    verify_all_orders(3, &[Mutation::LengthIsRelaxed], || {
        let vector = Arc::new(GcVec::<Option<Leaf>>::with_capacity(1));
        let pushes = Arc::new(AtomicBool::new(false));
        let pushing = thread::spawn({
            let (vector, pushes) = (vector.clone(), pushes.clone());
            move || {
                pushes.store(true, Ordering::Relaxed);
                vector.push(None);
            }
        });
        assert!(vector.is_empty() || pushes.load(Ordering::Relaxed));
        pushing.join().unwrap();
    });
}

type Map = GcMap<u8, Leaf, BuildHasherDefault<DefaultHasher>>;

/// A map in the heap with two entries and room for a third, and the objects of the two.
fn map() -> (Gc<Map>, [Object; 2]) {
    ending_here(|| {
        let (first, second) = (Gc::new(1), Gc::new(2));
        let objects = [object(&first), object(&second)];
        let map = Map::with_capacity_and_hasher(3, BuildHasherDefault::new());
        map.insert(1, first);
        map.insert(2, second);
        (Gc::new(map), objects)
    })
}

/// Breaks without the shade of what goes out, as for a vector: the lock is reserved first, which admits the marker.
#[test]
fn removed_from_a_map_beside_a_cycle() {
    verify(2, &[Mutation::EdgeOutWithoutShade], || {
        let (map, [first, second]) = map();
        let removing = mutator({
            let map = map.clone();
            move || map.remove(&1)
        });
        cycle();
        let removed = removing.join().unwrap();
        assert!(removed.is_some() && is_allocated(first) && is_allocated(second));
        ending_here(|| drop((removed, map)));
    });
}

/// Breaks if the marker takes what is write-held for counted, as in a cell: the map stays claimed. The writer reserves it first, which admits the marker.
#[test]
fn inserted_into_a_map_beside_a_cycle() {
    verify(2, &[Mutation::MarkerSkipsOperation], || {
        let (map, entries) = map();
        let inserting = mutator({
            let map = map.clone();
            move || drop(map.insert(3, Gc::new(3)))
        });
        cycle();
        inserting.join().unwrap();
        assert!(entries.into_iter().all(is_allocated));
        let third = map.read().values().nth(2).map(object);
        assert!(third.is_some_and(is_allocated));
        ending_here(|| drop(map));
    });
}
