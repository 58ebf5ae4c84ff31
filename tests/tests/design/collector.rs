//! What the collector does: the stops, the root scan, the marker; what comes after S2 is played in `ending`. And filtering, which is a mutator's
//! work but comes when a buffer is full, that is to say at any time.

use super::{
    mutator::is_idle,
    play::Play,
    rules::Rule,
    scenario::Nested,
    state::{Bits, Color, Held, Id, MARKER, Marker, Mode, Object, Phase, Pin, THREADS},
};

/// A step of the collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    S1,
    /// Brings this thread's record up to date after S1.
    Settle(u8),
    /// A thread's note about this is in the way of another.
    Displace(u8, Id),
    /// The root scan processes this entry.
    Scan(Id),
    /// Clears the bit of an entry that it read as 0 before.
    ClearBit,
    /// R: the last entry has been processed; the pins held now are noted.
    R,
    /// Takes a grey object and traces its plain fields.
    Trace(Id),
    TraceEdge,
    EnterLock,
    /// Visits the next handle or cell in the content.
    Visit,
    Leave,
    SetFlag,
    GiveUp,
    CountBack,
    /// The ephemeron has begun to wait, and its key is looked at.
    LookAtKey,
    S2,
    /// Looks at this W, and clears it if its target is white.
    Clear(Id),
    /// Sees this thread inactive.
    SeeInactive(u8),
    BeginSweeping,
    /// Hands the white objects over whose finalizers are due.
    HandOver,
    /// Publishes them; then sweeping begins.
    Publish,
    /// Sweeps the next dead object, or finds none left.
    Sweep,
    /// The thread's buffer (or the marker's) is full, and this entry's turn comes.
    Filter(u8, Id),
}

impl Play<'_> {
    fn peek_color(&self, id: Id) -> Color {
        self.state.objects[usize::from(id)].color
    }

    pub(super) fn is_white(&self, id: Id) -> bool {
        self.peek_color(id) == Color::White
    }

    /// All steps that the collector can take.
    pub(crate) fn turns(&self, turns: &mut Vec<Turn>) {
        self.cycle_turns(turns);
        if self.state.phase.is_marking() || self.state.phase == Phase::Finalizing {
            self.marker_turns(turns);
        }
        if self.scenario.filter {
            self.filter_turns(turns);
        }
    }

    fn cycle_turns(&self, turns: &mut Vec<Turn>) {
        let state = &*self.state;
        match state.phase {
            Phase::Off if state.cycles_left > 0 && self.may_stop() => turns.push(Turn::S1),
            Phase::Off => {}
            Phase::Scanning | Phase::Clearing | Phase::Sweeping if self.are_unsettled() => {
                turns.extend(state.unsettled.iter().map(Turn::Settle));
            }
            Phase::Scanning => {
                if state.marker == Marker::Idle {
                    turns.extend(self.to_scan().iter().map(Turn::Scan));
                    if state.taken().is_empty() || !self.keeps(Rule::EntriesTakenProcessedBeforeR) {
                        turns.push(Turn::R);
                    }
                }
            }
            Phase::Marking => {
                if !self.keeps(Rule::EntriesTakenProcessedBeforeR) && state.marker == Marker::Idle {
                    turns.extend(self.to_scan().iter().map(Turn::Scan));
                }
                if !self.keeps(Rule::ClearAfterS2) {
                    turns.extend(self.heap().filter(|&w| self.has_white_target(w)).map(Turn::Clear));
                }
                if self.may_end_marking() {
                    turns.push(Turn::S2);
                }
            }
            Phase::Clearing => {
                turns.extend(state.pending.iter().map(Turn::Clear));
                if state.pending.is_empty() || !self.keeps(Rule::ClearBeforeSweep) {
                    turns.push(Turn::BeginSweeping);
                }
            }
            Phase::Handshake => {
                turns.extend(state.pending.iter().filter(|&thread| !self.in_operation(thread)).map(Turn::SeeInactive));
            }
            Phase::Finalizing => {
                let grey = self.heap().any(|id| self.peek_color(id) == Color::Grey);
                if !self.white_and_due().is_empty() {
                    turns.push(Turn::HandOver);
                } else if !grey && state.marker == Marker::Idle {
                    turns.push(Turn::Publish);
                }
            }
            Phase::Sweeping => turns.push(Turn::Sweep),
        }
    }

    /// Threads that have something to settle.
    pub(super) fn with_notes(&self) -> Bits {
        let mut threads = Bits::default();
        for thread in 0..THREADS as u8 {
            if self.state.threads[usize::from(thread)].has_notes() {
                threads.add(thread);
            }
        }
        threads
    }

    /// Whether records are to be brought up to date before the cycle goes on. What comes to be owed after that waits.
    fn are_unsettled(&self) -> bool {
        self.keeps(Rule::NotesAreCounted) && !self.state.unsettled.is_empty()
    }

    /// Entries whose turn may be next: those of the log first, so that a candidate that is logged has been scanned already.
    fn to_scan(&self) -> Bits {
        if self.state.taken_log.is_empty() { self.state.taken_candidates } else { self.state.taken_log }
    }

    fn marker_turns(&self, turns: &mut Vec<Turn>) {
        match self.state.marker {
            Marker::Idle => {
                turns.extend(self.heap().filter(|&id| self.peek_color(id) == Color::Grey).map(Turn::Trace));
            }
            Marker::ClearingBit(_) => turns.push(Turn::ClearBit),
            Marker::AtEdge(_) => turns.push(Turn::TraceEdge),
            Marker::AtLock(_) => turns.push(Turn::EnterLock),
            Marker::Inside { owner, walked, .. } => {
                turns.push(if walked < 2 { Turn::Visit } else { Turn::Leave });
                // For a writer that waits, and borrows the cell meanwhile.
                if self.scenario.give_up && self.reachable().has(owner) {
                    turns.push(Turn::GiveUp);
                }
            }
            Marker::Back { .. } => turns.push(Turn::CountBack),
            Marker::Flagging(_) => turns.push(Turn::SetFlag),
            Marker::AtKey(_) => turns.push(Turn::LookAtKey),
        }
    }

    fn filter_turns(&self, turns: &mut Vec<Turn>) {
        if self.state.phase == Phase::Off && self.may_stop() {
            // The verifier.
            turns.extend(self.with_notes().iter().map(Turn::Settle));
        }
        for thread in self.with_notes().iter().filter(|&thread| is_idle(self.state, thread)) {
            let notes = self.state.threads[usize::from(thread)].notes;
            turns.extend(notes.iter().map(|id| Turn::Displace(thread, id)));
        }
        for buffer in 0..=MARKER as u8 {
            // A buffer that is full is one in whose owner's operation something is being logged.
            if usize::from(buffer) == MARKER || self.may_filter(buffer) {
                let entries = self.state.buffers[usize::from(buffer)];
                turns.extend(entries.iter().map(|id| Turn::Filter(buffer, id)));
            }
        }
    }

    fn may_stop(&self) -> bool {
        !self.keeps(Rule::StopsWaitForOperations) || (0..THREADS as u8).all(|thread| !self.in_operation(thread))
    }

    fn may_end_marking(&self) -> bool {
        let state = &*self.state;
        let grey = self.heap().any(|id| self.peek_color(id) == Color::Grey);
        let releasing = self.heap().any(|id| state.objects[usize::from(id)].lock.held == Held::Releasing);
        let pins = state.threads.iter().any(|thread| thread.pin == Pin::Awaited);
        self.may_stop()
            && !(grey && self.keeps(Rule::S2ChecksGreyEmpty))
            && !(state.marker != Marker::Idle && self.keeps(Rule::S2ChecksMarkerHoldsNothing))
            && !(releasing && self.keeps(Rule::S2WaitsForReleasing))
            && !(pins && self.keeps(Rule::S2WaitsForPins))
    }

    fn has_white_target(&self, w: Id) -> bool {
        self.state.objects[usize::from(w)].target.is_some_and(|target| self.is_white(target))
    }

    /// The collector takes a step.
    pub(crate) fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::S1 => self.begin_marking(),
            Turn::Settle(thread) => self.settle(thread),
            Turn::Displace(thread, id) => self.displace(thread, id),
            Turn::Scan(id) => self.scan(id),
            Turn::ClearBit => {
                if let Marker::ClearingBit(id) = std::mem::take(&mut self.state.marker) {
                    self.object(id).in_log = false;
                    self.object(id).has_entry = false;
                }
            }
            Turn::R => {
                self.state.phase = Phase::Marking;
                if self.keeps(Rule::PinsNotedAtR) {
                    self.note_pins();
                }
            }
            Turn::Trace(id) => self.trace(id),
            Turn::TraceEdge => self.trace_edge(),
            Turn::EnterLock => self.enter_lock(),
            Turn::Visit => self.visit(),
            Turn::Leave => self.leave(),
            Turn::SetFlag => {
                if let Marker::Flagging(owner) = std::mem::take(&mut self.state.marker) {
                    self.object(owner).lock.claimed = true;
                }
            }
            Turn::GiveUp => self.give_up(),
            Turn::CountBack => self.count_back(),
            Turn::LookAtKey => self.look_at_key(),
            Turn::S2 => self.end_marking(),
            Turn::Clear(w) => self.clear(w),
            Turn::SeeInactive(thread) => {
                self.state.pending.remove(thread);
                if self.state.pending.is_empty() {
                    self.end_handshake();
                }
            }
            Turn::BeginSweeping => self.end_clearing(),
            Turn::HandOver => self.hand_over(),
            Turn::Publish => {
                let handed_over = std::mem::take(&mut self.state.handed_over);
                if self.keeps(Rule::ClearAgainForFinalizers) {
                    self.state.waiting.iter().for_each(|id| self.clear_ephemeron(id));
                }
                self.state.queue.0 |= handed_over.0;
                self.state.phase = Phase::Sweeping;
            }
            Turn::Sweep => self.sweep(),
            Turn::Filter(buffer, id) => self.filter(buffer, id),
        }
    }

    fn begin_marking(&mut self) {
        let fresh = self.keeps(Rule::ProgressIsOfACycle);
        for object in &mut self.state.objects {
            object.color = Color::White;
            object.lock.left = object.lock.left.filter(|_| !fresh);
        }
        if self.keeps(Rule::TakeTheLogAtS1) {
            self.state.taken_log = std::mem::take(&mut self.state.log);
        }
        if self.keeps(Rule::TakeBuffersAtS1) {
            let buffers = std::mem::take(&mut self.state.buffers);
            self.state.taken_candidates = Bits(buffers.iter().fold(0, |all, buffer| all | buffer.0));
        }
        self.state.phase = Phase::Scanning;
        self.state.unsettled = self.with_notes();
        self.state.quiet = (self.state.quiet + 1).min(self.scenario.latency);
        if !self.keeps(Rule::PinsNotedAtR) {
            self.note_pins();
        }
    }

    fn note_pins(&mut self) {
        for thread in self.state.threads.iter_mut().filter(|thread| thread.pin != Pin::No) {
            thread.pin = Pin::Awaited;
        }
    }

    fn scan(&mut self, id: Id) {
        let from_log = self.state.taken_log.has(id);
        let taken = if from_log { &mut self.state.taken_log } else { &mut self.state.taken_candidates };
        taken.remove(id);
        if !self.touch(id) {
            return;
        }
        let Object { count, in_log, .. } = *self.object(id);
        if count <= 0 && self.keeps(Rule::ScanDropsZero) {
            if from_log {
                self.clear_bit(id);
            } else if !in_log {
                self.object(id).has_entry = false;
            }
        } else if from_log || !in_log && self.object(id).has_entry {
            self.object(id).unshared = false;
            self.keep(id);
        }
    }

    /// An entry that is kept: its object is a root.
    fn keep(&mut self, id: Id) {
        if self.keeps(Rule::ScanShades) {
            self.shade(id);
        }
        if self.keeps(Rule::ScanKeepsPositive) {
            self.object(id).in_log = true;
            self.log(id);
        }
    }

    /// An entry of the log that is dropped.
    fn clear_bit(&mut self, id: Id) {
        if !self.keeps(Rule::ScanComparesAndSwaps) {
            self.state.marker = Marker::ClearingBit(id);
        } else {
            let (clears, says) = (self.keeps(Rule::ScanClearsTheBit), self.keeps(Rule::ScanSaysSo));
            self.object(id).in_log &= !clears;
            self.object(id).has_entry &= !says;
        }
    }

    fn filter(&mut self, buffer: u8, id: Id) {
        self.state.buffers[usize::from(buffer)].remove(id);
        if !self.touch(id) {
            return;
        }
        let Object { count, in_log, has_entry, .. } = *self.object(id);
        if in_log || !has_entry || !self.keeps(Rule::FilterKeepsPositive) {
            return;
        }
        self.object(id).unshared = false;
        if count <= 0 {
            self.object(id).has_entry = !self.keeps(Rule::FilterSaysSo);
            return;
        }
        if !self.keeps(Rule::FilterComparesAndSwaps) && usize::from(buffer) < THREADS {
            self.filter_without_swap(buffer, id, count);
            return;
        }
        self.object(id).in_log = self.keeps(Rule::FilterSetsTheBit);
        self.log(id);
    }

    // Marking.

    /// Begins to trace an object: its plain fields.
    fn trace(&mut self, id: Id) {
        let plain = self.object(id).plain;
        plain.into_iter().for_each(|target| self.shade(target));
        for ephemeron in self.waiting_for(id) {
            if self.keeps(Rule::MarkedKeyWakes) {
                self.wake(ephemeron);
            }
        }
        let shape = self.scenario.shapes[usize::from(id)];
        self.state.marker = match shape {
            _ if self.object(id).key.is_some() => self.trace_ephemeron(id),
            _ if shape.edge => Marker::AtEdge(id),
            _ if shape.has_lock() => Marker::AtLock(id),
            _ => Marker::Idle,
        };
        self.object(id).color = Color::Black;
    }

    /// The value waits for the key: first the ephemeron is where one finds it who marks the key, then the key is looked at.
    fn trace_ephemeron(&mut self, id: Id) -> Marker {
        let white = self.object(id).key.is_some_and(|key| self.touch(key) && self.is_white(key));
        if !self.keeps(Rule::ValueWaitsForKey) || !white && !self.keeps(Rule::WaitThenLook) {
            self.wake(id);
            return Marker::Idle;
        }
        if self.keeps(Rule::WaitThenLook) {
            self.state.waiting.add(id);
        }
        Marker::AtKey(id)
    }

    fn look_at_key(&mut self) {
        let Marker::AtKey(id) = std::mem::take(&mut self.state.marker) else { return };
        if !self.keeps(Rule::WaitThenLook) {
            self.state.waiting.add(id);
        } else if self.object(id).key.is_some_and(|key| !self.is_white(key)) {
            self.wake(id);
        }
    }

    /// The ephemeron's key is marked.
    fn wake(&mut self, ephemeron: Id) {
        self.state.waiting.remove(ephemeron);
        let value = self.object(ephemeron).value;
        value.into_iter().for_each(|value| self.shade(value));
    }

    fn trace_edge(&mut self) {
        let Marker::AtEdge(id) = std::mem::take(&mut self.state.marker) else { return };
        let edge = self.object(id).edge;
        edge.target.into_iter().for_each(|target| self.shade(target));
        debug_assert!(!edge.counted, "only in the content of other cells are cells of the heap ever counted");
        if self.scenario.shapes[usize::from(id)].has_lock() {
            self.state.marker = Marker::AtLock(id);
        }
    }

    fn enter_lock(&mut self) {
        let Marker::AtLock(owner) = std::mem::take(&mut self.state.marker) else { return };
        if self.scenario.shapes[usize::from(owner)].edges {
            return self.trace_chunk(owner);
        }
        let flag_first = !self.keeps(Rule::FlagSetLast);
        let may_enter_held = !self.keeps(Rule::SkipWriteHeld);
        let claims = self.keeps(Rule::MarkerClaimsContent);
        let may_enter_read = self.keeps(Rule::EnterReadHeld);
        let lock = &mut self.object(owner).lock;
        if !lock.readers.is_empty() && !may_enter_read {
            return;
        }
        if matches!(lock.held, Held::Writing(_) | Held::Leaked) && !may_enter_held {
            return;
        }
        let mode = match lock.held {
            Held::Releasing => Mode::Releasing,
            _ if lock.claimed || !claims => Mode::Claimed,
            _ => Mode::Counted,
        };
        lock.marker = true;
        lock.claimed |= flag_first && mode == Mode::Counted;
        self.state.marker = Marker::Inside { owner, mode, walked: 0 };
    }

    fn visit(&mut self) {
        let Marker::Inside { owner, mode, walked } = self.state.marker else { return };
        let target = self.object(owner).lock.content[usize::from(walked)];
        let counted = match mode {
            Mode::Counted => true,
            Mode::Releasing => !self.keeps(Rule::ReleasingIsShadedOnly),
            Mode::Claimed => !self.keeps(Rule::ClaimedIsShadedOnly),
        };
        if walked == 1 && self.nested(owner) != Nested::Handle {
            self.visit_nested(owner, mode);
        } else if let Some(target) = target {
            self.shade(target);
            if counted {
                self.down_claimed(target);
            }
        }
        self.state.marker = Marker::Inside { owner, mode, walked: walked + 1 };
    }

    fn visit_nested(&mut self, owner: Id, mode: Mode) {
        let lock = self.object(owner).lock;
        let is_write_held = lock.nested_writer.is_some() && mode != Mode::Releasing;
        if is_write_held && self.keeps(Rule::SkipWriteHeld) {
            return;
        }
        let Some(target) = lock.content[1] else {
            self.object(owner).lock.nested_counted &= mode == Mode::Releasing;
            return;
        };
        self.shade(target);
        let claims = match mode {
            Mode::Releasing => false,
            Mode::Claimed => self.keeps(Rule::NestedClaimedInsideOuter),
            Mode::Counted => self.keeps(Rule::MarkerClaimsNested),
        };
        if lock.nested_counted && claims {
            self.object(owner).lock.nested_counted = false;
            self.down_claimed(target);
        }
    }

    fn leave(&mut self) {
        let Marker::Inside { owner, mode, .. } = std::mem::take(&mut self.state.marker) else { return };
        self.object(owner).lock.marker = false;
        if mode != Mode::Counted || !self.keeps(Rule::FlagSet) {
            return;
        }
        if self.keeps(Rule::FlagSetBeforeLeaving) {
            self.object(owner).lock.claimed = true;
        } else {
            self.state.marker = Marker::Flagging(owner);
        }
    }

    fn give_up(&mut self) {
        let Marker::Inside { owner, mode, walked } = std::mem::take(&mut self.state.marker) else { return };
        if mode != Mode::Counted {
            self.object(owner).lock.marker = false;
            if self.keeps(Rule::GivingUpClaimedStaysGrey) {
                self.object(owner).color = Color::Grey;
            }
        } else {
            self.object(owner).lock.claimed = false;
            let walked = if self.keeps(Rule::GivingUpCountsBack) { walked } else { 0 };
            self.back(owner, walked, 0);
        }
    }

    /// Goes on counting back, or leaves.
    fn back(&mut self, owner: Id, walked: u8, back: u8) {
        if back < walked {
            self.state.marker = Marker::Back { owner, walked, back };
        } else {
            self.object(owner).lock.marker = false;
            self.state.marker = Marker::Idle;
        }
    }

    fn count_back(&mut self) {
        let Marker::Back { owner, walked, back } = self.state.marker else { return };
        let lock = self.object(owner).lock;
        let nested = back == 1 && self.nested(owner) != Nested::Handle;
        if nested && !lock.nested_counted && self.keeps(Rule::CountBackUndoesNested) {
            self.object(owner).lock.nested_counted = true;
            lock.content[1].into_iter().for_each(|id| self.up_and_log(id));
        } else if !nested {
            lock.content[usize::from(back)].into_iter().for_each(|id| self.up_and_log(id));
        }
        self.back(owner, walked, back + 1);
    }

    /// Counts one handle back, and logs its target whatever the count was.
    fn up_and_log(&mut self, id: Id) {
        if self.up_by(id, Rule::CountBackLogs) {
            self.state.buffers[MARKER].add(id);
        }
    }
}
