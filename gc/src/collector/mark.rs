//! The marker: takes grey objects, traces them, shades what they refer to.
//!
//! The background worker and every assist has one. So has the pass after S2 that keeps what finalizers will see: then nobody marks along, and what is grey
//! stays with the marker. Tracing never recurses from object to object, only through the cells
//! inside one object's own value.
//!
//! What a plain handle means depends on the cell it is in (`Context`): in content that is *claimed*, as an object's own fields are, its target is
//! shaded; in content that is *counted*, of a cell the marker has entered, it is claimed on the way: counted down and
//! shaded; in content that is *being released* by a writer it is shaded only. A `GcCell` has a flag of its own and is claimed
//! where it is counted, unless an owner is being released.
//!
//! Giving up. A writer that waits for the marker inside a cell, or an object too large for an assist, makes the marker end a walk early.
//! Claimed content: its object is traced again later (it stays grey). Counted content: what the walk has claimed so far is counted
//! back, each target that has no entry gets one, whatever its count was before: that may be a clone's, which will be taken back.
//! After that all of the content is counted, that is to say rooted, and need not be traced in this cycle at all: so a
//! busy writer cannot keep a cycle open. The nested cells in it are counted back by their own flags.

use super::{
    ephemerons::{EphemeronWord, WAITING},
    grey::{GREY, mark_bit, marked_cycle, set_mark},
};
use crate::{
    cell::{
        edge_word::{Claimed, EdgeWord},
        lock::{CellLock, Entered},
    },
    heap::{
        HEAP,
        blocks::{Block, BlockList},
        header::{Header, Object},
    },
    mutator::candidates::Candidates,
    sync::{Mutation, Ordering, weakened},
    trace::{
        Tracer,
        tracer::{Content, EdgeList, Pass, Visitor},
        type_info::{SlotFacts, TypeInfo},
    },
};
use std::ptr::NonNull;

/// Handles of one object that an assist traces before it leaves the object to the worker.
const LARGEST_FOR_ASSIST: usize = 4096;
/// Indirections inside one object's value that an assist follows before it leaves the object to the worker, whose stack is
/// large: an assist runs on whatever stack its thread has left.
const DEEPEST_FOR_ASSIST: usize = 64;
/// How often a walk looks whether it should be given up, in handles; a power of two.
const LOOK_EVERY: usize = if cfg!(graphgc_loom) { 1 } else { 256 };
/// Edges of a collection that are shaded before a writer that waits gets it; a power of two.
const EDGES_AT_ONCE: usize = if cfg!(graphgc_loom) { 1 } else { 2048 };
/// Grey objects whose memory is being fetched.
const AHEAD: usize = 8;

/// One tracer of grey objects.
pub(crate) struct Marker {
    is_worker: bool,
    /// The cycle whose bitmap takes the marks: its parity says which that is.
    cycle: usize,
    /// Grey objects, newest last.
    stack: NonNull<Block>,
    /// Full stacks, if they are not shared with others.
    alone: Option<BlockList>,
    /// Grey objects taken from the stack, being fetched into the cache.
    ahead: [Option<Object>; AHEAD],
    next_ahead: usize,
    /// Targets counted back.
    candidates: Candidates,
    marked_bytes: usize,
    marked_objects: usize,
    // State of the walk over the current object.
    context: Context,
    /// Handles and cells visited directly in the innermost cell.
    walked: usize,
    /// The cells the walk is in, innermost first.
    inside: Option<NonNull<Inside>>,
    visits: usize,
    /// Ephemerons traced.
    ephemerons: usize,
    /// Indirections that the walk is in.
    depth: usize,
    /// The object is more than an assist should take on.
    too_much: bool,
    giving_up: bool,
    again: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Claimed,
    Counted,
    Releasing,
}

/// A cell that the walk has entered, on the walk's own stack.
struct Inside {
    lock: NonNull<CellLock>,
    outer: Option<NonNull<Inside>>,
}

impl Marker {
    /// A marker that holds nothing yet. `finish` must follow.
    pub(crate) fn new(is_worker: bool) -> Self {
        GREY.begin_holding();
        Marker::with(is_worker, marked_cycle(), None)
    }

    /// A marker that works between S2 and the sweep, for nobody else and with nobody else, in the bitmap that the cycle has marked in.
    pub(super) fn after_s2() -> Self {
        Marker::with(true, HEAP.cycle() as usize, Some(BlockList::new()))
    }

    fn with(is_worker: bool, cycle: usize, alone: Option<BlockList>) -> Self {
        Marker {
            is_worker,
            cycle,
            stack: HEAP.take_block(),
            alone,
            ahead: [None; AHEAD],
            next_ahead: 0,
            candidates: Candidates::new(),
            marked_bytes: 0,
            marked_objects: 0,
            context: Context::Claimed,
            walked: 0,
            inside: None,
            visits: 0,
            ephemerons: 0,
            depth: 0,
            too_much: false,
            giving_up: false,
            again: false,
        }
    }

    /// Hands over what is left. Returns bytes and objects marked since the last call of `take_marked`.
    pub(crate) fn finish(mut self) -> (usize, usize) {
        for index in 0..AHEAD {
            if let Some(object) = self.ahead[index].take() {
                self.push(object);
            }
        }
        // SAFETY: the stack is ours.
        if unsafe { self.stack.as_ref() }.is_empty() {
            // SAFETY: as above.
            unsafe { HEAP.blocks.give(self.stack) };
        } else {
            self.share(self.stack);
        }
        self.candidates.flush();
        WAITING.traced(self.ephemerons);
        if self.alone.is_none() {
            GREY.end_holding();
        }
        self.take_marked()
    }

    /// Bytes and objects marked since the last call.
    pub(crate) fn take_marked(&mut self) -> (usize, usize) {
        (std::mem::take(&mut self.marked_bytes), std::mem::take(&mut self.marked_objects))
    }

    /// Shades a root, or what is to be kept as one is. Its header is read, so it is in the cache already.
    pub(crate) fn shade_root(&mut self, object: Object) {
        // SAFETY: it is alive (or not swept yet), and its header was written before its entry was made.
        let facts = unsafe { SlotFacts::of_object(object) };
        self.shade(object, Some(facts));
    }

    /// Traces grey objects until there are none, or `bytes` have been marked. True if there are none it could take.
    pub(crate) fn drain(&mut self, bytes: usize) -> bool {
        while self.marked_bytes < bytes {
            let Some(object) = self.next() else { return true };
            self.trace(object);
        }
        false
    }

    /// The next object to trace: through a small ring, so that its memory is in the cache when its turn comes.
    #[inline]
    fn next(&mut self) -> Option<Object> {
        for _ in 0..=AHEAD {
            let fetched = self.pop();
            if let Some(object) = fetched {
                prefetch(object.as_ptr());
            }
            let ready = std::mem::replace(&mut self.ahead[self.next_ahead], fetched);
            self.next_ahead = (self.next_ahead + 1) % AHEAD;
            if ready.is_some() {
                return ready;
            }
        }
        None
    }

    #[inline]
    fn pop(&mut self) -> Option<Object> {
        // SAFETY: the stack is ours.
        match unsafe { self.stack.as_mut() }.pop() {
            Some(object) => Some(object),
            None => self.take(),
        }
    }

    #[cold]
    fn take(&mut self) -> Option<Object> {
        let block = match &mut self.alone {
            Some(full) => full.pop_front()?,
            None => {
                let block = GREY.take(self.is_worker)?;
                self.cycle = marked_cycle();
                block
            }
        };
        // SAFETY: the old stack is empty and ours.
        unsafe { HEAP.blocks.give(self.stack) };
        self.stack = block;
        // SAFETY: the block is ours now.
        unsafe { self.stack.as_mut() }.pop()
    }

    #[inline]
    fn push(&mut self, object: Object) {
        // SAFETY: the stack is ours.
        if unsafe { self.stack.as_mut() }.push(object) {
            let full = std::mem::replace(&mut self.stack, HEAP.take_block());
            self.share(full);
        }
    }

    fn share(&mut self, block: NonNull<Block>) {
        match &mut self.alone {
            Some(full) => full.push_front(block),
            None => GREY.give(block),
        }
    }

    #[inline]
    fn shade(&mut self, object: Object, facts: Option<SlotFacts>) {
        // SAFETY: the object is referred to by a live one, and we hold a grey object, so S2 is off; or the cycle has not got to its sweep.
        if unsafe { set_mark(object, self.cycle) } {
            // SAFETY: as above; who could lead us here saw the header written.
            let facts = facts.unwrap_or_else(|| unsafe { SlotFacts::of_object(object) });
            // SAFETY: as above.
            self.marked_bytes += unsafe { facts.slot_bytes(object) };
            self.marked_objects += 1;
            if facts.scan || WAITING.may_wait_for(object) {
                self.push(object);
            }
        }
    }

    fn trace(&mut self, object: Object) {
        self.visits = 0;
        WAITING.wake(object, |value| self.shade(value, None));
        // SAFETY: a grey object is alive, and whoever greyed it saw its header and payload written.
        unsafe {
            let info = TypeInfo::of(object);
            if info.kind.scan {
                info.mark(object, self);
            }
        }
        self.giving_up = false;
        if std::mem::take(&mut self.again) {
            self.trace_again(object);
        }
    }

    #[cold]
    fn trace_again(&mut self, object: Object) {
        let mut block = HEAP.take_block();
        // SAFETY: the block is ours.
        unsafe { block.as_mut() }.push(object);
        match &mut self.alone {
            Some(full) => full.push_front(block),
            None => GREY.leave_to_worker(block, std::mem::take(&mut self.too_much)),
        }
    }

    /// A container's next element comes. Whether the walk over the current object should end.
    #[inline]
    pub(crate) fn next_element(&mut self) -> bool {
        self.step();
        self.giving_up
    }

    /// The walk follows an indirection. False if it should not.
    #[inline]
    pub(crate) fn descend(&mut self) -> bool {
        if self.depth == DEEPEST_FOR_ASSIST {
            self.leave_to_worker();
        }
        let goes_on = !self.giving_up;
        self.depth += usize::from(goes_on);
        goes_on
    }

    /// The walk is back from it.
    #[inline]
    pub(crate) fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// If this is an assist, ends the walk and leaves the object to the worker.
    #[cold]
    fn leave_to_worker(&mut self) {
        if !self.is_worker {
            self.giving_up = true;
            self.again = true;
            self.too_much = true;
        }
    }

    #[inline]
    pub(crate) fn handle(&mut self, object: Object, facts: Option<SlotFacts>) {
        if self.giving_up {
            return;
        }
        self.shade(object, facts);
        if self.context == Context::Counted {
            // SAFETY: shaded above; the handle in the cell we are in had its count.
            unsafe { object.roots() }.claimed();
        }
        self.walked += 1;
        self.step();
    }

    #[inline]
    pub(crate) fn edge_cell(&mut self, cell: &EdgeWord, facts: SlotFacts) {
        if self.giving_up {
            return;
        }
        let (target, claimed) = match self.context {
            Context::Releasing => (cell.read().object(), Claimed::Before),
            Context::Claimed => cell.claim(),
            Context::Counted => cell.claim_revocably(),
        };
        // What is given up is counted back: all that has been claimed must have been by us, who have said so (C2).
        debug_assert!(self.context != Context::Counted || claimed == Claimed::ByUs);
        if let Some(object) = target {
            self.shade(object, Some(facts));
            if claimed == Claimed::ByUs {
                // SAFETY: as in `handle`; the flag that we changed handed us the count.
                unsafe { object.roots() }.claimed();
            }
        }
        self.walked += 1;
        self.step();
    }

    /// An ephemeron: the value is shaded if the key is marked, or when it will be.
    pub(crate) fn ephemeron(&mut self, word: &EphemeronWord) {
        if self.giving_up {
            return;
        }
        self.ephemerons += 1;
        if let Some((key, value)) = word.targets() {
            if self.is_marked(key) || !WAITING.wait(word, key) {
                self.shade(value, None);
            } else if self.is_marked(key) && !weakened(Mutation::WaitWithoutLook) {
                WAITING.wake(key, |value| self.shade(value, None));
            }
        }
        self.walked += 1;
        self.step();
    }

    fn is_marked(&self, object: Object) -> bool {
        // SAFETY: the key of an ephemeron that has not been cleared is allocated.
        let (word, mask) = unsafe { mark_bit(object, self.cycle) };
        // In one order with who marks; see `ephemerons` about loom.
        let seen = if cfg!(graphgc_loom) { word.fetch_or(0, Ordering::AcqRel) } else { word.load(Ordering::SeqCst) };
        seen & mask != 0
    }

    pub(crate) fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        if self.giving_up {
            return;
        }
        self.walked += 1;
        if self.context == Context::Releasing {
            // The outer lock is a writer-to-be's: nobody else is in here.
            // SAFETY: nobody writes to the content while its owner is being released.
            unsafe { content.trace(&mut Tracer::new(Pass::Mark(self))) };
            return;
        }
        // What is write-held is counted, and rooted by that.
        let Some(entered) = lock.enter_marker() else { return };
        self.walk_inside(lock, entered, content);
    }

    /// Walks over the content of a cell that has been entered, and leaves it.
    fn walk_inside(&mut self, lock: &CellLock, entered: Entered, content: &dyn Content) {
        debug_assert!(self.context != Context::Counted || entered != Entered::Claimed, "C2");
        let inside = Inside { lock: NonNull::from(lock), outer: self.inside };
        let outer_context = std::mem::replace(&mut self.context, Context::of(entered));
        let outer_walked = std::mem::take(&mut self.walked);
        self.inside = Some(NonNull::from(&inside));
        // SAFETY: the lock admits no writer while we are inside.
        unsafe { content.trace(&mut Tracer::new(Pass::Mark(self))) };
        self.inside = inside.outer;
        let claimed = entered == Entered::Counted && !self.giving_up;
        if self.giving_up {
            self.give_up(entered, content);
        }
        self.context = outer_context;
        self.walked = outer_walked;
        lock.leave_marker(claimed);
    }

    /// A collection of edges. Claimed content is shaded from its end to its beginning, and given up for a writer between two
    /// chunks; the next visit goes on where this one ends.
    pub(crate) fn edges(&mut self, lock: &CellLock, edges: &dyn EdgeList) {
        if self.giving_up {
            return;
        }
        if self.context == Context::Releasing {
            return self.lock_cell(lock, edges);
        }
        // Unlike a cell it stays claimed when it is written to: what is write-held and claimed will be free in a moment.
        let Some(entered) = lock.enter_marker_after_operation() else {
            self.walked += 1;
            return;
        };
        self.walked += 1;
        if entered == Entered::Counted {
            return self.walk_inside(lock, entered, edges);
        }
        // Inside counted content it is counted (C2), or being rebuilt and so merely shaded.
        let outer_context = std::mem::replace(&mut self.context, Context::of(entered));
        let outer_walked = self.walked;
        self.shade_edges(lock, edges);
        self.context = outer_context;
        self.walked = outer_walked;
        lock.leave_marker(false);
    }

    fn shade_edges(&mut self, lock: &CellLock, edges: &dyn EdgeList) {
        // SAFETY: we are inside: no writer.
        let (progress, len) = unsafe { (edges.progress(), edges.len()) };
        if len == 0 {
            return;
        }
        let mut left = progress.left(self.cycle as u32, len);
        while left > 0 {
            let from = left.saturating_sub(EDGES_AT_ONCE);
            // SAFETY: as above.
            unsafe { edges.trace_range(from, left, &mut Tracer::new(Pass::Mark(self))) };
            if self.giving_up {
                // The chunk may not be done.
                self.again = true;
                break;
            }
            left = from;
            if left > 0 && lock.is_marker_awaited() {
                self.giving_up = true;
                self.again = true;
                break;
            }
        }
        progress.set(self.cycle as u32, left);
    }

    #[cold]
    fn give_up(&mut self, entered: Entered, content: &dyn Content) {
        if entered == Entered::Counted {
            let mut back = CountBack { left: self.walked, candidates: &mut self.candidates };
            // SAFETY: we are still inside: no writer.
            unsafe { content.trace(&mut Tracer::new(Pass::Visit(&mut back))) };
            // All counted again, hence rooted. The walk goes on behind the cell unless the object is too large for us.
            self.giving_up = self.again;
        } else {
            self.again = true;
        }
    }

    #[inline]
    fn step(&mut self) {
        self.visits += 1;
        if self.visits.is_multiple_of(LOOK_EVERY) {
            self.look_around();
        }
    }

    #[cold]
    fn look_around(&mut self) {
        if self.visits > LARGEST_FOR_ASSIST {
            self.leave_to_worker();
        }
        let mut inside = self.inside;
        while let Some(cell) = inside {
            // SAFETY: the chain lies on our own stack, each link shorter-lived than the next, and we are in the cells.
            let cell = unsafe { cell.as_ref() };
            // SAFETY: as above.
            self.giving_up |= unsafe { cell.lock.as_ref() }.is_marker_awaited();
            inside = cell.outer;
        }
    }
}

impl Context {
    fn of(entered: Entered) -> Self {
        match entered {
            Entered::Claimed => Context::Claimed,
            Entered::Counted => Context::Counted,
            Entered::Releasing => Context::Releasing,
        }
    }
}

/// The walk that undoes the claims of one that was given up.
struct CountBack<'a> {
    /// Handles and cells that the other walk got to and this one has not: both meet them in the same order.
    left: usize,
    candidates: &'a mut Candidates,
}

impl CountBack<'_> {
    /// Whether the other walk got to what comes now.
    fn advance(&mut self) -> bool {
        let got_there = self.left > 0;
        self.left -= usize::from(got_there);
        got_there
    }

    fn up(candidates: &mut Candidates, object: Object) {
        // SAFETY: the handle's target is alive: the content is the marker's, and its owner grey.
        if unsafe { object.roots() }.up() {
            candidates.push(object);
        }
    }
}

impl Visitor for CountBack<'_> {
    fn handle(&mut self, object: Object) {
        if self.advance() {
            CountBack::up(self.candidates, object);
        }
    }

    fn edge_cell(&mut self, cell: &EdgeWord) {
        if !self.advance() {
            return;
        }
        cell.release(
            |object| CountBack::up(self.candidates, object),
            // SAFETY: undoes the count before.
            |object| unsafe { object.roots() }.down(),
        );
    }

    fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        if !self.advance() {
            return;
        }
        // Write-held: counted already. Being released: its writer counts it, and keeps the outer cell read-held until then.
        let Some(entered) = lock.enter_marker() else { return };
        if entered == Entered::Claimed {
            let mut all = CountBack { left: usize::MAX, candidates: self.candidates };
            // SAFETY: the lock admits no writer while we are inside.
            unsafe { content.trace(&mut Tracer::new(Pass::Visit(&mut all))) };
            lock.set_counted();
        }
        lock.leave_marker(false);
    }

    /// As a cell, but that it may be claimed while it is written to, in an operation, or rebuilt.
    fn edges(&mut self, lock: &CellLock, content: &dyn Content) {
        if !self.advance() || lock.enter_marker_after_operation().is_none() {
            return;
        }
        if lock.is_claimed() {
            let mut all = CountBack { left: usize::MAX, candidates: self.candidates };
            // SAFETY: the lock admits no writer while we are inside.
            unsafe { content.trace(&mut Tracer::new(Pass::Visit(&mut all))) };
            lock.set_counted();
        }
        lock.leave_marker(false);
    }

    fn next_element(&mut self) -> bool {
        self.left == 0
    }
}

/// Asks for the cache line at `header`; a payload begins in the same one most of the time.
#[inline]
pub(crate) fn prefetch(header: *const Header) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect but on the cache, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(header.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = header;
}
