//! Blocks: the memory of the collector's own lists of objects (candidates, root log, grey queues).
//!
//! A block is 8 KiB and holds up to [`CAPACITY`] objects. Lists grow and shrink by whole blocks, which come from a
//! pool of their own and return to it; the pool takes memory from the OS, 1 MiB at a time, and keeps it.
//!
//! Losing an entry would free a live object, so a list that cannot grow ends the process. To make that unlikely, the
//! pool keeps [`SPARE`] blocks in hand: it asks the OS for more as soon as fewer would remain, and hands the spare
//! ones out only while the OS refuses. Whoever is about to grow the heap calls `replenish` first, so that memory runs
//! out where it can be reported.
//!
//! A `NonNull<Block>` in this crate stands for its block's ownership: it is taken from the pool or comes from a list, and is not
//! used again once it has been given to the pool or to a list.

use super::{header::Object, os};
use crate::sync::{Mutex, const_fn, lock};
use std::{
    mem::MaybeUninit,
    ptr::{NonNull, null_mut},
};

/// Bytes of a block.
const BLOCK_SIZE: usize = if cfg!(graphgc_loom) { 32 } else { 8 << 10 };
/// Objects that a block holds.
pub(crate) const CAPACITY: usize = (BLOCK_SIZE - 2 * size_of::<usize>()) / size_of::<Object>();
/// Bytes that the pool takes from the OS at a time.
const CHUNK_SIZE: usize = if cfg!(graphgc_loom) { 4 << 10 } else { 1 << 20 };
const CHUNK_BLOCKS: usize = CHUNK_SIZE / BLOCK_SIZE;
/// Blocks that the pool keeps in hand while the OS gives more.
pub(crate) const SPARE: usize = 32;

/// A stack of objects of fixed capacity that can be linked into a list.
#[repr(C)]
pub(crate) struct Block {
    /// The next block of the list that this one is in.
    pub(crate) next: *mut Block,
    /// The first `len` entries are initialised.
    len: usize,
    entries: [MaybeUninit<Object>; CAPACITY],
}

const _: () = assert!(size_of::<Block>() == BLOCK_SIZE);

impl Block {
    /// Makes the memory at `block` an empty block; its entries are not touched.
    ///
    /// # Safety
    /// `block` points to memory for a block that nobody else uses.
    unsafe fn init(block: NonNull<Block>) {
        // SAFETY: by contract.
        unsafe {
            (&raw mut (*block.as_ptr()).next).write(null_mut());
            (&raw mut (*block.as_ptr()).len).write(0);
        }
    }

    /// The first entry of a block whose owner adds and takes entries by itself, up to [`CAPACITY`], and then says how many there are
    /// ([`set_len`](Self::set_len)).
    #[inline]
    pub(crate) fn entries(block: NonNull<Block>) -> NonNull<Object> {
        // SAFETY: a `NonNull<Block>` leads to a block (the module's head).
        unsafe { NonNull::new_unchecked((&raw mut (*block.as_ptr()).entries).cast()) }
    }

    /// Says how many entries there are.
    ///
    /// # Safety
    /// The first `len` entries are initialised.
    pub(crate) unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= CAPACITY);
        self.len = len;
    }

    /// Adds an object and says whether the block is full now. A full block must not be pushed to.
    #[inline]
    pub(crate) fn push(&mut self, object: Object) -> bool {
        self.entries[self.len].write(object);
        self.len += 1;
        self.is_full()
    }

    /// Takes the object that was pushed last.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Object> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the entry was below the old length, hence initialised.
        Some(unsafe { self.entries[self.len].assume_init() })
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Object] {
        // SAFETY: the first `len` entries are initialised.
        unsafe { std::slice::from_raw_parts(self.entries.as_ptr().cast(), self.len) }
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Where blocks come from and go to.
pub(crate) struct BlockPool {
    state: Mutex<State>,
}

struct State {
    /// Blocks given back.
    free: BlockList,
    /// The part of the newest chunk that has never been handed out.
    fresh: *mut Block,
    fresh_blocks: usize,
    chunks: usize,
}

// SAFETY: the pool owns the blocks that it points to.
unsafe impl Send for State {}

impl State {
    const fn new() -> Self {
        State { free: BlockList::new(), fresh: null_mut(), fresh_blocks: 0, chunks: 0 }
    }

    /// Blocks in hand.
    fn spare(&self) -> usize {
        self.free.len() + self.fresh_blocks
    }

    /// Has at least `blocks` blocks in hand, no more than a chunk has, if the OS gives them.
    fn provide(&mut self, blocks: usize) -> bool {
        self.spare() >= blocks || self.grow()
    }

    /// Takes a chunk from the OS. What is left of the chunk before joins the blocks given back.
    fn grow(&mut self) -> bool {
        let Some(chunk) = os::reserve(CHUNK_SIZE, BLOCK_SIZE) else { return false };
        if !os::commit(chunk, CHUNK_SIZE) {
            // SAFETY: nobody has seen it.
            unsafe { os::release(chunk, CHUNK_SIZE) };
            return false;
        }
        os::name(chunk, CHUNK_SIZE, c"graphgc lists");
        while let Some(block) = self.next_fresh() {
            self.free.push_front(block);
        }
        self.fresh = chunk.as_ptr().cast();
        self.fresh_blocks = CHUNK_BLOCKS;
        self.chunks += 1;
        true
    }

    /// Takes one of those in hand.
    fn take(&mut self) -> Option<NonNull<Block>> {
        self.free.pop_front().or_else(|| self.next_fresh())
    }

    /// Cuts a block off the newest chunk.
    fn next_fresh(&mut self) -> Option<NonNull<Block>> {
        self.fresh_blocks = self.fresh_blocks.checked_sub(1)?;
        let block = NonNull::new(self.fresh)?;
        self.fresh = self.fresh.wrapping_add(1);
        // SAFETY: committed memory that has not been handed out.
        unsafe { Block::init(block) };
        Some(block)
    }
}

impl BlockPool {
    const_fn! {
        pub(crate) fn new() -> Self {
            BlockPool { state: Mutex::new(State::new()) }
        }
    }

    /// An empty block; `None` if the OS refuses memory and no spare block is left.
    pub(crate) fn take(&self) -> Option<NonNull<Block>> {
        let state = &mut *lock(&self.state);
        state.provide(SPARE + 1);
        state.take()
    }

    /// An empty block that the pool can do without: its spare blocks are complete still.
    pub(crate) fn take_beyond_spare(&self) -> Option<NonNull<Block>> {
        let state = &mut *lock(&self.state);
        if state.provide(SPARE + 1) { state.take() } else { None }
    }

    /// Takes a block back, whatever is in it.
    ///
    /// # Safety
    /// The block was taken from this pool, is in no list, and nobody uses it any more.
    pub(crate) unsafe fn give(&self, block: NonNull<Block>) {
        let state = &mut *lock(&self.state);
        // SAFETY: by contract.
        unsafe { Block::init(block) };
        state.free.push_front(block);
    }

    /// Adds a block to a list, or its entries to the block at the list's front if they fit there: many threads that hand over a
    /// few entries each do not take a block each. True if the list has a block more.
    pub(crate) fn append(&self, list: &mut BlockList, block: NonNull<Block>) -> bool {
        if !list.absorb(block) {
            list.push_front(block);
            return true;
        }
        // SAFETY: the caller owned the block and has given it away; it is in no list.
        unsafe { self.give(block) };
        false
    }

    /// Tops the spare blocks up and says whether they are complete.
    pub(crate) fn replenish(&self) -> bool {
        lock(&self.state).provide(SPARE)
    }

    /// Bytes taken from the OS.
    pub(crate) fn committed_bytes(&self) -> usize {
        lock(&self.state).chunks * CHUNK_SIZE
    }
}

/// A list of blocks, linked through them. It owns its blocks but does not return them by itself.
pub(crate) struct BlockList {
    first: *mut Block,
    last: *mut Block,
    len: usize,
}

// SAFETY: the list owns its blocks.
unsafe impl Send for BlockList {}

impl BlockList {
    pub(crate) const fn new() -> Self {
        BlockList { first: null_mut(), last: null_mut(), len: 0 }
    }

    /// Puts a block at the front; it belongs to the list from now on.
    pub(crate) fn push_front(&mut self, block: NonNull<Block>) {
        // SAFETY: whoever has a `NonNull<Block>` owns the block (the module's head), and has just given it to us.
        unsafe { (*block.as_ptr()).next = self.first };
        if self.last.is_null() {
            self.last = block.as_ptr();
        }
        self.first = block.as_ptr();
        self.len += 1;
    }

    /// Puts a block at the back; it belongs to the list from now on.
    pub(crate) fn push_back(&mut self, block: NonNull<Block>) {
        // SAFETY: as above.
        unsafe { (*block.as_ptr()).next = null_mut() };
        // SAFETY: blocks in the list are the list's.
        match unsafe { self.last.as_mut() } {
            Some(last) => last.next = block.as_ptr(),
            None => self.first = block.as_ptr(),
        }
        self.last = block.as_ptr();
        self.len += 1;
    }

    /// Copies the entries of `block` into the front block. False, with nothing done, if there is no room.
    fn absorb(&mut self, block: NonNull<Block>) -> bool {
        // SAFETY: blocks in the list are the list's, and the other is the caller's.
        let (Some(front), block) = (unsafe { self.first.as_mut() }, unsafe { block.as_ref() }) else { return false };
        let fits = front.len + block.len <= CAPACITY;
        if fits {
            block.as_slice().iter().for_each(|object| _ = front.push(*object));
        }
        fits
    }

    /// Takes the front block, which belongs to the caller from now on.
    pub(crate) fn pop_front(&mut self) -> Option<NonNull<Block>> {
        let block = NonNull::new(self.first)?;
        // SAFETY: blocks in the list are the list's.
        self.first = unsafe { std::mem::replace(&mut (*block.as_ptr()).next, null_mut()) };
        if self.first.is_null() {
            self.last = null_mut();
        }
        self.len -= 1;
        Some(block)
    }

    /// Calls `f` with every object in the list.
    pub(crate) fn for_each(&self, mut f: impl FnMut(Object)) {
        self.for_each_block(|objects| objects.iter().copied().for_each(&mut f));
    }

    /// Calls `f` with the objects of each block in the list.
    pub(crate) fn for_each_block(&self, mut f: impl FnMut(&[Object])) {
        let mut next = self.first;
        // SAFETY: blocks in the list are the list's.
        while let Some(block) = unsafe { next.as_ref() } {
            f(block.as_slice());
            next = block.next;
        }
    }

    /// The number of blocks.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }
}

impl Default for BlockList {
    fn default() -> Self {
        BlockList::new()
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::{os::fault, *};
    use std::collections::HashSet;

    fn object(n: usize) -> Object {
        Object::new(NonNull::new(std::ptr::without_provenance_mut((n + 1) * 8)).unwrap())
    }

    #[test]
    fn a_block_is_a_stack() {
        let pool = BlockPool::new();
        let mut block = pool.take().unwrap();
        // SAFETY: ours until given back.
        let contents = unsafe { block.as_mut() };
        assert!(contents.is_empty() && contents.pop().is_none());
        for n in 0..CAPACITY {
            assert!(!contents.is_full());
            assert_eq!(contents.push(object(n)), n + 1 == CAPACITY);
        }
        assert!(contents.as_slice().iter().copied().eq((0..CAPACITY).map(object)));
        for n in (10..CAPACITY).rev() {
            assert_eq!(contents.pop(), Some(object(n)));
        }
        assert_eq!(contents.as_slice().len(), 10);
        // SAFETY: none is initialised.
        unsafe { contents.set_len(0) };
        assert!(contents.is_empty() && contents.as_slice().is_empty());
        contents.push(object(0));
        // SAFETY: not used any more.
        unsafe { pool.give(block) };
        let again = pool.take().unwrap();
        assert_eq!(again, block, "the one given back last comes first");
        // SAFETY: ours.
        assert!(unsafe { again.as_ref() }.is_empty());
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn a_full_block_takes_no_more() {
        let mut block = BlockPool::new().take().unwrap();
        // SAFETY: ours; chunks are never released.
        (0..=CAPACITY).for_each(|n| _ = unsafe { block.as_mut() }.push(object(n)));
    }

    #[test]
    fn blocks_are_distinct_and_reused() {
        let pool = BlockPool::new();
        let blocks: HashSet<_> = (0..3 * CHUNK_BLOCKS).map(|_| pool.take().unwrap()).collect();
        assert_eq!(blocks.len(), 3 * CHUNK_BLOCKS);
        let bytes = pool.committed_bytes();
        assert!(bytes <= 4 * CHUNK_SIZE);
        // SAFETY: not used any more.
        blocks.iter().for_each(|block| unsafe { pool.give(*block) });
        assert!((0..3 * CHUNK_BLOCKS).all(|_| blocks.contains(&pool.take().unwrap())));
        assert_eq!(pool.committed_bytes(), bytes);
    }

    #[test]
    fn spare_blocks_outlast_a_refusal() {
        let pool = BlockPool::new();
        (0..1000).for_each(|_| _ = pool.take().unwrap());
        fault::refuse_from(1);
        let beyond = std::iter::from_fn(|| pool.take_beyond_spare()).count();
        assert!((0..=CHUNK_BLOCKS).contains(&beyond), "{beyond}");
        assert!(pool.replenish() && pool.take_beyond_spare().is_none());
        assert_eq!(std::iter::from_fn(|| pool.take()).count(), SPARE);
        assert!(!pool.replenish());
        fault::allow();
        assert!(pool.replenish());
        assert!(pool.take().is_some());
    }

    #[test]
    fn a_refused_commit_leaves_nothing_behind() {
        let pool = BlockPool::new();
        fault::refuse_nth(2);
        assert!(!pool.replenish());
        assert_eq!(pool.committed_bytes(), 0);
        assert!(pool.replenish());
    }

    #[test]
    fn a_few_entries_join_those_at_the_front() {
        let pool = BlockPool::new();
        let mut list = BlockList::new();
        let block_with = |entries: std::ops::Range<usize>| {
            let mut block = pool.take().unwrap();
            // SAFETY: ours until given away.
            entries.for_each(|n| _ = unsafe { block.as_mut() }.push(object(n)));
            block
        };
        let grown: Vec<bool> = (0..CAPACITY + 1).map(|n| pool.append(&mut list, block_with(n..n + 1))).collect();
        assert_eq!(grown.iter().filter(|grown| **grown).count(), 2);
        assert!(!pool.append(&mut list, block_with(0..0)));
        assert!(pool.append(&mut list, block_with(0..CAPACITY)), "too many to join");
        let mut seen = 0;
        list.for_each(|_| seen += 1);
        assert_eq!((list.len(), seen), (3, 2 * CAPACITY + 1));
    }

    #[test]
    fn lists_keep_order_and_count() {
        let pool = BlockPool::new();
        let blocks: Vec<_> = (0..7).map(|_| pool.take().unwrap()).collect();
        let mut list = BlockList::new();
        assert!(list.is_empty() && list.pop_front().is_none());
        blocks.iter().rev().for_each(|block| list.push_front(*block));
        assert_eq!(list.len(), 7);
        assert!(std::iter::from_fn(|| list.pop_front()).eq(blocks.iter().copied()));
        assert_eq!(list.len(), 0);
        list.push_front(blocks[0]);
        assert_eq!(list.pop_front(), Some(blocks[0]));
        list.push_back(blocks[1]);
        list.push_back(blocks[2]);
        list.push_front(blocks[0]);
        assert_eq!(list.len(), 3);
        assert!(std::iter::from_fn(|| list.pop_front()).eq(blocks[..3].iter().copied()));
        list.push_back(blocks[3]);
        assert_eq!((list.pop_front(), list.pop_front()), (Some(blocks[3]), None));
    }

    #[test]
    fn threads_never_share_a_block() {
        let pool = BlockPool::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..500 {
                        let mut blocks = [(); 5].map(|()| pool.take().unwrap());
                        for block in &mut blocks {
                            // SAFETY: ours until given back.
                            unsafe { block.as_mut() }.push(object(thread * 1000 + round));
                        }
                        for block in blocks {
                            // SAFETY: ours until given back.
                            assert_eq!(unsafe { block.as_ref() }.as_slice(), [object(thread * 1000 + round)]);
                            // SAFETY: not used any more.
                            unsafe { pool.give(block) };
                        }
                    }
                });
            }
        });
    }
}
