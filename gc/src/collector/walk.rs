//! What the roots reach, found anew from the headers and the edges alone: no root log, no mark bit, no grey queue is believed.
//!
//! Runs with the world stopped. Roots are all objects with root count > 0; from there edges of both kinds are followed, claimed and counted ones.
//! The content of a write-held cell (a guard in use, or leaked) is not looked at, since its holder may be writing: it is counted, so that
//! all it leads to are roots in their own right. A cell that may be read is entered as the marker enters it, so that nobody gets it
//! for writing meanwhile: counted content may be opened outside operations.
//!
//! The value of an ephemeron is reached when its key and the ephemeron are.
//!
//! Breadth first, through a list of what has been reached that is the queue at the same time; each entry knows by which other it was reached
//! first, so the way from a root to an object is a shortest one.

use super::{
    ephemerons::{EphemeronWord, hash},
    survey::{Survey, type_in},
};
use crate::{
    cell::{
        edge_word::EdgeWord,
        lock::{CellLock, Entered},
    },
    heap::{
        arena::{ARENA_SIZE, GRANULE},
        header::Object,
        os_vec::OsVec,
    },
    trace::{
        Tracer,
        tracer::{Content, Pass, Visitor},
    },
};
use std::ptr::NonNull;

/// Words of visited bits per arena.
const WORDS: usize = ARENA_SIZE / GRANULE / 64;
/// The way of a root.
const NOBODY: usize = usize::MAX;

/// What is wrong with an edge or a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// The edge leads to this address, where there is no object.
    Dangling(usize),
    /// A lock-type cell at this address has flags that exclude each other.
    Flags(usize),
    /// A cell at this address is claimed, in content that is counted.
    ClaimedInCounted(usize),
    /// An edge that nothing counts leads to the object at this address, which says that its only handle is the only way to it.
    Unshared(usize),
}

/// One object and by which it was reached.
#[derive(Clone, Copy)]
struct Reached {
    object: Object,
    from: usize,
}

/// An ephemeron that waits for its key.
#[derive(Clone, Copy)]
struct Waits {
    key: Object,
    value: Object,
    /// The entry of the ephemeron.
    from: usize,
    /// The next in the chain, as in `chains`.
    next: u64,
}

/// Chains of ephemerons that wait.
const CHAINS: usize = 1 << 14;

/// See the module's head.
pub(crate) struct Walk<'a> {
    survey: &'a Survey,
    /// A bit for each granule of each arena.
    visited: OsVec<u64>,
    reached: OsVec<Reached>,
    /// The entry being traced.
    current: usize,
    context: Context,
    /// The targets of counted edges, one entry each, if they are wanted.
    counted: Option<OsVec<Object>>,
    /// Cells with counted content that have been entered, kept until the counts have been compared: what was found there must not be moved.
    held: OsVec<NonNull<CellLock>>,
    /// Ephemerons whose keys have not been reached when they were met.
    waiting: OsVec<Waits>,
    /// Chains of them by the keys' addresses: one more than the index of the first, or zero. Empty before there is one.
    chains: OsVec<u64>,
    flaw: &'a mut dyn FnMut(Object, Flaw),
}

/// What a plain handle means where the walk is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Claimed,
    Counted,
    /// Some are counted already.
    Releasing,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun. `flaw` is told of what is wrong, with the object that has the edge or the cell.
    pub(crate) fn new(survey: &'a Survey, flaw: &'a mut dyn FnMut(Object, Flaw)) -> Self {
        Walk {
            survey,
            visited: OsVec::zeroed(survey.arena_count() * WORDS),
            reached: OsVec::new(),
            current: 0,
            context: Context::Claimed,
            counted: None,
            held: OsVec::new(),
            waiting: OsVec::new(),
            chains: OsVec::new(),
            flaw,
        }
    }

    /// Notes the targets of counted edges, too, and holds the cells they are in.
    pub(crate) fn counting(mut self) -> Self {
        self.counted = Some(OsVec::new());
        self
    }

    /// Walks. Returns the number of objects reached.
    ///
    /// # Safety
    /// As for [`Survey::take`].
    pub(crate) unsafe fn run(&mut self) -> usize {
        for span in self.survey.spans() {
            self.survey.for_each_object(span, |object| {
                // SAFETY: the survey says that it is an object.
                let roots = unsafe { object.roots() };
                if roots.look().count > 0 && !roots.awaits_drop() && !roots.is_absurd() {
                    self.reach(object, NOBODY);
                }
            });
        }
        while let Some(&Reached { object, .. }) = self.reached.get(self.current) {
            self.wake(object);
            // SAFETY: it was found to be an object when it was reached; it is reachable, so its value has been moved in.
            let info = self.survey.object_at(object.address()).and_then(|span| unsafe { type_in(span, object) });
            if let Some(info) = info.filter(|info| info.kind.scan) {
                self.context = Context::Claimed;
                // SAFETY: as above.
                unsafe { info.trace(object, &mut Tracer::new(Pass::Visit(self))) };
            }
            self.current += 1;
        }
        self.reached.len()
    }

    /// Calls `f` with every object reached, and a number to ask for the way to it.
    pub(crate) fn for_each_reached(&self, mut f: impl FnMut(Object, usize)) {
        self.reached.iter().enumerate().for_each(|(index, reached)| f(reached.object, index));
    }

    /// Calls `f` with the objects on the way to the one of that number, which comes first, the root last.
    pub(crate) fn for_each_on_the_way(&self, mut index: usize, mut f: impl FnMut(Object)) {
        while let Some(reached) = self.reached.get(index) {
            f(reached.object);
            index = reached.from;
        }
    }

    /// Calls `f` with every target of counted edges and how many of these there are. Afterwards the cells are left: the counts may be compared in
    /// `f` only.
    pub(crate) fn for_each_counted(&mut self, mut f: impl FnMut(Object, usize)) {
        if let Some(targets) = &mut self.counted {
            targets.sort_unstable();
            targets.chunk_by(|a, b| a == b).for_each(|same| f(same[0], same.len()));
        }
        self.leave_all();
    }

    fn leave_all(&mut self) {
        // Inner cells before those around them: whoever gets an outer one for writing may end the inner one.
        while let Some(lock) = self.held.pop() {
            // SAFETY: the object it lies in is alive, and nobody writes to what is around it.
            unsafe { lock.as_ref() }.leave_marker(false);
        }
    }

    /// An object has been found, by an edge of `from`.
    fn reach(&mut self, object: Object, from: usize) {
        let Some((word, mask)) = self.visited_bit(object) else { return };
        if self.visited[word] & mask == 0 {
            self.visited[word] |= mask;
            self.reached.push(Reached { object, from });
        }
    }

    /// Where the object's bit is: the word, and the bit in it.
    fn visited_bit(&self, object: Object) -> Option<(usize, u64)> {
        let arena = self.survey.arena_index(object.address())?;
        let granule = object.address() % ARENA_SIZE / GRANULE;
        Some((arena * WORDS + granule / 64, 1 << (granule % 64)))
    }

    fn is_reached(&self, object: Object) -> bool {
        self.visited_bit(object).is_some_and(|(word, mask)| self.visited[word] & mask != 0)
    }

    /// The values of the ephemerons that wait for `key` are reached.
    fn wake(&mut self, key: Object) {
        if self.chains.is_empty() {
            return;
        }
        let mut next = self.chains[hash(key) % CHAINS];
        while next != 0 {
            let waits = self.waiting[next as usize - 1];
            if waits.key == key {
                self.reach(waits.value, waits.from);
            }
            next = waits.next;
        }
    }

    fn edge(&mut self, target: Object, counted: bool) {
        if self.survey.object_at(target.address()).is_none() {
            return self.complain(Flaw::Dangling(target.address()));
        }
        // SAFETY: the survey says that it is an object.
        if !counted && unsafe { target.roots() }.is_newborn() {
            self.complain(Flaw::Unshared(target.address()));
        }
        self.reach(target, self.current);
        if counted && let Some(targets) = &mut self.counted {
            targets.push(target);
        }
    }

    fn complain(&mut self, flaw: Flaw) {
        (self.flaw)(self.reached[self.current].object, flaw);
    }

    /// Walks the content of a cell that has been entered.
    fn content(&mut self, context: Context, content: &dyn Content) {
        let outer = std::mem::replace(&mut self.context, context);
        // SAFETY: the lock admits no writer while we are inside; being released, it belongs to a writer-to-be that is stopped.
        unsafe { content.trace(&mut Tracer::new(Pass::Visit(self))) };
        self.context = outer;
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.leave_all();
    }
}

impl Visitor for Walk<'_> {
    fn handle(&mut self, object: Object) {
        self.edge(object, self.context == Context::Counted);
    }

    fn edge_cell(&mut self, cell: &EdgeWord) {
        let reading = cell.read();
        if self.context == Context::Counted && !reading.is_counted() {
            self.complain(Flaw::ClaimedInCounted(std::ptr::from_ref(cell).addr()));
        }
        if let Some(object) = reading.object() {
            self.edge(object, reading.is_counted());
        }
    }

    fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        if lock.is_inconsistent() {
            return self.complain(Flaw::Flags(std::ptr::from_ref(lock).addr()));
        }
        self.cell(lock, content);
    }

    fn edges(&mut self, lock: &CellLock, content: &dyn Content) {
        // It may be reserved while it is counted.
        if lock.is_written_while_claimed() {
            return self.complain(Flaw::Flags(std::ptr::from_ref(lock).addr()));
        }
        self.cell(lock, content);
    }

    fn ephemeron(&mut self, word: &EphemeronWord) {
        let Some((key, value)) = word.targets() else { return };
        for target in [key, value] {
            if self.survey.object_at(target.address()).is_none() {
                return self.complain(Flaw::Dangling(target.address()));
            }
        }
        if self.is_reached(key) {
            return self.reach(value, self.current);
        }
        if self.chains.is_empty() {
            self.chains = OsVec::zeroed(CHAINS);
        }
        let first = &mut self.chains[hash(key) % CHAINS];
        self.waiting.push(Waits { key, value, from: self.current, next: *first });
        *first = self.waiting.len() as u64;
    }

    fn next_element(&mut self) -> bool {
        false
    }
}

impl Walk<'_> {
    /// Enters a cell whose flags are in order, and walks over its content.
    fn cell(&mut self, lock: &CellLock, content: &dyn Content) {
        let address = std::ptr::from_ref(lock).addr();
        if self.context == Context::Releasing {
            // The outer lock is a writer-to-be's: nobody else is in here.
            return self.content(Context::Releasing, content);
        }
        let Some(entered) = lock.enter_marker() else { return };
        match entered {
            Entered::Counted => {
                self.held.push(NonNull::from(lock));
                self.content(Context::Counted, content);
                if self.counted.is_none() {
                    self.held.pop();
                    lock.leave_marker(false);
                }
            }
            Entered::Claimed => {
                if self.context == Context::Counted {
                    self.complain(Flaw::ClaimedInCounted(address));
                }
                self.content(Context::Claimed, content);
                lock.leave_marker(false);
            }
            // Inside counted content, too: a marker that gave the outer cell up left this one to its writer, who counts it.
            Entered::Releasing => {
                self.content(Context::Releasing, content);
                lock.leave_marker(false);
            }
        }
    }
}
