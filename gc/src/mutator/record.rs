//! One thread's record: its gate, its allocation cache, its candidate roots, its deferred counts and its grey objects.
//!
//! The gate says who may touch the rest (`mutator::gate`); of the deferred counts, one part is always its thread's (`mutator::deferred`).
//!
//! Records are linked into a list when they are made and never leave it; the record of a thread that has ended is used
//! again by another. Their memory comes from the OS directly.

use super::{
    candidates::Candidates,
    deferred::{Deferred, Due},
    gate::{Gate, Gated, Phase, World},
};
use crate::{
    collector::grey::GreyBuffer,
    heap::{
        HEAP,
        arena::PAGE_SIZE,
        cache::{Cache, Round, Untold},
        header::Object,
        os,
    },
    sync::{AtomicBool, AtomicPtr, Mutation, Mutex, Ordering, global, lock, weakened, yield_now},
};
use std::{
    mem::offset_of,
    ops::Range,
    ptr::{self, null_mut},
};

global! {
    /// The world of the process.
    pub(crate) static WORLD: World = World::new();
}

global! {
    /// All records of the process.
    static REGISTRY: Registry =
        Registry { first: AtomicPtr::new(null_mut()), spare: AtomicPtr::new(null_mut()), changes: Mutex::new(()) };
}

struct Registry {
    first: AtomicPtr<Record>,
    /// Lent to threads that have none, for one operation at a time.
    spare: AtomicPtr<Record>,
    /// Held to hand records out and to take them back.
    changes: Mutex<()>,
}

/// What a thread owns inside the collector.
#[repr(align(128))]
pub(crate) struct Record {
    gated: Gated<Local>,
    /// Its thread ends notes in it outside operations, too.
    pub(crate) deferred: Deferred,
    in_use: AtomicBool,
    /// Whoever uses it has it for one operation. For that thread alone to look at.
    lent: AtomicBool,
    next: AtomicPtr<Record>,
}

/// At how many places in its memory a record may begin, and how far apart they are.
const STARTS: usize = 5;
const APART: usize = align_of::<Record>();
/// The bytes of a record that operations of all kinds write: its gate and its candidates. The runs of the cache and the places of notes lie everywhere, and
/// which of them are busy depends on the program.
const WRITTEN: [Range<usize>; 2] = {
    let gate = offset_of!(Record, gated.gate);
    let candidates = offset_of!(Record, gated) + Gated::<Local>::CONTENT + offset_of!(Local, candidates);
    [gate..gate + size_of::<Gate>(), candidates..candidates + size_of::<Candidates>()]
};
/// Processors believe that a load depends on an earlier store, until they know better, if the addresses agree modulo this.
const SEEN_OF_ADDRESSES: usize = 1 << 12;
/// A word that is read.
const WORD: usize = size_of::<usize>();

// Each of the two ranges meets each of two addresses from one start at most, so that four starts are ruled out at most.
#[cfg(not(graphgc_loom))]
const _: () = {
    assert!(WRITTEN[0].end - WRITTEN[0].start + WORD <= APART && WRITTEN[1].end - WRITTEN[1].start + WORD <= APART);
    assert!(STARTS > 4 && STARTS * APART <= SEEN_OF_ADDRESSES);
};

/// At which place in the memory at `memory` a record is to begin if each of its operations begins by loading the words at the addresses `read`.
///
/// The loads should not seem to depend on what the operation before has stored (Intel's manual on optimization speaks of 4-KByte aliasing). The lowest
/// 12 bits of the address of a static or a thread-local are the same in every run of a program, as a rule. In one where the pointer to the record and the record's `active` agreed
/// in them, allocating a small object took a fifth longer.
fn start(memory: usize, read: [usize; 2]) -> usize {
    let is_written = |start: usize| {
        WRITTEN.iter().any(|written| {
            let first = memory + start * APART + written.start;
            let meets = |at: usize| {
                at.wrapping_add(WORD - 1).wrapping_sub(first) % SEEN_OF_ADDRESSES < written.len() + WORD - 1
            };
            read.into_iter().any(meets)
        })
    };
    (0..STARTS).find(|&start| !is_written(start)).unwrap_or(0)
}

/// The part of a record that its thread uses without synchronisation. In this order, so that what births and ends write of the candidates is on one line of the processor's cache.
#[repr(C)]
pub(crate) struct Local {
    pub(crate) cache: Cache,
    pub(crate) candidates: Candidates,
    /// The cache's round.
    pub(crate) round: Round,
    /// What the cache has bought and not told of.
    pub(crate) untold: Untold,
    pub(crate) grey: GreyBuffer,
}

impl Record {
    /// How many bytes of memory a record is made in.
    pub(crate) const MEMORY: usize = (size_of::<Record>() + (STARTS - 1) * APART).next_multiple_of(PAGE_SIZE);

    /// A record for a new thread, whose pointer to its record lies at `current` (or 0, which does no harm, if that is not known). `None` if there is none to use again and the OS refuses memory
    /// for one. One that is used again lies as it suited its first thread: threads of one program agree in that, mostly.
    pub(crate) fn register(current: usize) -> Option<&'static Record> {
        let _changes = lock(&REGISTRY.changes);
        let spare = REGISTRY.spare.load(Ordering::Relaxed).cast_const();
        let is_free = |record: &&Record| !record.in_use.load(Ordering::Acquire) && !ptr::eq(*record, spare);
        let record = records().find(is_free).or_else(|| Record::create(current))?;
        record.in_use.store(true, Ordering::Relaxed);
        Some(record)
    }

    /// Sees to it that there is a record for threads that cannot get one of their own, if the OS has memory now.
    pub(crate) fn keep_a_spare() {
        let _changes = lock(&REGISTRY.changes);
        if let Some(record) = Record::create(0) {
            REGISTRY.spare.store(ptr::from_ref(record).cast_mut(), Ordering::Release);
        }
    }

    /// Borrows the spare record for one operation, when its turn comes.
    pub(crate) fn borrow_spare() -> Option<&'static Record> {
        // SAFETY: records are never freed.
        let record = unsafe { REGISTRY.spare.load(Ordering::Acquire).as_ref()? };
        while record.in_use.swap(true, Ordering::Acquire) {
            yield_now();
        }
        record.lend();
        Some(record)
    }

    /// Says that the thread, whose record this is, has it for one operation.
    pub(crate) fn lend(&self) {
        self.lent.store(true, Ordering::Relaxed);
    }

    /// Whether that is so.
    #[inline]
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Relaxed)
    }

    /// A record for a thread whose pointer to its record lies at `current`, or 0.
    fn create(current: usize) -> Option<&'static Record> {
        let size = Record::MEMORY;
        let memory = os::reserve(size, align_of::<Record>())?;
        if !os::commit(memory, size) {
            // SAFETY: reserved above, and nobody else knows of it.
            unsafe { os::release(memory, size) };
            return None;
        }
        os::name(memory, size, c"graphgc thread");
        let start = start(memory.addr().get(), [current, WORLD.word_address()]);
        // SAFETY: `MEMORY` has room for a record at each of the places.
        let memory = unsafe { memory.add(start * APART) }.cast::<Record>();
        // A phase from before is fine: the first operation, or the collector, updates the record.
        let (at, phase) = (memory.as_ptr(), WORLD.phase());
        // SAFETY: fresh zeroed memory of sufficient size and alignment, never given back; every field is written, or
        // zero as it should be.
        let record = unsafe {
            Gated::init(&raw mut (*at).gated, phase, |local| Local::init(local));
            #[cfg(graphgc_loom)]
            (&raw mut (*at).deferred).write(Deferred::new());
            (&raw mut (*at).in_use).write(AtomicBool::new(false));
            (&raw mut (*at).lent).write(AtomicBool::new(false));
            (&raw mut (*at).next).write(AtomicPtr::new(REGISTRY.first.load(Ordering::Relaxed)));
            memory.as_ref()
        };
        REGISTRY.first.store(memory.as_ptr(), Ordering::Release);
        Some(record)
    }

    /// Takes back the record of a thread that ends, or of an operation that had to borrow one.
    pub(crate) fn unregister(&'static self) {
        if weakened(Mutation::GiveBackEarly) {
            self.in_use.store(false, Ordering::Release);
        }
        let marking = !weakened(Mutation::ExitWithoutOperation) && self.enter().is_marking();
        // SAFETY: in an operation whose phase the record has seen.
        let local = unsafe { self.local() };
        self.flush(local, marking);
        self.leave();
        self.lent.store(false, Ordering::Relaxed);
        let _changes = lock(&REGISTRY.changes);
        self.in_use.store(false, Ordering::Release);
    }

    /// Enters an operation.
    #[inline]
    pub(crate) fn enter(&self) -> Phase {
        self.gated.enter(&WORLD, |local| self.renew(local))
    }

    /// Enters an operation if that takes no waiting and no update, and the thread is in none.
    #[inline]
    pub(crate) fn try_enter(&self) -> Option<Phase> {
        self.gated.gate.try_enter(&WORLD)
    }

    /// The same for a thread that is known to be in none.
    #[inline]
    pub(crate) fn enter_at_once(&self) -> Option<Phase> {
        self.gated.gate.enter_at_once(&WORLD)
    }

    /// Leaves it.
    #[inline]
    pub(crate) fn leave(&self) {
        self.gated.gate.leave();
    }

    /// Makes the record ready for a new phase: all that it holds is of the one before.
    fn renew(&self, local: &mut Local) {
        if weakened(Mutation::UpdateKeepsCache) {
            self.settle(local);
            local.candidates.flush();
            local.grey.flush();
        } else {
            self.flush(local, false);
        }
    }

    /// Hands everything over. `marking`: it is of a marking that goes on.
    fn flush(&self, local: &mut Local, marking: bool) {
        self.settle(local);
        local.flush(marking);
    }

    /// Counts what has been deferred, up or down. Whoever may use the local part calls this.
    pub(crate) fn settle(&self, local: &mut Local) {
        self.deferred.settle(|due| local.make_good(due));
    }

    /// The local part.
    ///
    /// # Safety
    /// As for `Gated::content`.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "guarded by the protocol of the gate")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: by contract.
        unsafe { self.gated.content() }
    }
}

impl Local {
    /// Makes an empty one in place: it is too large for a small stack.
    ///
    /// # Safety
    /// `at` is zeroed memory that nobody else uses.
    unsafe fn init(at: *mut Local) {
        // SAFETY: by contract; zeroed memory is an empty cache.
        unsafe {
            (&raw mut (*at).round).write(Round::new());
            (&raw mut (*at).candidates).write(Candidates::new());
            (&raw mut (*at).grey).write(GreyBuffer::new());
        }
    }

    /// Does what is due for a note; what has no entry gets one. Nothing need be shared, as it was when it was noted; nor
    /// shaded: it was when it was noted, or this is not marking or comes before the scan.
    #[cold]
    #[inline(never)]
    pub(super) fn make_good(&mut self, due: Due) {
        match due {
            Due::Up(object) => {
                // SAFETY: the object of a note is allocated (`mutator::deferred`).
                let owes = unsafe { object.roots() }.up();
                if owes && !weakened(Mutation::NoteCountedWithoutEntry) {
                    self.add_candidate(object);
                }
            }
            // SAFETY: so is that of which a count is owed.
            Due::Down(object) => _ = unsafe { object.roots() }.down(),
        }
    }

    /// Adds the entry of an object that has none, or is a newborn.
    #[inline]
    pub(crate) fn add_candidate(&mut self, object: Object) {
        if !self.candidates.has_room() {
            self.make_room();
        }
        // SAFETY: there is room.
        unsafe { self.candidates.push_into_room(object) };
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        if !self.candidates.make_room() {
            if !weakened(Mutation::VacantWithoutEntry) {
                self.cache.forget_vacant();
            }
            if !weakened(Mutation::RoundOutlivesEntries) {
                self.round = Round::new();
            }
            self.candidates.give_up();
        }
    }

    /// Hands over everything: spans to the central lists, candidates and grey objects to the collector.
    fn flush(&mut self, marking: bool) {
        self.untold.tell(&HEAP, marking);
        self.cache.flush(&HEAP, marking);
        if !weakened(Mutation::RoundGoesOn) {
            self.round = Round::new();
        }
        self.candidates.flush();
        self.grey.flush();
    }
}

/// All records there are, in use or not. New ones may appear meanwhile: they hold nothing from before.
pub(crate) fn records() -> impl Iterator<Item = &'static Record> {
    records_from(first())
}

fn first() -> Option<&'static Record> {
    // SAFETY: records are never freed, and linked only when complete.
    unsafe { REGISTRY.first.load(Ordering::Acquire).as_ref() }
}

fn records_from(first: Option<&'static Record>) -> impl Iterator<Item = &'static Record> {
    std::iter::successors(first, |record| {
        // SAFETY: as above.
        unsafe { record.next.load(Ordering::Acquire).as_ref() }
    })
}

/// Shuts the gate and waits until no thread is in an operation. The collector alone calls this.
pub(crate) fn stop_the_world() {
    let early = weakened(Mutation::StopLooksFirst).then(first);
    WORLD.stop(|| records_from(early.unwrap_or_else(first)).map(|record| &record.gated.gate));
}

/// Waits until every thread has been seen outside an operation once. The collector alone calls this, with the world running.
pub(crate) fn see_all_outside() {
    WORLD.see_all_outside(|| records().map(|record| &record.gated.gate));
}

/// Counts what all threads have deferred.
///
/// # Safety
/// The world is stopped.
pub(crate) unsafe fn settle_all() {
    // SAFETY: by contract.
    records().for_each(|record| record.settle(unsafe { record.local() }));
}

/// Brings every record up to date with `phase`. The collector calls this after S1 and S2.
pub(crate) fn update_all(phase: Phase) {
    if !weakened(Mutation::UpdateNobody) {
        records().for_each(|record| record.gated.update(phase, |local| record.renew(local)));
    }
}

/// The number of threads that have a record.
pub(crate) fn registered_threads() -> usize {
    records().filter(|record| record.in_use.load(Ordering::Relaxed)).count()
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    /// Whether the word at `at` and the bytes from `written` on agree in the lowest 12 bits.
    fn seem_to_meet(at: usize, written: usize, bytes: usize) -> bool {
        (0..bytes).any(|byte| (at..at + WORD).any(|read| read % 4096 == (written + byte) % 4096))
    }

    #[test]
    fn wherever_two_words_lie_a_record_finds_a_place() {
        for at in (0..4096).step_by(if cfg!(miri) { 1000 } else { 40 }) {
            for other in (0x7000..0x8000).step_by(if cfg!(miri) { 1000 } else { 40 }) {
                let begin = 0x5000 + start(0x5000, [at, other]) * APART;
                for written in WRITTEN {
                    let meets = |at| seem_to_meet(at, begin + written.start, written.len());
                    assert!(!meets(at) && !meets(other), "{at:x}, {other:x}");
                }
            }
        }
    }

    /// So it is for a record that is made: one whose pointer lies where another one is written, if only the lowest 12 bits count, lies elsewhere in its memory.
    #[test]
    fn the_loads_of_an_operation_do_not_seem_to_wait_for_the_stores_of_the_last() {
        let written = |record: &Record| {
            // SAFETY: a place in the content, which is not looked at.
            let candidates = unsafe { &raw const (*record.gated.content_ptr()).candidates };
            [(&raw const record.gated.gate).addr(), candidates.addr()]
        };
        crate::collector::ensure_started();
        let _changes = lock(&REGISTRY.changes);
        for current in written(Record::create(0).unwrap()) {
            let [gate, candidates] = written(Record::create(current).unwrap());
            for read in [current, WORLD.word_address()] {
                assert!(!seem_to_meet(read, gate, size_of::<Gate>()));
                assert!(!seem_to_meet(read, candidates, size_of::<Candidates>()));
            }
        }
    }
}
