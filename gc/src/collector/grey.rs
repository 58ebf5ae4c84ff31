//! Grey objects: marked, not yet traced.
//!
//! Each thread that shades puts what it greys into a block of its own; full blocks go to a list that all share, and markers
//! take blocks from there. Nothing is grey anywhere when the shared list is empty, no marker holds a block, and (looked at
//! with the world stopped) every thread's own block is empty. S2 asks exactly that.
//!
//! A marker says that it holds something *before* it takes a block, so an empty list with no holders stays so while the
//! world is stopped. And while anyone holds a grey object no S2 can succeed: the cycle's number, hence the bitmap to mark
//! in, is read after taking.

use super::{ephemerons::WAITING, pacer::PACER};
use crate::{
    heap::{
        HEAP,
        arena::Arena,
        blocks::{Block, BlockList},
        header::Object,
    },
    observe::stats::TOTALS,
    sync::{AtomicU64, AtomicUsize, Mutex, Ordering, const_fn, global, lock, sleep},
    trace::type_info::SlotFacts,
};
use std::{mem, ptr::NonNull, time::Duration};

/// How long an object that was given up for a writer is left alone.
const LEAD_OF_A_WRITER: Duration = Duration::from_micros(200);

global! {
    /// The shared list.
    pub(crate) static GREY: Grey = Grey::new();
}

pub(crate) struct Grey {
    blocks: Mutex<Lists>,
    /// Markers that hold, or are about to hold, grey objects.
    holders: AtomicUsize,
    /// Blocks in the lists; a hint outside the lock.
    waiting: AtomicUsize,
}

struct Lists {
    ready: BlockList,
    /// Objects that an assist found too large: for the worker.
    for_worker: BlockList,
    /// Objects that a marker gave up because a writer was waiting: for the worker, when there is nothing else.
    given_up: BlockList,
}

impl Grey {
    const_fn! {
        fn new() -> Self {
            Grey {
                blocks: Mutex::new(Lists {
                    ready: BlockList::new(),
                    for_worker: BlockList::new(),
                    given_up: BlockList::new(),
                }),
                holders: AtomicUsize::new(0),
                waiting: AtomicUsize::new(0),
            }
        }
    }

    /// Announces a holder. Must come before `take`.
    pub(crate) fn begin_holding(&self) {
        self.holders.fetch_add(1, Ordering::SeqCst);
    }

    /// The holder has given everything back or traced it.
    pub(crate) fn end_holding(&self) {
        self.holders.fetch_sub(1, Ordering::SeqCst);
    }

    /// A block of grey objects; the worker also takes what others left to it.
    pub(crate) fn take(&self, worker: bool) -> Option<NonNull<Block>> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut lists = lock(&self.blocks);
        let mut block = lists.ready.pop_front();
        if block.is_none() && worker {
            block = lists.for_worker.pop_front();
            if block.is_none() && !lists.given_up.is_empty() {
                drop(lists);
                // The writer has been woken; without this it could lose the race to its cell again and again.
                sleep(LEAD_OF_A_WRITER);
                block = lock(&self.blocks).given_up.pop_front();
            }
        }
        if block.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        block
    }

    /// Adds a block of grey objects.
    pub(crate) fn give(&self, block: NonNull<Block>) {
        let mut lists = lock(&self.blocks);
        if HEAP.blocks.append(&mut lists.ready, block) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds a block of grey objects that the worker alone shall trace: at once if they are merely large, otherwise
    /// after giving the writer that waits a lead.
    pub(crate) fn leave_to_worker(&self, block: NonNull<Block>, large: bool) {
        let mut lists = lock(&self.blocks);
        if large {
            lists.for_worker.push_front(block);
        } else {
            lists.given_up.push_front(block);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// No block is in the list and nobody holds any.
    pub(crate) fn is_idle(&self) -> bool {
        let lists = lock(&self.blocks);
        lists.ready.is_empty()
            && lists.for_worker.is_empty()
            && lists.given_up.is_empty()
            && self.holders.load(Ordering::SeqCst) == 0
    }

    /// Whether there may be a block to take; a hint.
    pub(crate) fn has_blocks(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }
}

/// One thread's grey objects.
pub(crate) struct GreyBuffer {
    block: Option<NonNull<Block>>,
    /// What has been marked since it was last handed over.
    bytes: usize,
    objects: usize,
}

impl GreyBuffer {
    pub(crate) const fn new() -> Self {
        GreyBuffer { block: None, bytes: 0, objects: 0 }
    }

    fn push(&mut self, object: Object) {
        let mut block = *self.block.get_or_insert_with(|| HEAP.take_block());
        // SAFETY: the block is ours until given away.
        if unsafe { block.as_mut() }.push(object) {
            GREY.give(block);
            self.block = None;
        }
    }

    /// Hands over what is in it. True if there was anything.
    pub(crate) fn flush(&mut self) -> bool {
        if self.objects > 0 {
            let (bytes, objects) = (mem::take(&mut self.bytes), mem::take(&mut self.objects));
            PACER.pay(bytes);
            TOTALS.marked(bytes, objects);
        }
        let Some(block) = self.block.take() else { return false };
        // SAFETY: the block is ours.
        if unsafe { block.as_ref() }.is_empty() {
            // SAFETY: as above; nobody else has it.
            unsafe { HEAP.blocks.give(block) };
            return false;
        }
        GREY.give(block);
        true
    }
}

/// The cycle that is marking, counted from 1: its parity is that of the bitmap that takes the marks.
#[inline]
pub(crate) fn marked_cycle() -> usize {
    HEAP.cycle() as usize + 1
}

/// Sets the object's mark bit; true if it was clear.
///
/// # Safety
/// The object is allocated, and this is marking with S2 kept off by the caller (an operation, or a grey object held).
#[inline]
pub(crate) unsafe fn set_mark(object: Object, parity: usize) -> bool {
    // SAFETY: by contract.
    let (word, mask) = unsafe { mark_bit(object, parity) };
    // In one order with who waits for the mark (`ephemerons`).
    word.load(Ordering::Relaxed) & mask == 0 && word.fetch_or(mask, Ordering::SeqCst) & mask == 0
}

/// The word with the object's bit in bitmap `parity`, and the bit.
///
/// # Safety
/// The object is in a live arena, which stays for `'a`.
#[inline]
pub(crate) unsafe fn mark_bit<'a>(object: Object, parity: usize) -> (&'a AtomicU64, u64) {
    // SAFETY: by contract.
    unsafe {
        let bit = Arena::bit_of(object.as_ptr().cast());
        (bit.word(parity), bit.mask)
    }
}

/// The barrier's shade: marks the object and greys it if it can hold handles or ephemerons wait for it. In an operation, while marking.
pub(crate) fn shade(object: Object, buffer: &mut GreyBuffer) {
    #[cfg(debug_assertions)]
    if fault::skips() {
        return;
    }
    // SAFETY: whoever shades has the object from a live edge or handle, in an operation.
    let (word, mask) = unsafe { mark_bit(object, marked_cycle()) };
    if word.load(Ordering::Relaxed) & mask == 0 {
        shade_white(object, buffer);
    }
}

/// The same for an object that was not marked a moment ago. Out of line: most are marked, and to see that takes no more than a few registers.
#[inline(never)]
fn shade_white(object: Object, buffer: &mut GreyBuffer) {
    // SAFETY: the caller shades: it has the object from a live edge or handle, in an operation.
    unsafe {
        if set_mark(object, marked_cycle()) {
            let facts = SlotFacts::of_object(object);
            buffer.bytes += facts.slot_bytes(object);
            buffer.objects += 1;
            if facts.scan || WAITING.may_wait_for(object) {
                buffer.push(object);
            }
        }
    }
}

/// Makes the barriers forget to shade, so that tests see the checkmark mode notice. In builds with debug assertions only.
#[cfg(debug_assertions)]
pub(crate) mod fault {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    static SKIP: AtomicBool = AtomicBool::new(false);

    /// From now on barriers shade nothing, or do again.
    pub(crate) fn skip(on: bool) {
        SKIP.store(on, Relaxed);
    }

    pub(super) fn skips() -> bool {
        SKIP.load(Relaxed)
    }
}
