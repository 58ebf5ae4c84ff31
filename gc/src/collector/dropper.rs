//! The dropper: a thread that runs the `Drop`s that users wrote, so that they delay neither a cycle nor an allocation.
//!
//! It gets whole spans. Those of their objects that wait to be dropped say so in their headers, and stay allocated until
//! that is done; a span leaves the dropper when none is left. If a `Drop` takes longer than a cycle, the next sweep visits
//! the dropper's spans where they are and may find more dead in them, under the span's drop lock. User code runs with no
//! lock held.
//!
//! The thread starts with the collector, so that its start can fail where that can be reported.

use super::sweep::{drop_dead, give_back};
use crate::{
    heap::{
        HEAP,
        header::Object,
        poison,
        span::{Place, Span},
    },
    sync::{Condvar, Mutation, Mutex, MutexGuard, Ordering, global, lock, weakened},
};
use std::sync::PoisonError;

global! {
    /// The dropper of the process.
    pub(crate) static DROPPER: Dropper = Dropper {
        state: Mutex::new(State { first: None, last: None, current: None, added: 0, finished: 0 }),
        added: Condvar::new(),
        finished: Condvar::new(),
    };
}

pub(crate) struct Dropper {
    state: Mutex<State>,
    added: Condvar,
    finished: Condvar,
}

struct State {
    /// A queue, linked through the spans.
    first: Option<&'static Span>,
    last: Option<&'static Span>,
    /// The span whose objects are being dropped.
    current: Option<&'static Span>,
    /// Spans ever added, and finished; first come, first served.
    added: u64,
    finished: u64,
}

/// The dropper held off; see [`Dropper::pause`].
pub(crate) struct Paused<'a>(MutexGuard<'a, State>);

impl Paused<'_> {
    /// Calls `f` with every span that the dropper has.
    pub(crate) fn for_each_span(&self, f: impl FnMut(&'static Span)) {
        self.0.for_each_span(f);
    }
}

impl State {
    fn for_each_span(&self, mut f: impl FnMut(&'static Span)) {
        self.current.into_iter().for_each(&mut f);
        // SAFETY: spans in the queue are in use, and the lock keeps the links.
        let queue = std::iter::successors(self.first, |span| unsafe { span.next().as_ref() });
        queue.for_each(&mut f);
    }
}

/// Objects dropped between two looks at a span's lock.
const BATCH: usize = 32;

impl Dropper {
    /// Takes over a swept span with objects that wait, unless it has it already.
    pub(super) fn add(&'static self, span: &'static Span) {
        if span.place() == Place::Dropping {
            return;
        }
        span.set_place(Place::Dropping);
        span.set_next(std::ptr::null_mut());
        let mut state = lock(&self.state);
        match state.last.replace(span) {
            Some(last) => last.set_next(span.as_ptr()),
            None => state.first = Some(span),
        }
        state.added += 1;
        drop(state);
        self.added.notify_one();
    }

    /// Calls `f` with every span that the dropper has. `f` must not add spans.
    pub(super) fn for_each_span(&self, f: impl FnMut(&'static Span)) {
        lock(&self.state).for_each_span(f);
    }

    /// Holds the dropper off from freeing anything and from giving spans back. The `Drop` it is running goes on.
    pub(super) fn pause(&self) -> Paused<'_> {
        Paused(lock(&self.state))
    }

    /// Waits until everything that has been added so far is dropped.
    pub(super) fn wait(&self) {
        let mut state = lock(&self.state);
        let target = state.added;
        while state.finished < target {
            state = self.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The thread's body.
    pub(super) fn run(&self) {
        loop {
            self.serve();
        }
    }

    /// Waits for a span and drops what waits in it.
    pub(crate) fn serve(&self) {
        let span = self.next();
        while !self.finish(span) {
            self.drop_waiting(span);
        }
    }

    fn next(&self) -> &'static Span {
        let mut state = lock(&self.state);
        loop {
            if let Some(span) = state.first {
                // SAFETY: spans in the queue are in use, and the lock keeps the links.
                state.first = unsafe { span.next().as_ref() };
                if state.first.is_none() {
                    state.last = None;
                }
                state.current = Some(span);
                return span;
            }
            state = self.added.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops a batch of the objects that wait, and frees their slots.
    fn drop_waiting(&self, span: &'static Span) {
        let mut batch: [Option<Object>; BATCH] = [None; BATCH];
        let found = span.with_drop_lock(|_| collect_waiting(span, &mut batch));
        for object in batch[..found].iter().flatten() {
            // SAFETY: it waits for this, and only the dropper drops what waits.
            unsafe { drop_dead(*object) };
        }
        // Whoever pauses the dropper finds slots and accounts in agreement.
        let _state = lock(&self.state);
        span.with_drop_lock(|waiting| {
            for object in batch[..found].iter().flatten() {
                let offset = object.address() - span.first_slot().addr();
                span.clear_allocated(offset..offset + span.slot_size());
                poison::poison(object.as_ptr().cast(), span.slot_size());
            }
            waiting.fetch_sub(found as u32, Ordering::Relaxed);
        });
        HEAP.account.swept(found * span.object_bytes(), found);
    }

    /// Lets go of the span if nothing in it waits any more.
    fn finish(&self, span: &'static Span) -> bool {
        let waiting = || span.with_drop_lock(|waiting| waiting.load(Ordering::Relaxed));
        let early = weakened(Mutation::FinishLooksFirst).then(waiting);
        let mut state = lock(&self.state);
        // No sweep can add to it now: the sweeper visits our spans under the lock that we hold.
        if early.unwrap_or_else(waiting) != 0 {
            return false;
        }
        state.current = None;
        state.finished += 1;
        release(span);
        drop(state);
        self.finished.notify_all();
        true
    }
}

/// Gives a span back to the heap. It may be unswept again by now: then the sweep finds it in its list.
fn release(span: &'static Span) {
    span.set_place(Place::Loose);
    let free = span.free_slots();
    if free == span.slots() {
        // SAFETY: the span is the dropper's alone and nothing in it is allocated.
        unsafe { HEAP.pages.free(span) };
    } else {
        give_back(span, free);
    }
}

fn collect_waiting(span: &Span, batch: &mut [Option<Object>; BATCH]) -> usize {
    let mut found = 0;
    for (index, word) in span.bits(span.allocation_parity()).iter().enumerate() {
        let mut allocated = word.load(Ordering::Relaxed);
        while allocated != 0 && found < BATCH {
            let object = span.object_at_bit(index, allocated.trailing_zeros());
            // SAFETY: the slot is allocated and no thread has the span cached, so its header is there.
            if unsafe { object.roots() }.awaits_drop() {
                batch[found] = Some(object);
                found += 1;
            }
            allocated &= allocated - 1;
        }
    }
    found
}
