//! What the collector does after S2: clears weak handles and ephemerons, hands objects over to their finalizers, sweeps.

use super::{
    play::Play,
    properties,
    rules::Rule,
    scenario::Nested,
    state::{Bits, Color, Fault, Id, Life, MARKER, Object, Phase, THREADS},
};

impl Play<'_> {
    /// White objects whose finalizers are due.
    pub(super) fn white_and_due(&self) -> Bits {
        let mut found = Bits::default();
        let due = |id: &Id| self.is_white(*id) && self.state.objects[usize::from(*id)].due;
        self.heap().filter(due).for_each(|id| found.add(id));
        found
    }

    pub(super) fn end_marking(&mut self) {
        self.state.unsettled = self.with_notes();
        self.state.objects.iter_mut().for_each(|object| object.swept = false);
        let ws: Vec<Id> = self.heap().filter(|&id| self.object_is_w(id)).collect();
        let weak = self.scenario.acts.iter().any(|acts| acts.iter().any(|act| act.is_about_weak()));
        if ws.is_empty() && !weak && self.white_and_due().is_empty() {
            self.state.phase = Phase::Sweeping;
            return;
        }
        ws.into_iter().for_each(|w| self.state.pending.add(w));
        self.state.pending.0 |= self.state.waiting.0;
        self.state.phase = Phase::Clearing;
    }

    fn object_is_w(&self, id: Id) -> bool {
        self.state.objects[usize::from(id)].target.is_some()
    }

    pub(super) fn clear(&mut self, w: Id) {
        self.state.pending.remove(w);
        if self.state.waiting.has(w) {
            self.clear_ephemeron(w);
            return;
        }
        let Some(target) = self.object(w).target else { return };
        if !self.is_white(target) {
            if self.keeps(Rule::WKeptByMarkedTarget) {
                self.object(w).color = Color::Black;
            }
            return;
        }
        if self.reachable().has(target) {
            self.fault(Fault::WeakLost(target));
        }
        if !self.keeps(Rule::ClearWhatFinalizersReach) && self.is_for_finalizers(target) {
            return;
        }
        self.object(w).target = None;
        self.object(target).w = None;
        if self.keeps(Rule::WNotFreedWithTarget) {
            self.object(w).color = Color::Black;
        }
    }

    /// What still waits after S2 has a white key.
    pub(super) fn clear_ephemeron(&mut self, id: Id) {
        self.state.waiting.remove(id);
        let (key, reachable) = (self.object(id).key, self.reachable());
        if reachable.has(id) && key.is_some_and(|key| reachable.has(key)) {
            self.fault(Fault::WeakLost(id));
        }
        self.object(id).key = None;
        self.object(id).value = None;
    }

    pub(super) fn end_clearing(&mut self) {
        self.state.pending = Bits::default();
        self.state.waiting = Bits::default();
        if self.keeps(Rule::HandshakeBeforeSweep) {
            self.state.phase = Phase::Handshake;
            (0..THREADS as u8).for_each(|thread| self.state.pending.add(thread));
        } else {
            self.end_handshake();
        }
    }

    /// Nobody but the collector can reach a white object from here on.
    pub(super) fn end_handshake(&mut self) {
        let finalizes = !self.white_and_due().is_empty();
        self.state.phase = if finalizes { Phase::Finalizing } else { Phase::Sweeping };
    }

    /// Each gets a counted handle, which is the queue's. All are found before any is marked through another.
    pub(super) fn hand_over(&mut self) {
        for id in self.white_and_due().iter() {
            if self.object(id).handed_over {
                self.fault(Fault::FinalizedTwice(id));
            }
            self.object(id).handed_over = true;
            self.object(id).due = !self.keeps(Rule::HandedOverOnce);
            if self.up(id) && self.keeps(Rule::QueueIsLogged) {
                self.state.buffers[MARKER].add(id);
            }
            self.state.handed_over.add(id);
            self.shade(id);
            if !self.keeps(Rule::MarkWhatFinalizersReach) {
                self.object(id).color = Color::Black;
            }
        }
        if !self.keeps(Rule::PublishAfterMarking) {
            self.state.queue.0 |= std::mem::take(&mut self.state.handed_over).0;
        }
    }

    /// Whether only a finalizer will reach `id`.
    fn is_for_finalizers(&self, id: Id) -> bool {
        let mut state = self.state.clone();
        state.handed_over = self.white_and_due();
        properties::reachable(self.scenario, &state).has(id)
    }

    pub(super) fn sweep(&mut self) {
        let dead = self.heap().find(|&id| self.is_white(id) && !self.state.objects[usize::from(id)].swept);
        match dead {
            Some(id) => self.free(id),
            None => {
                self.state.phase = Phase::Off;
                self.state.cycles_left -= 1;
            }
        }
    }

    /// Frees a dead object: claimed handles in it are forgotten, counted ones count down.
    pub(crate) fn free(&mut self, id: Id) {
        let object = *self.object(id);
        let nested = self.nested(id) != Nested::Handle;
        let second_counted = if nested { object.lock.nested_counted } else { !object.lock.claimed };
        let handles = [
            (object.skipped, true),
            (object.plain, false),
            (object.edge.target, object.edge.counted),
            (object.lock.content[0], !object.lock.claimed),
            (object.lock.content[1], second_counted),
        ];
        *self.object(id) = Object { life: Life::Freed, ..Object::default() };
        for (target, counted) in handles {
            let Some(target) = target else { continue };
            if if counted { self.keeps(Rule::SweepCountsDown) } else { !self.keeps(Rule::SweepForgetsClaimed) } {
                self.down(target);
            }
        }
    }
}
