//! L9: threads that end, begin and stay idle against S1: the registry, candidates, and updates on behalf of others.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{
    Gc,
    heap::os,
    mutator::{Operation, record::Record},
    sync::Mutation,
};
use loom::thread;

/// What a thread made a root of survives, whether its entry is handed over by the thread, which ends, or on its behalf.
///
/// Breaks if the collector looks for records before it shuts the gate: the thread registers and enters its first operation in between.
/// Breaks, too, if the thread hands over outside an operation: the collector, which does not wait for it, hands the same buffers over.
#[test]
fn a_thread_ends_beside_a_cycle() {
    let mutations = [Mutation::StopLooksFirst, Mutation::ExitWithoutOperation];
    verify(2, &mutations, || {
        let maker = mutator(|| Gc::new(1u8));
        cycle();
        let made = maker.join().unwrap();
        assert!(is_allocated(object(&made)));
        cycle();
        assert!(is_allocated(object(&made)), "its entry is kept");
    });
}

/// What an idle thread has made a root of survives.
///
/// Breaks if nobody hands over for a thread that does nothing: its entries from before S1 are not scanned.
#[test]
fn an_idle_thread_beside_a_cycle() {
    verify(2, &[Mutation::UpdateNobody], || {
        let owner = ending_here(|| Gc::new(Gc::new(1u8)));
        let cloned = Gc::clone(&*owner);
        drop(owner);
        let collector = thread::spawn(cycle);
        let other = Gc::new(2u8);
        collector.join().unwrap();
        assert!(is_allocated(object(&cloned)) && is_allocated(object(&other)));
        ending_here(|| ());
    });
}

/// The record of a thread that ends is used again by one that begins, never by both.
///
/// Breaks if the record is free before its content has been handed over: the new thread's entries go into the buffer that the old one
/// is handing over.
#[test]
fn a_record_is_used_again() {
    verify(3, &[Mutation::GiveBackEarly], || {
        let first = mutator(|| Gc::new(1u8));
        let second = ending_here(|| Gc::new(2u8));
        let first = first.join().unwrap();
        cycle();
        assert!(is_allocated(object(&first)) && is_allocated(object(&second)));
        assert_ne!(object(&first), object(&second));
    });
}

/// From now on threads that begin borrow the spare record.
fn without_records_of_their_own() {
    // The one that is free is taken, and what the threads allocate from is there.
    ending_here(|| drop(Gc::new(0u8)));
    drop(Operation::enter());
    Record::keep_a_spare();
    os::platform::refuse(Record::MEMORY);
}

/// What a thread makes a root of in the spare record survives, whether it or the collector hands its entry over.
///
/// Breaks if the record is handed over outside an operation when the thread gives it back: the collector, which does not wait for the thread, hands the same
/// buffers over.
#[test]
fn a_root_from_the_spare_record_beside_a_cycle() {
    verify(2, &[Mutation::ExitWithoutOperation], || {
        without_records_of_their_own();
        let maker = thread::spawn(|| Gc::new(1u8));
        cycle();
        let made = maker.join().unwrap();
        assert!(is_allocated(object(&made)));
        cycle();
        assert!(is_allocated(object(&made)), "its entry is kept");
        ending_here(|| ());
    });
}
