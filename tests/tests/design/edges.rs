//! Collections of edges: two places for handles behind a lock, claimed as long as they are in the heap, whoever changes them.
//!
//! The content of a collection is that of a lock-type cell without gaps. A change is one step, for it is one operation in which the lock is
//! won and given up. So is a chunk of the marker's, which is one handle, the last that is left first; after each it leaves, as it does when a writer waits.
//! Rebuilding is several steps: reserving, shading in slices, and putting the new order in.

use super::{
    play::Play,
    rules::Rule,
    scenario::Change,
    state::{Color, Held, Id, Marker, Pc},
};

/// Handles that there is room for.
const ROOM: u8 = 2;

impl Play<'_> {
    fn content(&self, owner: Id) -> [Option<Id>; ROOM as usize] {
        self.peek(owner).lock.content
    }

    fn len(&self, owner: Id) -> u8 {
        self.content(owner).iter().flatten().count() as u8
    }

    fn last(&self, owner: Id) -> Option<Id> {
        self.content(owner).into_iter().flatten().last()
    }

    /// Whether `thread` may change the collection of `owner` so now.
    pub(super) fn may_change(&self, thread: u8, owner: Id, change: Change) -> bool {
        let lock = self.peek(owner).lock;
        let free = self.reaches(thread, owner) && lock.held == Held::No && lock.readers.is_empty();
        let has_room = self.len(owner) < ROOM;
        let gives = |id: Id| {
            self.has(thread, id)
                && (id != owner || self.state.threads[usize::from(thread)].handles[usize::from(id)] > 1)
        };
        let gets = |target: Option<Id>| target.is_some_and(|id| self.may_hold_one_more(thread, id));
        free && match change {
            Change::Push(id) => has_room && gives(id),
            Change::Insert(id) => has_room && self.len(owner) > 0 && gives(id),
            Change::Overwrite(id) => lock.content[0].is_some() && gives(id),
            Change::Pop => gets(self.last(owner)),
            Change::Remove => gets(lock.content[0]),
            Change::Swap | Change::Rebuild => !has_room,
        }
    }

    /// `thread` changes the collection of `owner`, or takes the first step.
    pub(super) fn change(&mut self, thread: u8, owner: Id, change: Change) {
        let [first, second] = self.content(owner);
        let content = match change {
            Change::Push(id) => {
                self.come_in(thread, id);
                if first.is_none() { [Some(id), None] } else { [first, Some(id)] }
            }
            Change::Insert(id) => {
                self.come_in(thread, id);
                self.insert_moves_progress(owner);
                [Some(id), first]
            }
            Change::Overwrite(id) => {
                self.come_in(thread, id);
                first.into_iter().for_each(|old| self.goes(old));
                [Some(id), second]
            }
            Change::Pop => {
                self.go_out(thread, second.or(first));
                [first.filter(|_| second.is_some()), None]
            }
            Change::Remove => {
                self.go_out(thread, first);
                [second, None]
            }
            Change::Swap => {
                if self.keeps(Rule::SwappedEdgesAreShaded) {
                    [first, second].into_iter().flatten().for_each(|id| self.barrier(id));
                }
                [second, first]
            }
            Change::Rebuild => {
                self.object(owner).lock.held = Held::Rebuilding;
                self.thread(thread).pc = Pc::Rebuilding { owner, shaded: 0, cycle: 0 };
                [first, second]
            }
        };
        self.object(owner).lock.content = content;
    }

    /// A handle of the thread's comes in, and is claimed.
    fn come_in(&mut self, thread: u8, id: Id) {
        self.give(thread, id);
        self.claim(thread, id, Rule::EdgesInAreShaded);
    }

    fn goes(&mut self, id: Id) {
        if self.keeps(Rule::EdgesOutAreShaded) {
            self.barrier(id);
        }
    }

    /// A claimed handle becomes the thread's.
    fn go_out(&mut self, thread: u8, target: Option<Id>) {
        let Some(id) = target else { return };
        self.goes(id);
        self.count_for(thread, id);
        self.receive(thread, id);
    }

    /// What is still to be traced includes what comes in before it.
    fn insert_moves_progress(&mut self, owner: Id) {
        let lock = &mut self.state.objects[usize::from(owner)].lock;
        let moves = !self.weakened.contains(&Rule::InsertMovesProgress);
        lock.left = lock.left.map(|left| if left > 0 && moves { left + 1 } else { left });
    }

    /// Whether all elements have been shaded in the phase that it is now, or need not be.
    fn are_shaded(&self, shaded: u8, cycle: u8) -> bool {
        let same = cycle == self.state.cycles_left || !self.keeps(Rule::RebuildShadesInItsPhase);
        !self.state.phase.is_marking() || !self.keeps(Rule::RebuildShades) || shaded == ROOM && same
    }

    /// Shades another slice, or puts the elements in in their new order.
    pub(super) fn rebuild(&mut self, thread: u8, owner: Id, shaded: u8, cycle: u8) {
        let [first, second] = self.content(owner);
        if self.are_shaded(shaded, cycle) {
            let lock = &mut self.object(owner).lock;
            lock.content = [second, first];
            lock.held = Held::No;
            return;
        }
        let now = self.state.cycles_left;
        let done = if cycle == now || !self.keeps(Rule::RebuildShadesInItsPhase) { shaded } else { 0 };
        [first, second][usize::from(done)].into_iter().for_each(|id| self.barrier(id));
        self.thread(thread).pc = Pc::Rebuilding { owner, shaded: done + 1, cycle: now };
    }

    /// The marker traces a chunk of the collection that it is at.
    pub(super) fn trace_chunk(&mut self, owner: Id) {
        self.state.marker = Marker::Idle;
        let len = self.len(owner);
        let left = self.peek(owner).lock.left.unwrap_or(len).min(len);
        if let Some(at) = left.checked_sub(1) {
            self.content(owner)[usize::from(at)].into_iter().for_each(|id| self.shade(id));
        }
        let left = left.saturating_sub(1);
        self.object(owner).lock.left = Some(left);
        if left > 0 {
            self.object(owner).color = Color::Grey;
        }
    }
}
