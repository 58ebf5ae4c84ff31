//! What mutators do. An operation is one step, except where a marker or another thread could tell the difference.

use super::{
    play::Play,
    rules::Rule,
    scenario::{Act, Nested},
    state::{Bits, Color, Edge, Fault, Held, Id, Lock, MARKER, Object, Pc, Phase, Pin, State, Thread},
};

/// Handles to one object on one thread's stack, at most.
const HANDLES: u8 = 2;

impl Play<'_> {
    pub(super) fn thread(&mut self, thread: u8) -> &mut Thread {
        &mut self.state.threads[usize::from(thread)]
    }

    /// Whether `thread` is inside an operation.
    pub(crate) fn in_operation(&self, thread: u8) -> bool {
        match self.state.threads[usize::from(thread)].pc {
            Pc::Idle
            | Pc::Cloning(_)
            | Pc::CloningAgain(_)
            | Pc::Ending(_)
            | Pc::Releasing { .. }
            | Pc::Connecting { .. }
            | Pc::Rebuilding { .. } => false,
            Pc::Counting { looks, .. } => {
                self.keeps(if looks { Rule::UpgradeIsOneOperation } else { Rule::GetIsOneOperation })
            }
            Pc::Storing { .. }
            | Pc::Overwriting { .. }
            | Pc::CountingDown(_)
            | Pc::CountingLate { .. }
            | Pc::Winning { .. }
            | Pc::Filtering { .. } => true,
        }
    }

    /// Whether `thread` has a counted handle to `id`.
    pub(super) fn has(&self, thread: u8, id: Id) -> bool {
        self.state.threads[usize::from(thread)].handles[usize::from(id)] > 0
    }

    pub(super) fn is_pinned(&self, thread: u8) -> bool {
        self.state.threads[usize::from(thread)].pin != Pin::No
    }

    /// Whether `thread` may look at the payload of `id`.
    pub(super) fn reaches(&self, thread: u8, id: Id) -> bool {
        let own = &self.state.threads[usize::from(thread)];
        self.scenario.shapes[usize::from(id)].outside
            || own.handles[usize::from(id)] > 0
            || own.pin != Pin::No && own.locals.has(id)
    }

    /// Whether `thread` may look at the W `id`: it has a weak handle, or reaches an object with one.
    fn reaches_weak(&self, thread: u8, id: Id) -> bool {
        let holds = |owner: &Object| owner.plain == Some(id);
        self.state.threads[usize::from(thread)].handles[usize::from(id)] > 0
            || self.heap().any(|owner| holds(self.peek(owner)) && self.reaches(thread, owner))
    }

    pub(super) fn peek(&self, id: Id) -> &Object {
        &self.state.objects[usize::from(id)]
    }

    /// The `GcCell` of `owner`: a field of its own, or nested in the content of its lock-type cell.
    fn edge(&self, owner: Id) -> Edge {
        let lock = &self.peek(owner).lock;
        match self.nested(owner) {
            Nested::Edge => Edge { target: lock.content[1], counted: lock.nested_counted },
            _ => self.peek(owner).edge,
        }
    }

    fn change_edge(&mut self, owner: Id, target: Option<Id>) {
        if self.nested(owner) == Nested::Edge {
            self.object(owner).lock.content[1] = target;
        } else {
            self.object(owner).edge.target = target;
        }
    }

    /// Whether `thread` may use the `GcCell` of `owner`: a nested one under a guard.
    fn reaches_edge(&self, thread: u8, owner: Id) -> bool {
        self.reaches(thread, owner) && (self.nested(owner) != Nested::Edge || self.has_guard(thread, owner))
    }

    pub(super) fn has_guard(&self, thread: u8, id: Id) -> bool {
        let lock = &self.peek(id).lock;
        lock.readers.has(thread) || lock.held == Held::Writing(thread)
    }

    pub(super) fn may_hold_one_more(&self, thread: u8, id: Id) -> bool {
        self.state.threads[usize::from(thread)].handles[usize::from(id)] < HANDLES
    }

    /// Whether `act` takes nothing from the budget: it gives something back.
    fn is_free(act: Act) -> bool {
        matches!(
            act,
            Act::Drop(_)
                | Act::DropCounted(_)
                | Act::Finalize(_)
                | Act::Unpin
                | Act::EndRead(_)
                | Act::EndWrite(_)
                | Act::EndWriteNested(_)
        )
    }

    /// Whether `act` is an operation whatever it finds.
    fn is_operation(act: Act) -> bool {
        matches!(
            act,
            Act::New(..)
                | Act::Get(_)
                | Act::Set(..)
                | Act::Take(_)
                | Act::Store(..)
                | Act::ToGc(_)
                | Act::Alloc(..)
                | Act::Write(_)
                | Act::WriteInSlices(_)
                | Act::WriteNested(_)
                | Act::Downgrade(..)
                | Act::Upgrade(_)
                | Act::Value(_)
                | Act::NewLink(_)
                | Act::Connect(..)
                | Act::Edges(..)
                | Act::End
        )
    }

    /// Whether `thread` may do `act` now. It is idle.
    pub(crate) fn may(&self, thread: u8, act: Act) -> bool {
        let own = &self.state.threads[usize::from(thread)];
        if own.budget == 0 && !Self::is_free(act) {
            return false;
        }
        let has = |id: Id| self.has(thread, id);
        let pinned = self.is_pinned(thread);
        let gets = |target: Option<Id>| target.is_some_and(|id| self.may_hold_one_more(thread, id));
        let lock = |id: Id| self.peek(id).lock;
        match act {
            Act::New(..) | Act::Alloc(..) | Act::NewLink(_) | Act::Connect(..) | Act::Downgrade(..) => {
                self.may_be_born(thread, act)
            }
            Act::Edges(owner, change) => self.may_change(thread, owner, change),
            Act::End => own.handles.iter().all(|&handles| handles == 0) && !pinned,
            Act::Clone(id) => has(id) && gets(Some(id)),
            Act::Pass(id) => {
                let other = 1 - thread;
                has(id)
                    && (own.handles[usize::from(id)] > 1 || !self.has_guard(thread, id))
                    && self.may_hold_one_more(other, id)
            }
            Act::ClonePlain(owner) => self.reaches(thread, owner) && gets(self.peek(owner).plain),
            Act::CloneContent(owner, index) => {
                lock(owner).readers.has(thread) && gets(lock(owner).content[usize::from(index)])
            }
            Act::Drop(id) => has(id) && (own.handles[usize::from(id)] > 1 || !self.has_guard(thread, id)),
            Act::DropCounted(id) => self.may(thread, Act::Drop(id)) && own.counted.has(id) && !self.is_newborn(id),
            Act::Get(owner) | Act::Take(owner) => self.reaches_edge(thread, owner) && gets(self.edge(owner).target),
            Act::Set(owner, new) => {
                let old = self.edge(owner).target;
                let room = old.is_none_or(|old| self.may_hold_one_more(thread, old));
                self.reaches_edge(thread, owner)
                    && has(new)
                    && (own.handles[usize::from(new)] > 1 || owner != new)
                    && room
            }
            Act::Pin => !pinned,
            Act::Unpin => pinned && own.locals.iter().all(|id| has(id) || !self.has_guard(thread, id)),
            Act::LoadContent(owner, index) => {
                let target = lock(owner).content[usize::from(index)];
                let reads = self.reaches(thread, owner) && lock(owner).held == Held::No;
                pinned && reads && target.is_some_and(|id| !own.locals.has(id))
            }
            Act::Load(owner) => {
                let target = self.edge(owner).target;
                pinned && self.reaches_edge(thread, owner) && target.is_some_and(|id| !own.locals.has(id))
            }
            Act::Local(id) => pinned && has(id) && !own.locals.has(id),
            Act::Follow(owner) => {
                let target = self.peek(owner).plain;
                pinned && self.reaches(thread, owner) && target.is_some_and(|id| !own.locals.has(id))
            }
            Act::Store(owner, new) => pinned && own.locals.has(new) && self.reaches_edge(thread, owner),
            Act::ToGc(id) => pinned && own.locals.has(id) && self.may_hold_one_more(thread, id),
            Act::Read(owner) => {
                let admitted = !self.keeps(Rule::ReleasingKeepsReadersOut) && lock(owner).held == Held::Releasing;
                let free = admitted || lock(owner).held == Held::No;
                self.reaches(thread, owner) && free && !lock(owner).readers.has(thread)
            }
            Act::EndRead(owner) => lock(owner).readers.has(thread) && lock(owner).nested_writer != Some(thread),
            Act::Write(owner) | Act::WriteInSlices(owner) => {
                let Lock { held, readers, marker, .. } = lock(owner);
                let free = held == Held::No && readers.is_empty();
                self.reaches(thread, owner) && free && !(marker && self.keeps(Rule::WriterWaitsForMarker))
            }
            Act::EndWrite(owner) => lock(owner).held == Held::Writing(thread),
            Act::MoveOut(owner, index) => {
                lock(owner).held == Held::Writing(thread) && gets(lock(owner).content[usize::from(index)])
            }
            Act::MoveIn(owner, index, id) => {
                let empty = lock(owner).content[usize::from(index)].is_none();
                lock(owner).held == Held::Writing(thread)
                    && empty
                    && has(id)
                    && (own.handles[usize::from(id)] > 1 || id != owner)
            }
            Act::WriteNested(owner) => lock(owner).readers.has(thread) && lock(owner).nested_writer.is_none(),
            Act::EndWriteNested(owner) => lock(owner).nested_writer == Some(thread),
            Act::MoveOutNested(owner) => lock(owner).nested_writer == Some(thread) && gets(lock(owner).content[1]),
            Act::MoveInNested(owner, id) => {
                let empty = lock(owner).content[1].is_none();
                lock(owner).nested_writer == Some(thread)
                    && empty
                    && has(id)
                    && (own.handles[usize::from(id)] > 1 || id != owner)
            }
            Act::Upgrade(w) => self.reaches_weak(thread, w) && gets(self.peek(w).target),
            Act::Value(id) => self.reaches(thread, id) && gets(self.peek(id).value),
            Act::Finalize(id) => self.state.queue.has(id) && self.may_hold_one_more(thread, id),
        }
    }

    /// `thread` does `act`, or takes its first step.
    pub(crate) fn act(&mut self, thread: u8, act: Act) {
        if !Self::is_free(act) {
            self.thread(thread).budget -= 1;
        }
        if Self::is_operation(act) {
            self.bring_up_to_date(thread);
        }
        match act {
            Act::New(..) | Act::Alloc(..) | Act::NewLink(_) | Act::Connect(..) | Act::Downgrade(..) => {
                self.give_birth(thread, act);
            }
            Act::Edges(owner, change) => self.change(thread, owner, change),
            Act::End => self.end_thread(thread),
            Act::Clone(id) => self.clone_handle(thread, Some(id)),
            Act::Pass(id) => {
                self.give(thread, id);
                self.receive(1 - thread, id);
            }
            Act::ClonePlain(owner) => self.clone_handle(thread, self.peek(owner).plain),
            Act::CloneContent(owner, index) => {
                self.clone_handle(thread, self.peek(owner).lock.content[usize::from(index)]);
            }
            Act::Drop(id) => self.drop_handle(thread, id),
            Act::DropCounted(id) => self.end_seen_note(thread, id),
            Act::Get(owner) => self.get(thread, owner),
            Act::Set(owner, new) => self.set(thread, owner, new),
            Act::Take(owner) => self.take(thread, owner),
            Act::Pin => self.thread(thread).pin = Pin::Young,
            Act::Unpin => {
                let own = self.thread(thread);
                own.pin = Pin::No;
                own.locals = Default::default();
            }
            Act::Load(owner) => self.local(thread, self.edge(owner).target),
            Act::LoadContent(owner, index) => self.local(thread, self.peek(owner).lock.content[usize::from(index)]),
            Act::Local(id) => {
                self.share(id);
                self.local(thread, Some(id));
            }
            Act::Follow(owner) => self.local(thread, self.peek(owner).plain),
            Act::Store(owner, new) => self.store(thread, owner, new),
            Act::ToGc(id) => {
                self.count_for(thread, id);
                self.receive(thread, id);
            }
            Act::Read(owner) => self.object(owner).lock.readers.add(thread),
            Act::EndRead(owner) => self.object(owner).lock.readers.remove(thread),
            Act::Write(owner) => self.write(thread, owner, false),
            Act::WriteInSlices(owner) => self.write(thread, owner, true),
            Act::EndWrite(owner) => self.object(owner).lock.held = Held::No,
            Act::MoveOut(owner, index) => self.move_out(thread, owner, index),
            Act::MoveIn(owner, index, id) => self.move_in(thread, owner, index, id),
            Act::WriteNested(owner) => {
                if self.keeps(Rule::ReleaseBeforeWrite) {
                    self.release_nested(thread, owner);
                }
                self.object(owner).lock.nested_writer = Some(thread);
            }
            Act::EndWriteNested(owner) => self.object(owner).lock.nested_writer = None,
            Act::MoveOutNested(owner) => self.move_out(thread, owner, 1),
            Act::MoveInNested(owner, id) => self.move_in(thread, owner, 1, id),
            Act::Upgrade(w) => self.begin_upgrade(thread, w),
            Act::Value(id) => self.value(thread, id),
            Act::Finalize(id) => {
                self.state.queue.remove(id);
                self.thread(thread).handles[usize::from(id)] += 1;
            }
        }
    }

    /// `thread` takes the next step of what it is in. It is not idle.
    pub(crate) fn step(&mut self, thread: u8) {
        let pc = std::mem::take(&mut self.thread(thread).pc);
        match pc {
            Pc::Idle => unreachable!("an idle thread is not inside anything"),
            Pc::Cloning(id) => {
                if self.touch(id) {
                    self.object(id).count -= 1;
                }
                self.thread(thread).pc = Pc::CloningAgain(id);
            }
            Pc::CloningAgain(id) => self.clone_in_operation(thread, id),
            Pc::Ending(id) => self.end_seen_note(thread, id),
            Pc::Counting { target, looks } => self.count_loaded(thread, target, looks),
            Pc::Storing { owner, new } => self.change_word(thread, owner, new),
            Pc::Overwriting { owner, new } => self.overwrite_word(owner, new),
            Pc::CountingDown(old) => self.down(old),
            Pc::CountingLate { new, old } => {
                self.up_in_operation(thread, new);
                old.into_iter().for_each(|old| self.down(old));
            }
            Pc::Winning { owner, in_slices } => self.release(thread, owner, in_slices),
            Pc::Releasing { owner, next } => self.release_next(thread, owner, next),
            Pc::Connecting { slot, w } => self.connect(slot, w),
            Pc::Rebuilding { owner, shaded, cycle } => self.rebuild(thread, owner, shaded, cycle),
            Pc::Filtering { entry, count } => {
                let object = self.object(entry);
                object.in_log = true;
                object.count = count;
                self.log(entry);
            }
        }
    }

    /// Whether the next step of what `thread` is in can be taken.
    pub(crate) fn may_step(&self, thread: u8) -> bool {
        match self.state.threads[usize::from(thread)].pc {
            Pc::Idle => false,
            Pc::Releasing { owner, next: 2 } => {
                !(self.peek(owner).lock.marker && self.keeps(Rule::FinishReleaseWaitsForMarker))
            }
            _ => true,
        }
    }

    /// Whether `thread` may be in an operation that finds its buffer full.
    pub(crate) fn may_filter(&self, thread: u8) -> bool {
        let releasing = matches!(self.state.threads[usize::from(thread)].pc, Pc::Releasing { .. });
        is_idle(self.state, thread) || releasing && self.keeps(Rule::FilterComparesAndSwaps)
    }

    /// Has read `count` of a candidate and is about to write it back with the bit.
    pub(crate) fn filter_without_swap(&mut self, thread: u8, entry: Id, count: i8) {
        self.thread(thread).pc = Pc::Filtering { entry, count };
    }

    pub(super) fn receive(&mut self, thread: u8, id: Id) {
        self.thread(thread).handles[usize::from(id)] += 1;
    }

    /// A handle leaves the stack, its count still up.
    pub(super) fn give(&mut self, thread: u8, id: Id) -> Option<Id> {
        self.thread(thread).handles[usize::from(id)] -= 1;
        Some(id)
    }

    /// `Gc::drop`. A note ends outside operations, in two steps: it may be counted between. The slot of a newborn is free at once, unless something is to
    /// be done with its value.
    fn drop_handle(&mut self, thread: u8, id: Id) {
        if self.state.threads[usize::from(thread)].notes.has(id) {
            self.thread(thread).pc = Pc::Ending(id);
            return;
        }
        self.give(thread, id);
        if !self.end_newborn(thread, id) {
            self.down(id);
        } else if self.peek(id).skipped.is_none() {
            self.free(id);
        }
    }

    /// The note about `id` stood a moment ago, and its handle ends. If it has been counted since, a count down is owed.
    fn end_seen_note(&mut self, thread: u8, id: Id) {
        self.give(thread, id);
        if !self.end_note(thread, id) && self.keeps(Rule::CountedNotesAreRemembered) {
            self.thread(thread).counted.remove(id);
            self.thread(thread).owed.add(id);
        }
    }

    /// A thread that has nothing left ends: its notes are counted, and what it has logged is handed over.
    fn end_thread(&mut self, thread: u8) {
        let Thread { notes, owed, .. } = *self.thread(thread);
        if self.keeps(Rule::EndCountsNotes) {
            notes.iter().for_each(|id| self.displace(thread, id));
            owed.iter().for_each(|id| self.pay(thread, id));
        }
        self.thread(thread).notes = Bits::default();
        let entries = std::mem::take(&mut self.state.buffers[usize::from(thread)]);
        if self.keeps(Rule::EndHandsOver) {
            self.state.buffers[MARKER].0 |= entries.0;
        }
        self.thread(thread).budget = 0;
    }

    fn clone_handle(&mut self, thread: u8, target: Option<Id>) {
        let Some(id) = target.filter(|&id| self.touch(id)) else { return };
        let owes = self.owes_entry(id, Rule::LogWhateverTheCount);
        self.object(id).count += 1;
        if owes {
            self.thread(thread).pc = Pc::Cloning(id);
        } else {
            self.receive(thread, id);
        }
    }

    /// The rest of a clone of what had no entry, which is an operation.
    fn clone_in_operation(&mut self, thread: u8, id: Id) {
        self.bring_up_to_date(thread);
        if self.up(id) && self.keeps(Rule::CloneLogs) {
            self.add_entry(thread, id);
        }
        self.receive(thread, id);
    }

    fn get(&mut self, thread: u8, owner: Id) {
        let Some(target) = self.edge(owner).target else { return };
        if self.keeps(Rule::GetIsOneOperation) {
            self.count_for(thread, target);
            self.receive(thread, target);
        } else {
            self.thread(thread).pc = Pc::Counting { target, looks: false };
        }
    }

    /// `set`; in a counted cell what was there comes out as a handle, to be dropped after the operation.
    fn set(&mut self, thread: u8, owner: Id, new: Id) {
        self.give(thread, new);
        let Edge { target: old, counted } = self.edge(owner);
        self.change_edge(owner, Some(new));
        if counted {
            old.into_iter().for_each(|old| self.receive(thread, old));
        } else {
            self.claim(thread, new, Rule::ShadeWhatSetClaims);
            old.into_iter().for_each(|old| self.overwritten(old));
        }
    }

    fn take(&mut self, thread: u8, owner: Id) {
        let Edge { target: Some(old), counted } = self.edge(owner) else { return };
        self.change_edge(owner, None);
        if !counted {
            self.overwritten(old);
            if self.keeps(Rule::TakeCounts) {
                self.count_for(thread, old);
            }
        }
        self.receive(thread, old);
    }

    fn local(&mut self, thread: u8, target: Option<Id>) {
        if let Some(id) = target {
            self.thread(thread).locals.add(id);
        }
    }

    /// The first step of a pinned store.
    fn store(&mut self, thread: u8, owner: Id, new: Id) {
        let Edge { target: old, counted } = self.edge(owner);
        if !counted {
            if self.state.phase.is_marking() && self.keeps(Rule::StoreComparesWhileMarking) {
                self.store_claimed(owner, new, old);
            } else {
                self.thread(thread).pc = Pc::Overwriting { owner, new };
            }
        } else if self.keeps(Rule::StoreCountsBefore) {
            self.up_in_operation(thread, new);
            self.thread(thread).pc = Pc::Storing { owner, new };
        } else {
            self.change_edge(owner, Some(new));
            self.thread(thread).pc = Pc::CountingLate { new, old };
        }
    }

    fn store_claimed(&mut self, owner: Id, new: Id, old: Option<Id>) {
        if self.keeps(Rule::PinnedStoreShades) {
            self.barrier(new);
        }
        self.change_edge(owner, Some(new));
        old.into_iter().for_each(|old| self.overwritten(old));
    }

    /// The second step of a pinned store that found the cell claimed, and writes the word without comparing.
    fn overwrite_word(&mut self, owner: Id, new: Id) {
        let old = self.edge(owner).target;
        self.store_claimed(owner, new, old);
        if self.nested(owner) == Nested::Edge {
            self.object(owner).lock.nested_counted = false;
        }
    }

    /// The second step of a pinned store that found the cell counted.
    fn change_word(&mut self, thread: u8, owner: Id, new: Id) {
        let Edge { target: old, counted } = self.edge(owner);
        if !counted && self.keeps(Rule::StoreComparesTheTag) {
            self.store_claimed(owner, new, old);
            self.down(new);
            return;
        }
        self.change_edge(owner, Some(new));
        if self.nested(owner) == Nested::Edge {
            self.object(owner).lock.nested_counted = true;
        }
        if let Some(old) = old.filter(|_| self.keeps(Rule::StoreCountsDown)) {
            self.thread(thread).pc = Pc::CountingDown(old);
        }
    }

    /// Wins a free lock.
    fn write(&mut self, thread: u8, owner: Id, in_slices: bool) {
        self.object(owner).lock.held = Held::Writing(thread);
        if self.peek(owner).lock.claimed && self.keeps(Rule::ReleaseBeforeWrite) {
            self.thread(thread).pc = Pc::Winning { owner, in_slices };
        }
    }

    /// The rest of the operation in which a lock was won: counts the content or its first slice.
    fn release(&mut self, thread: u8, owner: Id, in_slices: bool) {
        self.release_handle(thread, owner, 0);
        if !in_slices {
            self.release_handle(thread, owner, 1);
            self.object(owner).lock.claimed = false;
        } else {
            if self.keeps(Rule::ReleasingUntilAllIsCounted) {
                self.object(owner).lock.held = Held::Releasing;
            } else {
                self.object(owner).lock.claimed = false;
            }
            self.thread(thread).pc = Pc::Releasing { owner, next: 1 };
        }
    }

    /// Another slice, or the end of the last one.
    fn release_next(&mut self, thread: u8, owner: Id, next: u8) {
        if next < 2 {
            self.release_handle(thread, owner, next);
            self.thread(thread).pc = Pc::Releasing { owner, next: next + 1 };
        } else {
            let lock = &mut self.object(owner).lock;
            lock.held = Held::Writing(thread);
            lock.claimed = false;
        }
    }

    fn release_handle(&mut self, thread: u8, owner: Id, index: u8) {
        if index == 1 && self.nested(owner) != Nested::Handle {
            if self.keeps(Rule::ReleaseCountsNested) {
                self.release_nested(thread, owner);
            }
        } else if let Some(id) = self.peek(owner).lock.content[usize::from(index)] {
            self.up_in_operation(thread, id);
        }
    }

    fn move_out(&mut self, thread: u8, owner: Id, index: u8) {
        if let Some(id) = self.object(owner).lock.content[usize::from(index)].take() {
            self.receive(thread, id);
        }
    }

    fn move_in(&mut self, thread: u8, owner: Id, index: u8, id: Id) {
        self.object(owner).lock.content[usize::from(index)] = self.give(thread, id);
    }

    /// The first step of an upgrade: loads the target, and knows whether it must look at the mark.
    fn begin_upgrade(&mut self, thread: u8, w: Id) {
        if !self.touch(w) {
            return;
        }
        let Some(target) = self.peek(w).target else { return };
        self.thread(thread).pc = Pc::Counting { target, looks: true };
    }

    /// Counts what was loaded, unless it is to look at the mark and finds none.
    fn count_loaded(&mut self, thread: u8, target: Id, looks: bool) {
        let unmarked = matches!(self.state.phase, Phase::Clearing | Phase::Handshake)
            && self.touch(target)
            && self.peek(target).color == Color::White;
        if looks && unmarked && self.keeps(Rule::UpgradeLooksAtMark) {
            if self.reachable().has(target) {
                self.fault(Fault::WeakLost(target));
            }
            return;
        }
        self.count_for(thread, target);
        self.receive(thread, target);
    }
}

impl Play<'_> {
    /// Loads and counts the value of an ephemeron, unless its key is found dead.
    fn value(&mut self, thread: u8, id: Id) {
        let Object { key: Some(key), value: Some(value), .. } = *self.peek(id) else { return };
        let looks = matches!(self.state.phase, Phase::Clearing | Phase::Handshake);
        if looks && self.touch(key) && self.peek(key).color == Color::White && self.keeps(Rule::ValueLooksAtKey) {
            if self.reachable().has(key) {
                self.fault(Fault::WeakLost(id));
            }
            return;
        }
        self.up_in_operation(thread, value);
        self.receive(thread, value);
    }
}

/// Whether `thread` is between two actions.
pub(crate) fn is_idle(state: &State, thread: u8) -> bool {
    state.threads[usize::from(thread)].pc == Pc::Idle
}
