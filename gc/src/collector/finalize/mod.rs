//! Between S2 and the sweep: what finalizers will see is kept.
//!
//! After S2, once the weak handles to white objects are cleared and no thread is in an operation begun before that, nothing but the collector can reach a white object. So the
//! collector alone, with the program running:
//!
//! 1. looks through the spans of finalizable objects (a kind of their own) for white ones whose finalizer is due. Each is *handed over*: its header
//!    leads to the descriptor without a finalizer from now on, so that it is finalized once, and it gets a counted handle, which is the queue's;
//! 2. marks them and all that they reach, in the bitmap that the cycle has marked in and without barriers: nobody else reads or changes these objects;
//! 3. publishes them: to the finalizer thread's queue (`queue`) or to that of the thread that made them (`local`).
//!
//! All are found before any is marked through another, so of two that lead to each other both are finalized in the same cycle. After 2 whatever is still white is
//! reached neither by the program nor by a finalizer, and the sweep takes it: a resurrected object is whole. From 3 on the queue's handles are roots like those on any stack.
//!
//! What 2 finds counted (content that was opened since the cycle traced it) leads to roots, which are marked already; the marker claims it, as always.
//!
//! Cleanups (`cleanup`) come after 2, for objects that are white even then.

mod batch;
pub(crate) mod cleanup;
pub(crate) mod local;
pub(crate) mod queue;

use super::{dropper::DROPPER, ephemerons::WAITING, mark::Marker};
use crate::{
    heap::{
        HEAP,
        central::{SpanList, span_class},
        header::Object,
        kind::Kind,
        size_class::CLASS_COUNT,
        span::Span,
    },
    mutator::candidates::Candidates,
    sync::{Mutation, weakened},
    trace::type_info::{TypeInfo, encode},
};
pub(crate) use batch::Batch;

/// Keeps, and publishes, the white objects whose finalizers are due. Returns the bytes that are kept.
///
/// The collector calls this when the weak handles are cleared, and no span has been swept since S2 `cycle` but fresh ones.
pub(super) fn keep_finalizable(cycle: u32) -> usize {
    let mut handover = Handover::new();
    // Those of the dropper first: one that it finishes meanwhile is then in a central list.
    DROPPER.for_each_span(|span| handover.look_at(span, cycle));
    for class in 0..CLASS_COUNT {
        for scan in [false, true] {
            handover.look_through(class, Kind::finalizable(scan), cycle);
        }
    }
    handover.finish()
}

/// One cycle's finalizable objects on their way to those who finalize them.
struct Handover {
    for_thread: Batch,
    for_owners: Batch,
    candidates: Candidates,
}

impl Handover {
    fn new() -> Self {
        Handover { for_thread: Batch::default(), for_owners: Batch::default(), candidates: Candidates::new() }
    }

    /// Looks at all spans of a central list. Mutators do not sweep spans of these kinds.
    fn look_through(&mut self, class: usize, kind: Kind, cycle: u32) {
        let central = HEAP.central(span_class(class, kind));
        let mut seen = SpanList::new();
        while let Some(span) = central.take_unswept(cycle) {
            self.look_at(span, cycle);
            seen.push(span);
        }
        while let Some(span) = seen.pop() {
            central.give(span, false);
        }
    }

    fn look_at(&mut self, span: &'static Span, cycle: u32) {
        if !span.kind().finalize || span.is_swept_for(cycle) {
            return;
        }
        // The dropper clears bits.
        span.with_drop_lock(|_| span.for_each_dead(|object| self.meet(object)));
    }

    /// Hands a white object over, if its finalizer is due.
    fn meet(&mut self, object: Object) {
        // SAFETY: the slot is allocated and was so before S2, so its header is there.
        let (roots, info) = unsafe { (object.roots(), TypeInfo::of(object)) };
        let Some(done) = info.due.filter(|_| !roots.awaits_drop()) else { return };
        // SAFETY: it is white after S2: the collector alone reads it.
        unsafe { object.set_code(encode(done)) };
        if roots.up() && !weakened(Mutation::QueueWithoutEntry) {
            self.candidates.push(object);
        }
        let batch = if info.owner.is_some() { &mut self.for_owners } else { &mut self.for_thread };
        batch.push(object);
    }

    /// Marks them and what they reach, then publishes them.
    fn finish(mut self) -> usize {
        self.candidates.flush();
        if weakened(Mutation::PublishBeforeMarking) {
            queue::FINALIZERS.add(std::mem::take(&mut self.for_thread));
        }
        let mut marker = Marker::after_s2();
        for batch in [&self.for_thread, &self.for_owners] {
            batch.for_each_block(|objects| {
                objects.iter().for_each(|object| marker.shade_root(*object));
                if !weakened(Mutation::KeepTheFinalizableAlone) {
                    marker.drain(usize::MAX);
                }
            });
        }
        let (bytes, _) = marker.finish();
        // Ephemerons that were white, too: those that still wait have keys that nothing keeps.
        WAITING.clear_dead();
        queue::FINALIZERS.add(self.for_thread);
        local::deliver(self.for_owners);
        bytes
    }
}
