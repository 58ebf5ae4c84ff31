//! L1: the stop gate against operations.

use super::verify_all_orders;
use crate::{
    mutator::gate::{Gated, World},
    sync::Mutation,
};
use loom::{cell::UnsafeCell, sync::Arc, thread};

/// A record with something that two parties must never touch at once, and a global that only a stopped world may change.
struct Model {
    world: World,
    record: Gated<UnsafeCell<u32>>,
    global: UnsafeCell<u32>,
}

// SAFETY: what the model is there to find out; loom reports every access that is not ordered.
unsafe impl Sync for Model {}

fn model() -> Arc<Model> {
    let world = World::new();
    let record = Gated::new(world.phase(), UnsafeCell::new(0));
    Arc::new(Model { world, record, global: UnsafeCell::new(0) })
}

impl Model {
    fn flush(content: &mut UnsafeCell<u32>) {
        content.with_mut(|content| {
            // SAFETY: loom checks.
            unsafe { *content = 0 };
        });
    }

    /// One operation: uses the thread's own record and reads what only a stop may change.
    fn operate(&self) -> u32 {
        let phase = self.record.enter(&self.world, Model::flush);
        // SAFETY: in an operation whose phase the record has seen.
        unsafe { self.record.content() }.with_mut(|content| {
            // SAFETY: loom checks.
            unsafe { *content += 1 };
        });
        // SAFETY: loom checks.
        let seen = self.global.with(|global| unsafe { *global });
        assert_eq!(seen, u32::from(phase.is_marking()), "the global belongs to another phase");
        self.record.gate.leave();
        seen
    }

    /// What S1 is: stop, change, open, bring the record up to date.
    fn change(&self) {
        self.world.stop(|| std::iter::once(&self.record.gate));
        self.global.with_mut(|global| {
            // SAFETY: loom checks.
            unsafe { *global = 1 };
        });
        let phase = self.world.change_phase(true);
        self.record.update(phase, Model::flush);
        assert!(self.record.gate.has_seen(phase));
    }
}

/// While a thread is in an operation the phase does not change, and its record is never used by two at once.
///
/// Breaks if entering does not put a barrier between setting `active` and reading the world word: the thread reads the old word, the
/// collector reads `active` as clear, and both go on.
#[test]
fn operations_and_stops_exclude_each_other() {
    verify_all_orders(3, &[Mutation::EnterWithoutBarrier, Mutation::LeaveIsRelaxed], || {
        let model = model();
        let mutator = thread::spawn({
            let model = model.clone();
            move || {
                model.operate();
                model.operate();
            }
        });
        model.change();
        mutator.join().unwrap();
    });
}

/// A stop that changes nothing (S2 that finds something grey) lets a waiting thread go on in the phase it knew.
///
/// Breaks if opening the gate does not wake who went to sleep between its look at the word and its wait.
#[test]
fn a_stop_without_change_wakes_everyone() {
    verify_all_orders(3, &[Mutation::OpenWithoutLock], || {
        let model = model();
        let mutator = thread::spawn({
            let model = model.clone();
            move || assert_eq!(model.operate(), 0)
        });
        model.world.stop(|| std::iter::once(&model.record.gate));
        model.world.resume();
        mutator.join().unwrap();
    });
}

/// The thread and the collector may both bring the record up to date; it happens once, and before the thread uses it.
///
/// Breaks if the updater does not look again, under the lock, whether the record has seen the phase: what the thread has put into
/// the fresh record would be flushed.
#[test]
fn a_record_is_updated_once() {
    verify_all_orders(3, &[Mutation::UpdateWithoutSecondLook], || {
        let model = model();
        let mutator = thread::spawn({
            let model = model.clone();
            move || {
                let phase = model.record.enter(&model.world, Model::flush);
                // SAFETY: in an operation whose phase the record has seen.
                unsafe { model.record.content() }.with_mut(|content| {
                    // SAFETY: loom checks.
                    unsafe { *content = 7 };
                });
                model.record.gate.leave();
                phase.is_marking()
            }
        });
        model.change();
        let was_marking = mutator.join().unwrap();
        // SAFETY: the thread has ended.
        let left = unsafe { model.record.content() }.with(|content| unsafe { *content });
        assert_eq!(left, if was_marking { 7 } else { 0 });
    });
}
