//! Where a thread puts the root entries that it makes.
//!
//! The buffer holds *candidates*: most of them are new objects whose handle soon moves into another object, and their count is 0 again
//! when the buffer is full. Filtering drops those where they lie, still hot in the cache, and mostly without an atomic write. The few that are
//! roots move on to the root log, which all threads share.
//!
//! A newborn's entry stays when the buffer is full for the first time, and that of a vacant slot as long as it is vacant: with it the handle ends cheaply, and the next object in the
//! slot needs none (`mutator::newborn`). If more than half of a full block are of these kinds it is put aside, and another one filled. When no more may be aside, and the one that has been there
//! longest is still of use, the entries of newborns are filtered, too, until they are few. If more than half of the block are of vacant slots even so, all entries that have stayed are
//! *given up*: the round of the cache ends, no slot is vacant any more, and the blocks are filtered one by one as others are needed.
//!
//! Both keep to R1 and R2 of the design: a root has an entry somewhere; an entry whose count is 0 or less may go, in the step that finds it so and has the
//! header say that there is none (`heap::header`), or later; and every entry from before S1 is handed over when the record is brought up to date.
//!
//! The block that is filled has one pointer to where the next entry goes and one to its end. The block itself learns
//! how many entries it has when it is put aside or handed over.

use super::root_lists::{AHEAD, ROOTS};
use crate::{
    collector::mark::prefetch,
    heap::{
        HEAP,
        blocks::{Block, BlockList, CAPACITY},
        header::{Object, RootWord},
    },
};
use std::ptr::{NonNull, null_mut};

/// How many of the last entries `take_back` looks at.
pub(crate) const RECENT: usize = 4;

/// So many blocks are put aside.
const ASIDE: usize = 7;
/// So many entries fill all blocks.
#[cfg(graphgc_loom)]
pub(crate) const NEWBORNS: usize = (ASIDE + 1) * CAPACITY;

/// One thread's candidates, and its survivors on their way to the root log.
///
/// Without a block all three pointers are null. With one, `first` is where its entries begin, `end` where they end, and those from
/// `first` to `next` are initialised.
#[repr(C)]
pub(crate) struct Candidates {
    next: *mut Object,
    end: *mut Object,
    first: *mut Object,
    block: Option<NonNull<Block>>,
    /// As many were left of the block when it was full. If entries have been taken back since, some of the first may be younger.
    stayed: usize,
    /// Whether the entries of newborns do not stay.
    strict: bool,
    /// Blocks that were full, and are so by half at least; the one that was looked at last is the last.
    aside: BlockList,
    /// So many of them, the first, have been given up.
    given_up: usize,
    survivors: Option<NonNull<Block>>,
}

impl Candidates {
    pub(crate) const fn new() -> Self {
        Candidates {
            next: null_mut(),
            end: null_mut(),
            first: null_mut(),
            block: None,
            stayed: 0,
            strict: false,
            aside: BlockList::new(),
            given_up: 0,
            survivors: None,
        }
    }

    /// Whether a push has nothing to do but to write.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.next != self.end
    }

    /// Adds the entry of an object that has none. Not for a buffer with entries of vacant slots.
    #[inline]
    pub(crate) fn push(&mut self, object: Object) {
        if !self.has_room() && !self.make_room() {
            self.give_up();
        }
        // SAFETY: there is room.
        unsafe { self.push_into_room(object) };
    }

    /// The same if there is room.
    ///
    /// # Safety
    /// There is.
    #[inline]
    pub(crate) unsafe fn push_into_room(&mut self, object: Object) {
        debug_assert!(self.has_room());
        // SAFETY: by contract, so `next` is an entry of our block.
        unsafe { self.next.write(object) };
        self.next = self.next.wrapping_add(1);
    }

    /// Takes back the entry of an object that is as it was when it was born, if it is among the last [`RECENT`] of this buffer.
    /// The order of the last may change.
    #[inline]
    pub(crate) fn take_back(&mut self, object: Object) -> bool {
        self.take_back_last(object) || self.take_back_older(object)
    }

    /// The same, for a caller that wants no call in it.
    #[inline(always)]
    pub(crate) fn take_back_inline(&mut self, object: Object) -> bool {
        self.take_back_last(object) || self.take_back_other(object)
    }

    /// The same if it is the last or the last but one.
    #[inline(always)]
    fn take_back_last(&mut self, object: Object) -> bool {
        if self.next == self.first {
            return false;
        }
        let last = self.next.wrapping_sub(1);
        // SAFETY: there is an entry, so this is the last.
        if unsafe { *last } != object {
            if last == self.first {
                return false;
            }
            let before = last.wrapping_sub(1);
            // SAFETY: there is an entry before the last.
            if unsafe { *before } != object {
                return false;
            }
            // SAFETY: both are entries.
            unsafe { before.write(*last) };
        }
        self.next = last;
        true
    }

    #[inline(never)]
    fn take_back_older(&mut self, object: Object) -> bool {
        self.take_back_other(object)
    }

    /// The same if it is one of those before.
    #[inline(always)]
    fn take_back_other(&mut self, object: Object) -> bool {
        const NEWER: usize = 2;
        if self.next.addr() - self.first.addr() <= NEWER * size_of::<Object>() {
            return false;
        }
        let mut place = self.next.wrapping_sub(NEWER);
        for _ in NEWER..RECENT {
            if place == self.first {
                return false;
            }
            place = place.wrapping_sub(1);
            // SAFETY: it is not before the first, hence an entry.
            if unsafe { *place } == object {
                self.next = self.next.wrapping_sub(1);
                // SAFETY: as above, and this was the last.
                unsafe { place.write(*self.next) };
                return true;
            }
        }
        false
    }

    /// Whether that of the object is among the last [`RECENT`].
    #[inline]
    pub(crate) fn has_recent(&self, object: Object) -> bool {
        let entries = self.entries();
        entries[entries.len().saturating_sub(RECENT)..].contains(&object)
    }

    /// The number of entries in the block that is filled.
    fn len(&self) -> usize {
        (self.next.addr() - self.first.addr()) / size_of::<Object>()
    }

    /// The entries in the block that is filled.
    fn entries(&self) -> &[Object] {
        let Some(block) = self.block else { return &[] };
        // SAFETY: the block is ours until flushed, and these entries are initialised.
        unsafe { std::slice::from_raw_parts(Block::entries(block).as_ptr(), self.len()) }
    }

    /// Gets a block, or makes room for half of one at least. False if more than half of it are entries of vacant slots: then the caller is to [give everything up](Self::give_up).
    ///
    /// Looks at the entries of two blocks at most, and of one of them at most three times, with what the caller does then.
    #[cold]
    #[inline(never)]
    pub(crate) fn make_room(&mut self) -> bool {
        let Some(block) = self.block else {
            self.fill(HEAP.take_block());
            return true;
        };
        let strict = self.strict;
        let newborns = if strict { usize::MAX } else { self.stayed };
        let most = self.filter(|index, roots| roots.is_vacant() || index >= newborns && roots.is_newborn());
        self.strict = strict && most;
        if self.stayed <= CAPACITY / 2 {
            return true;
        }
        if let Some(other) = self.another_block() {
            self.put_aside(block);
            self.fill(other);
            return true;
        }
        self.strict |= self.filter(|_, roots| roots.is_vacant());
        self.stayed <= CAPACITY / 2
    }

    /// An empty block, as long as there may be more aside; or the first of those, if half of it at least is free: what is of no use any more goes.
    fn another_block(&mut self) -> Option<NonNull<Block>> {
        if self.aside.len() < ASIDE
            && let Some(block) = HEAP.blocks.take_beyond_spare()
        {
            return Some(block);
        }
        let mut block = self.aside.pop_front()?;
        let given_up = self.given_up > 0;
        self.given_up -= usize::from(given_up);
        // SAFETY: the block is ours, and has so many entries.
        let (stayed, most) = unsafe {
            let (first, len) = (Block::entries(block).as_ptr(), block.as_ref().as_slice().len());
            self.filter_entries(first, len, |_, roots| !given_up && (roots.is_vacant() || roots.is_newborn()))
        };
        // SAFETY: so many have stayed.
        unsafe { block.as_mut().set_len(stayed) };
        self.strict |= given_up && most;
        if stayed <= CAPACITY / 2 {
            return Some(block);
        }
        self.aside.push_back(block);
        None
    }

    /// Gives all entries up that have stayed. No slot is vacant any more, and what was born before is of no round that goes on.
    pub(crate) fn give_up(&mut self) {
        self.filter(|_, _| false);
        self.given_up = self.aside.len();
    }

    /// Has `block`, which is ours, be the one that is filled.
    fn fill(&mut self, block: NonNull<Block>) {
        // SAFETY: as it says.
        let len = unsafe { block.as_ref() }.as_slice().len();
        self.block = Some(block);
        self.first = Block::entries(block).as_ptr();
        self.next = self.first.wrapping_add(len);
        self.end = self.first.wrapping_add(CAPACITY);
        self.stayed = len;
    }

    /// Puts the block that is filled, which this is, aside.
    fn put_aside(&mut self, mut block: NonNull<Block>) {
        // SAFETY: the block is ours, and so many entries are initialised.
        unsafe { block.as_mut().set_len(self.len()) };
        self.aside.push_back(block);
        self.block = None;
    }

    /// Filters the entries of the block that is filled but for those that `stays` says so of. Says whether most were found to be roots.
    fn filter(&mut self, stays: impl Fn(usize, &RootWord) -> bool) -> bool {
        // SAFETY: the block is ours, and so many entries are initialised.
        let (stayed, most) = unsafe { self.filter_entries(self.first, self.len(), stays) };
        self.next = self.first.wrapping_add(stayed);
        self.stayed = stayed;
        most
    }

    /// Filters entries but for those that `stays` says so of: how many they are, which are the first now, and whether most entries were found to be roots.
    ///
    /// # Safety
    /// At `first` are `len` entries of a block of ours.
    unsafe fn filter_entries(
        &mut self,
        first: *mut Object,
        len: usize,
        stays: impl Fn(usize, &RootWord) -> bool,
    ) -> (usize, bool) {
        let (mut stayed, mut survivors) = (0, 0);
        for index in 0..len {
            if index + AHEAD < len {
                // SAFETY: by contract; those that stay have taken no more places than have been looked at.
                prefetch(unsafe { *first.add(index + AHEAD) }.as_ptr());
            }
            // SAFETY: as above.
            let object = unsafe { *first.add(index) };
            // SAFETY: an entry's object is not freed before the entry is handed over (R2).
            let roots = unsafe { object.roots() };
            if stays(index, roots) {
                // SAFETY: as above.
                unsafe { first.add(stayed).write(object) };
                stayed += 1;
            } else if roots.filter() {
                survivors += 1;
                self.survive(object);
            }
        }
        (stayed, survivors > len / 2)
    }

    fn survive(&mut self, object: Object) {
        let mut block = *self.survivors.get_or_insert_with(|| HEAP.take_block());
        // SAFETY: the block is ours.
        if unsafe { block.as_mut() }.push(object) {
            ROOTS.log_block(block);
            self.survivors = None;
        }
    }

    /// Calls `f` with every entry, and whether it is one of the root log's.
    pub(crate) fn for_each(&self, mut f: impl FnMut(Object, bool)) {
        self.entries().iter().for_each(|object| f(*object, false));
        self.aside.for_each(|object| f(object, false));
        // SAFETY: the block is ours until it is handed over.
        let survivors = self.survivors.map_or(&[][..], |block| unsafe { block.as_ref() }.as_slice());
        survivors.iter().for_each(|object| f(*object, true));
    }

    /// Takes all entries but those of survivors, and begins anew.
    fn take_blocks(&mut self) -> BlockList {
        if let Some(block) = self.block {
            self.put_aside(block);
        }
        (self.next, self.end, self.first) = (null_mut(), null_mut(), null_mut());
        (self.stayed, self.strict, self.given_up) = (0, false, 0);
        std::mem::take(&mut self.aside)
    }

    /// Calls `f` with every entry of the buffer that has not been given up.
    pub(crate) fn for_each_kept(&self, mut f: impl FnMut(Object)) {
        self.entries().iter().for_each(|object| f(*object));
        let mut given_up = self.given_up;
        self.aside.for_each_block(|objects| match given_up.checked_sub(1) {
            Some(left) => given_up = left,
            None => objects.iter().for_each(|object| f(*object)),
        });
    }

    /// Hands everything over.
    pub(crate) fn flush(&mut self) {
        let mut blocks = self.take_blocks();
        while let Some(block) = blocks.pop_front() {
            ROOTS.candidate_block(block);
        }
        if let Some(block) = self.survivors.take() {
            ROOTS.log_block(block);
        }
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;
    use crate::heap::header::Header;
    use std::collections::BTreeSet;

    fn object(n: usize) -> Object {
        Object::new(NonNull::new(std::ptr::without_provenance_mut((n + 1) * 8)).unwrap())
    }

    /// So many made-up objects with headers.
    fn objects(count: usize, word: impl Fn() -> RootWord) -> Vec<Object> {
        let headers = (0..count).map(|_| Header { roots: word(), code: 0 }).collect::<Vec<_>>().leak();
        headers.iter_mut().map(|header| Object::new(NonNull::from(header))).collect()
    }

    fn vacant() -> RootWord {
        let word = RootWord::newborn();
        word.vacate();
        word
    }

    fn all(candidates: &Candidates) -> Vec<Object> {
        let mut all = vec![];
        candidates.for_each(|object, logged| all.extend((!logged).then_some(object)));
        all
    }

    fn survivors(candidates: &Candidates) -> Vec<Object> {
        let mut all = vec![];
        candidates.for_each(|object, logged| all.extend(logged.then_some(object)));
        all
    }

    /// As `Local` does, but that no cache has vacant slots. Says whether entries were given up.
    fn make_room(candidates: &mut Candidates) -> bool {
        let gives_up = !candidates.make_room();
        if gives_up {
            candidates.give_up();
        }
        assert!((candidates.end.addr() - candidates.next.addr()) / size_of::<Object>() >= CAPACITY / 2, "no room");
        gives_up
    }

    #[test]
    fn entries_of_newborns_stay_once_and_of_vacant_slots_always() {
        let mut candidates = Candidates::new();
        let (newborn, empty) = (objects(5, RootWord::newborn), objects(5, vacant));
        let others = objects(CAPACITY, RootWord::new);
        newborn.iter().chain(&empty).chain(&others[10..]).for_each(|object| candidates.push(*object));
        assert!(!candidates.has_room() && !make_room(&mut candidates));
        assert_eq!(all(&candidates), [&newborn[..], &empty].concat());
        others[10..].iter().for_each(|object| candidates.push(*object));
        assert!(!make_room(&mut candidates) && survivors(&candidates) == newborn);
        assert_eq!(all(&candidates), empty);
        forget(candidates);
    }

    #[test]
    fn blocks_are_put_aside_and_given_up_together() {
        let mut candidates = Candidates::new();
        let push_all = |candidates: &mut Candidates, objects: &[Object]| {
            objects.iter().for_each(|object| candidates.push(*object));
            assert!(!candidates.has_room());
        };
        let newborn = objects(ASIDE * CAPACITY, RootWord::newborn);
        let block = |n: usize| &newborn[n * CAPACITY..(n + 1) * CAPACITY];
        // SAFETY: the headers are leaked.
        let gone = |objects: &[Object]| objects.iter().for_each(|object| unsafe { object.roots() }.end_newborn());
        // Few newborns, so that no block of survivors is full, which all threads would see.
        let few = objects(60, RootWord::newborn);
        push_all(&mut candidates, &newborn);
        assert!(!make_room(&mut candidates));
        push_all(&mut candidates, &[few.clone(), objects(CAPACITY - 60, vacant)].concat());
        assert!(survivors(&candidates).is_empty());
        assert!(make_room(&mut candidates) && survivors(&candidates) == few);
        assert!(candidates.len() == 0 && !candidates.strict);
        let aside: BTreeSet<_> = all(&candidates).into_iter().collect();
        assert!(aside.into_iter().eq(newborn.iter().copied()));

        // The oldest is filtered when another block is needed. (That of all was looked at before, and is the youngest now.)
        gone(&block(1)[100..]);
        push_all(&mut candidates, &objects(CAPACITY, vacant));
        assert!(!make_room(&mut candidates) && survivors(&candidates)[60..] == block(1)[..100]);
        assert!(candidates.len() == 0 && !candidates.strict);
        // Most of the next are held.
        gone(&block(2)[CAPACITY / 2 + 10..]);
        push_all(&mut candidates, &objects(CAPACITY, vacant));
        assert!(!make_room(&mut candidates) && candidates.strict);
        assert_eq!(survivors(&candidates)[160..], block(2)[..CAPACITY / 2 + 10]);
        // So newborns do not stay any more, until most of what is filtered is held no longer.
        let (few, empty) = (objects(50, RootWord::newborn), objects(100, vacant));
        push_all(&mut candidates, &[few, empty.clone(), objects(CAPACITY - 150, RootWord::new)].concat());
        assert!(!make_room(&mut candidates) && !candidates.strict);
        assert_eq!(candidates.entries(), empty);
        assert_eq!(candidates.given_up, ASIDE - 2);
        let mut kept = 0;
        candidates.for_each_kept(|_| kept += 1);
        assert_eq!(kept, 100 + 2 * CAPACITY);
        // A new buffer has given nothing up.
        let mut blocks = candidates.take_blocks();
        assert!(blocks.len() == ASIDE + 1 && all(&candidates).is_empty());
        assert!(candidates.given_up == 0 && !candidates.has_room() && candidates.len() == 0);
        (candidates.block, candidates.aside) = (blocks.pop_front(), blocks);
        forget(candidates);
    }

    #[test]
    fn a_block_aside_that_is_of_little_use_is_filled_again() {
        let mut candidates = Candidates::new();
        let newborn = objects((ASIDE + 1) * CAPACITY, RootWord::newborn);
        newborn.iter().for_each(|object| candidates.push(*object));
        let (gone, left) = newborn[..CAPACITY].split_at(CAPACITY / 10 * 6);
        let (empty, held) = left.split_at(50);
        // SAFETY: the headers are leaked.
        let roots = |object: &Object| unsafe { object.roots() };
        gone.iter().for_each(|object| roots(object).end_newborn());
        empty.iter().for_each(|object| roots(object).vacate());
        assert!(!make_room(&mut candidates) && candidates.entries() == left);
        assert!(survivors(&candidates).is_empty() && candidates.aside.len() == ASIDE && !candidates.strict);
        // They have stayed once.
        objects(CAPACITY - left.len(), RootWord::new).iter().for_each(|object| candidates.push(*object));
        assert!(!make_room(&mut candidates) && candidates.entries() == empty && survivors(&candidates) == held);
        // One that is of use stays aside, with what is vacant.
        empty.iter().chain(held).for_each(|object| assert!(roots(object).is_vacant() || roots(object).in_log()));
        let second = &newborn[CAPACITY..][..CAPACITY];
        second[..CAPACITY / 10].iter().for_each(|object| roots(object).vacate());
        let more = objects(CAPACITY - empty.len(), vacant);
        more.iter().for_each(|object| candidates.push(*object));
        assert!(make_room(&mut candidates), "full of vacant slots");
        assert!(second.iter().all(|object| all(&candidates).contains(object)));
        forget(candidates);
    }

    /// Blocks that are full of vacant slots but for a few: there is always room for many entries, and few are looked at for each.
    #[test]
    fn room_is_made_in_large_steps() {
        for taken in [CAPACITY, CAPACITY - 1, CAPACITY * 3 / 4 + 1, CAPACITY * 3 / 4, CAPACITY / 2 + 1, CAPACITY / 2] {
            let mut candidates = Candidates::new();
            let (empty, others) = (objects((ASIDE + 1) * taken, vacant), objects(CAPACITY, RootWord::new));
            let mut times = 0;
            let mut push = |candidates: &mut Candidates, object| {
                if !candidates.has_room() {
                    make_room(candidates);
                    times += 1;
                }
                candidates.push(object);
            };
            for block in empty.chunks(taken) {
                block.iter().chain(&others[taken..]).for_each(|object| push(&mut candidates, *object));
            }
            others.iter().cycle().take(40 * CAPACITY).for_each(|object| push(&mut candidates, *object));
            assert!(times <= ASIDE + 1 + 40 * 2 + 1, "{times} times for {taken}");
            assert!(survivors(&candidates).is_empty());
            forget(candidates);
        }
    }

    /// Gives the block back without showing anybody its made-up entries.
    fn forget(mut candidates: Candidates) {
        let blocks = [candidates.block.take(), candidates.survivors.take()].into_iter().flatten();
        let aside = std::iter::from_fn(|| candidates.aside.pop_front());
        // SAFETY: from the pool, and not used any more.
        blocks.chain(aside).for_each(|block| unsafe { HEAP.blocks.give(block) });
    }

    #[test]
    fn what_was_pushed_last_can_be_taken_out_of_order() {
        let mut candidates = Candidates::new();
        assert!(!candidates.take_back(object(0)) && candidates.entries().is_empty());
        (0..10).for_each(|n| candidates.push(object(n)));
        assert!(!candidates.take_back(object(9 - RECENT)), "too long ago");
        assert!(candidates.take_back(object(10 - RECENT)) && !candidates.take_back(object(10 - RECENT)));
        assert_eq!(candidates.entries().len(), 9);
        assert!((10 - RECENT + 1..10).rev().all(|n| candidates.take_back(object(n))));
        assert!(candidates.entries().iter().copied().eq((0..10 - RECENT).map(object)));
        assert!((0..10 - RECENT).rev().all(|n| candidates.take_back(object(n))) && candidates.entries().is_empty());
        assert!(!candidates.take_back(object(0)));
        forget(candidates);
    }

    #[test]
    fn each_of_the_last_leaves_the_others() {
        for len in 1..=RECENT + 1 {
            for taken in len.saturating_sub(RECENT)..len {
                let mut candidates = Candidates::new();
                (0..len).for_each(|n| candidates.push(object(n)));
                assert!(candidates.take_back(object(taken)), "{taken} of {len}");
                let mut left = candidates.entries().to_vec();
                left.sort_unstable();
                assert!(left.into_iter().eq((0..len).filter(|n| *n != taken).map(object)));
                forget(candidates);
            }
        }
    }

    #[test]
    fn a_full_buffer_has_no_room() {
        let mut candidates = Candidates::new();
        assert!(!candidates.has_room());
        (0..CAPACITY).for_each(|n| candidates.push(object(n)));
        assert!(!candidates.has_room() && candidates.entries().len() == CAPACITY);
        assert!(candidates.take_back(object(CAPACITY - 2)) && candidates.has_room());
        let mut seen = 0;
        candidates.for_each(|_, logged| seen += usize::from(!logged));
        assert_eq!(seen, CAPACITY - 1);
        forget(candidates);
    }
}
