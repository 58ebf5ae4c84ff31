//! How objects are born: alone, around others, under a pin, as the W of another, as an ephemeron; and how one is born that its W has waited for.

use super::{
    play::Play,
    rules::Rule,
    scenario::{Act, Fields},
    state::{Color, Edge, Held, Id, Life, Lock, Object, Pc, Phase},
};

impl Play<'_> {
    /// Whether `thread` may now do `act`, in which something is born.
    pub(super) fn may_be_born(&self, thread: u8, act: Act) -> bool {
        let unborn = |slot: Id| self.peek(slot).life == Life::Unborn;
        let gives = |id: Id| self.has(thread, id) && !self.has_guard(thread, id);
        match act {
            Act::New(slot, fields) => {
                let Fields { plain, skipped, edge, content, key, value, .. } = fields;
                let given = [plain, skipped, edge, content, value];
                unborn(slot) && given.into_iter().flatten().all(gives) && key.is_none_or(|key| self.has(thread, key))
            }
            Act::Alloc(slot, plain) => self.is_pinned(thread) && gives(plain) && unborn(slot),
            Act::NewLink(slot) => unborn(slot),
            Act::Connect(slot, w) => self.has(thread, w) && unborn(slot),
            Act::Downgrade(id, slot) => {
                self.reaches(thread, id) && self.peek(id).w.map_or(unborn(slot), |w| self.may_hold_one_more(thread, w))
            }
            _ => unreachable!("nothing is born in {act:?}"),
        }
    }

    /// `thread` does `act`, or takes its first step.
    pub(super) fn give_birth(&mut self, thread: u8, act: Act) {
        match act {
            Act::New(slot, fields) => self.new_object(thread, slot, fields),
            Act::Alloc(slot, plain) => {
                self.born(slot, Object { plain: Some(plain), ..Object::default() });
                self.give(thread, plain);
                self.claim_for_newborn(thread, plain);
                self.thread(thread).locals.add(slot);
            }
            Act::NewLink(slot) => self.new_link(thread, slot, None),
            Act::Connect(slot, w) => {
                self.new_object(thread, slot, Fields::default());
                if !self.keeps(Rule::LinkIsHeldUntilConnected) {
                    self.give(thread, w);
                    self.down(w);
                }
                self.thread(thread).pc = Pc::Connecting { slot, w };
            }
            Act::Downgrade(id, slot) => self.downgrade(thread, id, slot),
            _ => unreachable!("nothing is born in {act:?}"),
        }
    }

    /// A new object comes into its slot.
    fn born(&mut self, slot: Id, object: Object) {
        let black = match self.state.phase {
            Phase::Scanning | Phase::Marking => self.keeps(Rule::BlackAllocation),
            Phase::Clearing | Phase::Handshake | Phase::Finalizing => self.keeps(Rule::BlackUntilSweeping),
            Phase::Sweeping | Phase::Off => false,
        };
        let color = if black { Color::Black } else { Color::White };
        let swept = self.keeps(Rule::AllocateInSweptSpans);
        *self.object(slot) = Object { life: Life::Alive, color, swept, ..object };
    }

    fn new_object(&mut self, thread: u8, slot: Id, fields: Fields) {
        let claims_lock = !(fields.leaked && self.keeps(Rule::LeaveWriteHeldCounted));
        let shape = self.scenario.shapes[usize::from(slot)];
        let Fields { plain, skipped, edge, content, key, value, leaked } = fields;
        let lock = Lock {
            held: if leaked { Held::Leaked } else { Held::No },
            claimed: claims_lock && shape.has_lock(),
            content: [content, None],
            ..Lock::default()
        };
        let edge = Edge { target: edge, counted: false };
        let object = Object { plain, skipped, edge, lock, key, value, ..Object::default() };
        self.born(slot, Object { count: 1, has_entry: true, unshared: true, ..object });
        let claimed_content = content.filter(|_| claims_lock);
        for id in [plain, edge.target, claimed_content, value].into_iter().flatten() {
            self.give(thread, id);
            self.claim_for_newborn(thread, id);
        }
        if let Some(id) = skipped {
            self.give(thread, id);
            if !self.keeps(Rule::SkippedStaysCounted) {
                self.claim_for_newborn(thread, id);
            }
        }
        if let Some(id) = content.filter(|_| !claims_lock) {
            self.give(thread, id);
        }
        if let Some(id) = key {
            self.share(id);
            if self.keeps(Rule::BirthShadesKey) {
                self.barrier(id);
            }
        }
        if self.keeps(Rule::LogAtBirth) {
            self.state.buffers[usize::from(thread)].add(slot);
        }
        self.receive(thread, slot);
    }

    /// What a new object is made of is claimed; a newborn has nothing that leads to it but this handle, and was born in this phase.
    fn claim_for_newborn(&mut self, thread: u8, id: Id) {
        if !self.end_newborn(thread, id) {
            self.claim(thread, id, Rule::ShadeWhatNewClaims);
        }
    }

    fn downgrade(&mut self, thread: u8, id: Id, slot: Id) {
        self.share(id);
        if let Some(w) = self.peek(id).w {
            self.up_in_operation(thread, w);
            self.receive(thread, w);
        } else {
            self.new_link(thread, slot, Some(id));
            self.object(id).w = Some(slot);
        }
    }

    fn new_link(&mut self, thread: u8, slot: Id, target: Option<Id>) {
        self.born(slot, Object { count: 1, has_entry: true, target, ..Object::default() });
        self.state.buffers[usize::from(thread)].add(slot);
        self.receive(thread, slot);
    }

    /// The second step of `new_cyclic`: the object that has been born becomes its W's target.
    pub(super) fn connect(&mut self, slot: Id, w: Id) {
        self.share(slot);
        if self.touch(w) {
            self.object(w).target = Some(slot);
            self.object(slot).w = Some(w);
        }
    }
}
