//! What both sides do to objects: shading, counting, logging.

use super::{
    rules::Rule,
    scenario::{Nested, Scenario},
    state::{Bits, Color, Fault, Id, Life, MARKER, Marker, OBJECTS, Object, Phase, Pin, State, Thread},
};

/// A state being played on.
pub(crate) struct Play<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) weakened: &'a [Rule],
    pub(crate) state: &'a mut State,
}

impl Play<'_> {
    /// Whether `rule` is kept.
    pub(crate) fn keeps(&self, rule: Rule) -> bool {
        !self.weakened.contains(&rule)
    }

    pub(crate) fn object(&mut self, id: Id) -> &mut Object {
        &mut self.state.objects[usize::from(id)]
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.state.fault.get_or_insert(fault);
    }

    /// Whether `id` may be touched; notes a fault if not.
    pub(crate) fn touch(&mut self, id: Id) -> bool {
        let alive = self.object(id).life == Life::Alive;
        if !alive {
            self.fault(Fault::TouchedFreed(id));
        }
        alive
    }

    /// Greys `id` if it is white; without handles, and if nothing waits for it, it is black at once.
    pub(crate) fn shade(&mut self, id: Id) {
        let shape = self.scenario.shapes[usize::from(id)];
        if shape.outside || !self.touch(id) {
            return;
        }
        let awaited = self.waiting_for(id).next().is_some();
        let object = self.object(id);
        let holds = object.plain.is_some() || object.key.is_some();
        let leaf = !shape.edge && !shape.has_lock() && !holds && !awaited;
        if object.color == Color::White {
            object.color = if leaf { Color::Black } else { Color::Grey };
        }
    }

    /// The ephemerons that wait for this key.
    pub(crate) fn waiting_for(&self, key: Id) -> impl Iterator<Item = Id> + use<> {
        let objects = self.state.objects;
        self.state.waiting.iter().filter(move |&id| objects[usize::from(id)].key == Some(key))
    }

    /// The barrier of an operation.
    pub(crate) fn barrier(&mut self, id: Id) {
        if self.state.phase.is_marking() {
            self.shade(id);
        }
    }

    /// Adds a counted handle in an operation. Whether the caller owes the object an entry; then the object says that there is one.
    pub(crate) fn up(&mut self, id: Id) -> bool {
        self.up_by(id, Rule::LogWhateverTheCount)
    }

    /// The same; `rule` is that which says that the count does not matter.
    pub(crate) fn up_by(&mut self, id: Id, rule: Rule) -> bool {
        if !self.touch(id) {
            return false;
        }
        let owes = self.owes_entry(id, rule);
        let object = self.object(id);
        object.count += 1;
        object.has_entry |= owes;
        owes
    }

    /// Whether who counts `id` up owes an entry.
    pub(crate) fn owes_entry(&self, id: Id, rule: Rule) -> bool {
        let object = &self.state.objects[usize::from(id)];
        !object.has_entry && (object.count <= 0 || self.keeps(rule))
    }

    /// Takes a counted handle away.
    pub(crate) fn down(&mut self, id: Id) {
        if !self.touch(id) {
            return;
        }
        if i32::from(self.object(id).count) + noted_handles(self.state, id) > 0 {
            self.object(id).count -= 1;
        } else {
            self.fault(Fault::CountBelowZero(id));
        }
    }

    /// Counts a handle that `thread` has got, inside an operation; a note will do, while marking with a mark.
    pub(crate) fn count_for(&mut self, thread: u8, id: Id) {
        if self.keeps(Rule::NotesAreShaded) {
            self.barrier(id);
        }
        let Thread { notes, owed, counted, .. } = &mut self.state.threads[usize::from(thread)];
        if owed.has(id) {
            // What is one too high is right now.
            owed.remove(id);
            counted.add(id);
            self.touch(id);
        } else if !notes.has(id) {
            counted.remove(id);
            notes.add(id);
            self.touch(id);
        } else {
            self.up_in_operation(thread, id);
        }
    }

    /// A handle of `thread`'s ends, or becomes claimed: by its note, if there is one.
    pub(crate) fn end_note(&mut self, thread: u8, id: Id) -> bool {
        let notes = &mut self.state.threads[usize::from(thread)].notes;
        let noted = notes.has(id);
        notes.remove(id);
        noted
    }

    /// Counts `id` down if `thread` owes that.
    pub(super) fn pay(&mut self, thread: u8, id: Id) {
        let owed = &mut self.state.threads[usize::from(thread)].owed;
        if owed.has(id) {
            owed.remove(id);
            self.down(id);
        }
    }

    /// Brings `thread`'s record up to date after S1 or S2, if nobody has yet.
    pub(crate) fn bring_up_to_date(&mut self, thread: u8) {
        if self.state.unsettled.has(thread) {
            self.settle(thread);
        }
    }

    /// Counts the notes of `thread`, with an entry for what has none: after S1 for the scan. Pays what it owes.
    pub(crate) fn settle(&mut self, thread: u8) {
        self.state.unsettled.remove(thread);
        if !self.keeps(Rule::NotesAreCounted) {
            return;
        }
        for id in self.state.threads[usize::from(thread)].owed.iter() {
            self.pay(thread, id);
        }
        let own = &mut self.state.threads[usize::from(thread)];
        let notes = std::mem::take(&mut own.notes);
        own.counted.0 |= notes.0;
        for id in notes.iter() {
            if self.up(id) && self.keeps(Rule::NotesAreLogged) {
                let scanning = self.state.phase == Phase::Scanning;
                let entries = if scanning {
                    &mut self.state.taken_candidates
                } else {
                    &mut self.state.buffers[usize::from(thread)]
                };
                entries.add(id);
            }
        }
    }

    /// The note of `thread` about `id` is in the way of another.
    pub(crate) fn displace(&mut self, thread: u8, id: Id) {
        if self.end_note(thread, id) {
            self.up_in_operation(thread, id);
        }
    }

    /// The entry of an object that has been counted, in `thread`'s buffer, and while marking a mark.
    pub(crate) fn add_entry(&mut self, thread: u8, id: Id) {
        self.state.buffers[usize::from(thread)].add(id);
        if self.keeps(Rule::ShadeWhatIsLogged) {
            self.barrier(id);
        }
    }

    /// Puts an entry into the root log.
    pub(crate) fn log(&mut self, id: Id) {
        if self.state.log.has(id) {
            self.fault(Fault::LoggedTwice(id));
        }
        self.state.log.add(id);
    }

    /// Counts one more handle inside an operation.
    pub(crate) fn up_in_operation(&mut self, thread: u8, id: Id) {
        if self.up(id) && self.keeps(Rule::LogWhatIsCounted) {
            self.add_entry(thread, id);
        }
    }

    /// A counted handle of `thread`'s becomes claimed; `shading` is the rule that has the target shaded.
    pub(crate) fn claim(&mut self, thread: u8, id: Id, shading: Rule) {
        if self.keeps(shading) {
            self.barrier(id);
        }
        if !self.keeps(Rule::ClaimCountsDown) || self.end_note(thread, id) {
            return;
        }
        let own = &mut self.state.threads[usize::from(thread)];
        if own.counted.has(id) && self.weakened.contains(&Rule::ClaimsEndNoCountedNotes) {
            own.counted.remove(id);
            own.owed.add(id);
        } else {
            self.down_claimed(id);
        }
    }

    /// Counts a handle down that is claimed from now on.
    pub(crate) fn down_claimed(&mut self, id: Id) {
        if self.keeps(Rule::ClaimEndsUnshared) {
            self.object(id).unshared = false;
        }
        self.down(id);
        // Whatever entry there is among the candidates speaks for nothing now.
        let object = self.object(id);
        object.has_entry &= object.count > 0 || object.in_log;
    }

    /// There will be a way to `id` that nothing counts, or there may be.
    pub(crate) fn share(&mut self, id: Id) {
        if self.keeps(Rule::OtherWaysEndUnshared) {
            self.object(id).unshared = false;
        }
    }

    /// `thread` ends its only handle to a newborn and takes the entry back: the count, and whatever says that there is an entry, are as if
    /// the object had never had a handle. False if it is no newborn, or its entry is not in the thread's own buffer any more.
    pub(crate) fn end_newborn(&mut self, thread: u8, id: Id) -> bool {
        let newborn = self.is_newborn(id);
        let buffer = &mut self.state.buffers[usize::from(thread)];
        let object = &mut self.state.objects[usize::from(id)];
        let looks = !self.weakened.contains(&Rule::EndLooksForTheEntry);
        if !newborn || looks && !buffer.has(id) {
            return false;
        }
        buffer.remove(id);
        object.count = 0;
        object.has_entry = false;
        object.unshared = false;
        true
    }

    /// Whether the header of `id` says that its one handle is the only way to it, and the log has no entry for it.
    pub(crate) fn is_newborn(&self, id: Id) -> bool {
        let object = &self.state.objects[usize::from(id)];
        object.life == Life::Alive && object.unshared && object.count == 1 && !object.in_log && object.has_entry
    }

    /// Something that is no pointer to `id` any more was a claimed one.
    pub(crate) fn overwritten(&mut self, id: Id) {
        if self.keeps(Rule::ShadeOldTarget) {
            self.barrier(id);
        }
    }

    /// Counts a nested cell's content by its own flag, if the cell is claimed.
    pub(crate) fn release_nested(&mut self, thread: u8, owner: Id) {
        let lock = self.object(owner).lock;
        if !lock.nested_counted {
            if let Some(target) = lock.content[1] {
                self.up_in_operation(thread, target);
            }
            self.object(owner).lock.nested_counted = true;
        }
    }

    /// What is in the nested cell's place in the content of a lock-type cell.
    pub(crate) fn nested(&self, owner: Id) -> Nested {
        self.scenario.shapes[usize::from(owner)].nested
    }

    /// Slots that hold an object of the heap.
    pub(crate) fn heap(&self) -> impl Iterator<Item = Id> + use<> {
        let (objects, shapes) = (self.state.objects, self.scenario.shapes);
        (0..OBJECTS).filter(move |&i| objects[i].life == Life::Alive && !shapes[i].outside).map(|i| i as Id)
    }
}

/// The state in which a scenario begins: collected, so that every root is in the log.
pub(crate) fn begin(scenario: &Scenario, more_budget: u8, more_cycles: u8) -> State {
    let mut state = State {
        objects: Default::default(),
        threads: Default::default(),
        buffers: Default::default(),
        log: Bits::default(),
        taken_log: Bits::default(),
        taken_candidates: Bits::default(),
        unsettled: Bits::default(),
        phase: Phase::Off,
        marker: Marker::Idle,
        pending: Bits::default(),
        waiting: Bits::default(),
        handed_over: Bits::default(),
        queue: Bits::default(),
        cycles_left: scenario.cycles + more_cycles,
        quiet: 0,
        fault: None,
    };
    (scenario.begin)(&mut state);
    for (thread, budget) in state.threads.iter_mut().zip(scenario.budgets) {
        thread.budget = if budget == 0 { 0 } else { budget + more_budget };
        debug_assert!(thread.pin == Pin::No);
    }
    for (object, shape) in state.objects.iter_mut().zip(&scenario.shapes) {
        object.edge.counted |= shape.outside;
    }
    for id in 0..OBJECTS as Id {
        let count = super::properties::counted_handles(scenario, &state, id);
        let shape = scenario.shapes[usize::from(id)];
        let object = &mut state.objects[usize::from(id)];
        object.count = count as i8;
        if count > 0 && !shape.outside {
            object.has_entry = true;
            object.in_log = true;
            state.log.add(id);
        }
    }
    debug_assert!(state.buffers[MARKER].is_empty());
    state
}

/// How many handles to `id` the threads have noted, less the counts down that they owe.
pub(crate) fn noted_handles(state: &State, id: Id) -> i32 {
    let notes = |thread: &Thread| i32::from(thread.notes.has(id)) - i32::from(thread.owed.has(id));
    state.threads.iter().map(notes).sum()
}
