//! The state of the model: small, cheap to clone, one machine word per object and per thread when hashed.

use std::hash::{Hash, Hasher};

/// Objects of a scenario, at most.
pub(crate) const OBJECTS: usize = 5;
/// Mutator threads.
pub(crate) const THREADS: usize = 2;
/// The candidate buffer of the marker, behind those of the threads.
pub(crate) const MARKER: usize = THREADS;

/// An object, by its place in [`State::objects`].
pub(crate) type Id = u8;

/// A set of objects or of threads.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bits(pub(crate) u8);

impl Bits {
    pub(crate) fn has(self, id: Id) -> bool {
        self.0 & 1 << id != 0
    }

    pub(crate) fn add(&mut self, id: Id) {
        self.0 |= 1 << id;
    }

    pub(crate) fn remove(&mut self, id: Id) {
        self.0 &= !(1 << id);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Id> {
        (0..8).filter(move |&id| self.has(id))
    }
}

impl std::fmt::Debug for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Whether the slot holds an object. No slot is used twice: a reference to a freed one is the violation already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Life {
    #[default]
    Unborn,
    Alive,
    Freed,
}

/// White: not marked. Grey: marked and in a queue. Black: marked and traced, or without handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Color {
    #[default]
    White,
    Grey,
    Black,
}

/// The word of a `GcCell`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Edge {
    pub(crate) target: Option<Id>,
    pub(crate) counted: bool,
}

/// Who has a lock-type cell for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Held {
    #[default]
    No,
    /// Being released in slices.
    Releasing,
    /// A collection of edges: reserved, to be rebuilt.
    Rebuilding,
    Writing(u8),
    /// By a guard that was leaked.
    Leaked,
}

/// A lock-type cell: its lock word, and two handles as content. What the second one lies in is said by the scenario ([`super::scenario::Nested`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lock {
    pub(crate) readers: Bits,
    pub(crate) held: Held,
    /// The flag.
    pub(crate) claimed: bool,
    /// The marker is inside.
    pub(crate) marker: bool,
    pub(crate) content: [Option<Id>; 2],
    /// The flag of the cell that is nested in the content, if one is.
    pub(crate) nested_counted: bool,
    /// Who has the nested cell for writing.
    pub(crate) nested_writer: Option<u8>,
    /// A collection of edges of which the marker has traced a part in this cycle: what is before this is left.
    pub(crate) left: Option<u8>,
}

/// A slot of the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Object {
    pub(crate) life: Life,
    pub(crate) color: Color,
    /// The span of this slot has been swept since the last S2, or was taken fresh after it.
    pub(crate) swept: bool,
    /// Below zero where a handle that another thread has noted has ended.
    pub(crate) count: i8,
    pub(crate) in_log: bool,
    /// Some list has an entry for it, on which the count may rely.
    pub(crate) has_entry: bool,
    /// Counted handles are the only way to the object, and always have been.
    pub(crate) unshared: bool,
    /// A traced handle in a plain field.
    pub(crate) plain: Option<Id>,
    /// A handle in a skipped field.
    pub(crate) skipped: Option<Id>,
    pub(crate) edge: Edge,
    pub(crate) lock: Lock,
    /// The W of this object, if it has one.
    pub(crate) w: Option<Id>,
    /// The target, if this object is a W.
    pub(crate) target: Option<Id>,
    /// The key, if this object is an ephemeron: it is not kept.
    pub(crate) key: Option<Id>,
    /// The value, kept while the key is.
    pub(crate) value: Option<Id>,
    /// Has a finalizer, which is due.
    pub(crate) due: bool,
    /// Has been handed over to its finalizer.
    pub(crate) handed_over: bool,
}

/// Where a thread stands inside something that takes several steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Pc {
    #[default]
    Idle,
    /// Inside a `Gc::clone` of three steps: it has counted what had no entry and has not taken that back yet.
    Cloning(Id),
    /// It has, and has not counted once more.
    CloningAgain(Id),
    /// Has loaded a pointer and is about to count it. `looks`: is to look at the mark first.
    Counting { target: Id, looks: bool },
    /// A pinned store into a counted cell: `new` is counted, the word not changed yet.
    Storing { owner: Id, new: Id },
    /// A pinned store that found the cell claimed, the word not changed yet.
    Overwriting { owner: Id, new: Id },
    /// A pinned store into a counted cell with the word changed: what was there is to be counted down.
    CountingDown(Id),
    /// The same in the wrong order: the word has changed, `new` is to be counted up and `old` down.
    CountingLate { new: Id, old: Option<Id> },
    /// Has won the lock of a claimed cell, first slice.
    Winning { owner: Id, in_slices: bool },
    /// Counting content in slices; what is below `next` is counted.
    Releasing { owner: Id, next: u8 },
    /// Inside `new_cyclic`: the object is born, its W knows nothing of it yet.
    Connecting { slot: Id, w: Id },
    /// Rebuilding a collection: so many elements have been shaded, in this cycle.
    Rebuilding { owner: Id, shaded: u8, cycle: u8 },
    /// Inside a `Gc::drop` that found a note and has not ended it yet.
    Ending(Id),
    /// Filtering a candidate without compare-and-swap: the count that it saw.
    Filtering { entry: Id, count: i8 },
}

/// A thread's pin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Pin {
    #[default]
    No,
    Young,
    /// S2 waits for it.
    Awaited,
}

/// A mutator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Thread {
    /// Counted handles on its stack, by target.
    pub(crate) handles: [u8; OBJECTS],
    /// Objects noted: one more handle to each than its count says.
    pub(crate) notes: Bits,
    /// Objects a handle to which ended at the place of a note that had been counted: one handle less to each than its count says.
    pub(crate) owed: Bits,
    /// Objects notes about which have been counted where they lie, or lay.
    pub(crate) counted: Bits,
    pub(crate) pin: Pin,
    pub(crate) locals: Bits,
    pub(crate) pc: Pc,
    /// Actions left.
    pub(crate) budget: u8,
}

/// What is going on in the cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Off,
    /// From S1 to R.
    Scanning,
    /// From R to S2.
    Marking,
    /// After S2: the W's of white targets are being cleared.
    Clearing,
    /// Each thread is to be seen inactive once.
    Handshake,
    /// White objects whose finalizers are due are handed over, and what they reach is marked without barriers.
    Finalizing,
    Sweeping,
}

impl Phase {
    pub(crate) fn is_marking(self) -> bool {
        matches!(self, Phase::Scanning | Phase::Marking)
    }
}

/// How the marker treats the content that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Claimed,
    Counted,
    Releasing,
}

/// Where the marker stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Marker {
    #[default]
    Idle,
    /// Read a logged entry as 0 and is about to clear its bit without compare-and-swap.
    ClearingBit(Id),
    /// In front of an object's `GcCell`.
    AtEdge(Id),
    /// In front of an object's lock-type cell.
    AtLock(Id),
    /// Inside it, `walked` handles behind it.
    Inside { owner: Id, mode: Mode, walked: u8 },
    /// Counting back what it claimed, `back` of `walked` done.
    Back { owner: Id, walked: u8, back: u8 },
    /// Has left a cell and is about to set its flag.
    Flagging(Id),
    /// Inside an ephemeron that waits, or is about to, for its key.
    AtKey(Id),
}

/// Something happened that must not, and that no later state need show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The memory of a freed object was read or written.
    TouchedFreed(Id),
    CountBelowZero(Id),
    /// A second entry for the object was put into the log.
    LoggedTwice(Id),
    /// A W was cleared, or an upgrade refused, although the target was reachable.
    WeakLost(Id),
    /// An object was handed over to its finalizer once more.
    FinalizedTwice(Id),
}

impl State {
    /// What S1 took and the scan has not processed.
    pub(crate) fn taken(&self) -> Bits {
        Bits(self.taken_log.0 | self.taken_candidates.0)
    }

    /// All objects with an entry in some list.
    pub(crate) fn entries(&self) -> Bits {
        let buffers = self.buffers.iter().fold(0, |all, buffer| all | buffer.0);
        Bits(buffers | self.log.0 | self.taken().0)
    }
}

/// All there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State {
    pub(crate) objects: [Object; OBJECTS],
    pub(crate) threads: [Thread; THREADS],
    /// Candidate buffers, as sets: of equal entries in one buffer all but one are as good as dropped.
    pub(crate) buffers: [Bits; THREADS + 1],
    pub(crate) log: Bits,
    /// Entries of the log that S1 took and the scan has not processed.
    pub(crate) taken_log: Bits,
    /// Candidates that S1 took and the scan has not processed.
    pub(crate) taken_candidates: Bits,
    /// Threads whose records have something to settle since S1 or S2, and are not up to date yet.
    pub(crate) unsettled: Bits,
    pub(crate) phase: Phase,
    pub(crate) marker: Marker,
    /// Phase Clearing: W's not looked at yet. Phase Handshake: threads not seen inactive yet.
    pub(crate) pending: Bits,
    /// Ephemerons that wait for their keys to be marked.
    pub(crate) waiting: Bits,
    /// Objects that have been handed over, each with a counted handle, and are not published yet.
    pub(crate) handed_over: Bits,
    /// The same once published: what the finalizer thread takes.
    pub(crate) queue: Bits,
    pub(crate) cycles_left: u8,
    /// S1s since a mutator last did anything.
    pub(crate) quiet: u8,
    pub(crate) fault: Option<Fault>,
}

/// Packs small numbers into a word.
struct Word {
    bits: u64,
    used: u32,
}

impl Word {
    fn new() -> Self {
        Word { bits: 0, used: 0 }
    }

    fn put(&mut self, value: u8, width: u32) -> &mut Self {
        debug_assert!(u32::from(value) < 1 << width && self.used + width <= 64);
        self.bits |= u64::from(value) << self.used;
        self.used += width;
        self
    }

    fn id(&mut self, id: Option<Id>) -> &mut Self {
        self.put(id.unwrap_or(7), 3)
    }

    fn bit(&mut self, bit: bool) -> &mut Self {
        self.put(u8::from(bit), 1)
    }
}

/// A count, which may be below zero, as a small number.
fn number(count: i8) -> u8 {
    (count + 4) as u8
}

impl Object {
    fn word(&self) -> u64 {
        let mut word = Word::new();
        word.put(self.life as u8, 2)
            .put(self.color as u8, 2)
            .bit(self.swept)
            .put(number(self.count), 4)
            .bit(self.in_log)
            .bit(self.has_entry);
        word.id(self.key).id(self.value).bit(self.unshared).bit(self.due).bit(self.handed_over);
        word.id(self.plain).id(self.skipped).id(self.edge.target).bit(self.edge.counted).id(self.w).id(self.target);
        let lock = &self.lock;
        word.put(lock.readers.0, 2).bit(lock.claimed).bit(lock.marker).id(lock.content[0]).id(lock.content[1]);
        word.bit(lock.nested_counted).put(lock.nested_writer.unwrap_or(3), 2);
        let held = match lock.held {
            Held::No => 0,
            Held::Releasing => 1,
            Held::Leaked => 2,
            Held::Rebuilding => 3,
            Held::Writing(thread) => 4 + thread,
        };
        word.put(lock.left.unwrap_or(3), 2).put(held, 3).bits
    }
}

impl Thread {
    /// Whether it has noted anything, or owes a count down.
    pub(crate) fn has_notes(&self) -> bool {
        !(self.notes.is_empty() && self.owed.is_empty())
    }

    fn word(&self) -> u64 {
        let mut word = Word::new();
        for handles in self.handles {
            word.put(handles, 3);
        }
        word.put(self.pin as u8, 2).put(self.locals.0, 8).put(self.notes.0, 8);
        word.put(self.owed.0, 8).put(self.budget, 4);
        let (kind, first, second) = match self.pc {
            Pc::Idle => (0, 0, 0),
            Pc::Cloning(id) => (1, id, 0),
            Pc::Counting { target, looks } => (2, target, u8::from(looks)),
            Pc::Storing { owner, new } => (3, owner, new),
            Pc::Overwriting { owner, new } => (9, owner, new),
            Pc::CountingDown(id) => (4, id, 0),
            Pc::CountingLate { new, old } => (5, new, old.unwrap_or(7)),
            Pc::Winning { owner, in_slices } => (6, owner, u8::from(in_slices)),
            Pc::Releasing { owner, next } => (7, owner, next),
            Pc::Filtering { entry, count } => (8, entry, number(count)),
            Pc::Connecting { slot, w } => (10, slot, w),
            Pc::Rebuilding { owner, shaded, cycle } => (11, owner, shaded << 3 | cycle),
            Pc::Ending(id) => (12, id, 0),
            Pc::CloningAgain(id) => (13, id, 0),
        };
        word.put(kind, 4).put(first, 3).put(second, 5).bits
    }
}

impl Marker {
    fn put(self, word: &mut Word) {
        let (kind, first, second, third) = match self {
            Marker::Idle => (0, 0, 0, 0),
            Marker::ClearingBit(id) => (1, id, 0, 0),
            Marker::AtEdge(id) => (2, id, 0, 0),
            Marker::AtLock(id) => (3, id, 0, 0),
            Marker::Inside { owner, mode, walked } => (4, owner, mode as u8, walked),
            Marker::Back { owner, walked, back } => (5, owner, walked, back),
            Marker::Flagging(id) => (6, id, 0, 0),
            Marker::AtKey(id) => (7, id, 0, 0),
        };
        word.put(kind, 3).put(first, 3).put(second, 2).put(third, 2);
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for object in &self.objects {
            hasher.write_u64(object.word());
        }
        for thread in &self.threads {
            hasher.write_u64(thread.word());
        }
        let mut word = Word::new();
        for buffer in self.buffers {
            word.put(buffer.0, 8);
        }
        hasher.write_u64(
            word.put(self.log.0, 8)
                .put(self.taken_log.0, 8)
                .put(self.taken_candidates.0, 8)
                .put(self.pending.0, 8)
                .bits,
        );
        let mut word = Word::new();
        word.put(self.phase as u8, 3).put(self.cycles_left, 3).put(self.quiet, 3).put(self.unsettled.0, 2);
        word.put(self.handed_over.0, 8).put(self.queue.0, 8).put(self.waiting.0, 8);
        self.marker.put(&mut word);
        for thread in &self.threads {
            word.put(thread.counted.0, OBJECTS as u32);
        }
        let (kind, id) = match self.fault {
            None => (0, 0),
            Some(Fault::TouchedFreed(id)) => (1, id),
            Some(Fault::CountBelowZero(id)) => (2, id),
            Some(Fault::WeakLost(id)) => (3, id),
            Some(Fault::LoggedTwice(id)) => (4, id),
            Some(Fault::FinalizedTwice(id)) => (5, id),
        };
        hasher.write_u64(word.put(kind, 3).put(id, 3).bits);
    }
}
