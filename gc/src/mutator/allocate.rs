//! Birth of an object: find a slot, move the value in, claim the handles in it, make its root entry.
//!
//! For a type that holds few handles and is small all of that is one operation. Otherwise the thread takes an internal
//! pin and works in slices: first the slot (so that an object born black is so before its handles are claimed, each of which
//! is then shaded), then the value, then the claims, and only at the end is the object counted, with an entry.
//! Until then nobody knows of it: the marker never sees it, and S2 waits for the pin.
//!
//! Most objects are born on a short path that is compiled into the caller: the thread's record is known and up to date, there is a slot at hand and
//! room for the entry. Whatever is missing there is seen to off that path (`allocate_slowly`), which gives nothing back to it and gets the value from a place of its
//! own: so the value goes from the caller's registers into the slot.
//!
//! A slice is born in the same way (`slices`); the size of its slot is computed at run time.
//!
//! An object may also be born for a pinned scope (`Guard::alloc`): with count 0, without an entry, kept by the user's pin alone.

mod slices;

pub(crate) use slices::{SliceRefused, allocate_slice};

use super::{Operation, pin, record::Local};
use crate::{
    collector::{
        self,
        finalize::local::{set_owner, this_thread},
    },
    heap::{
        HEAP, OutOfMemory,
        cache::Refill,
        central::span_class,
        header::{Header, Object, RootWord},
        kind::Kind,
        size_class,
    },
    trace::{
        Trace, Tracer,
        tracer::{Claim, Pass, SLICE, StepCount},
        type_info::{Describe, encode, encode_distance, facts, object_size},
    },
};
use std::{mem::ManuallyDrop, ptr::NonNull};

/// Larger values are moved outside any operation.
const LARGEST_MOVE: usize = 4096;
/// The largest alignment that an object may ask for: its header must lie in the first 64 MiB of its mapping.
const LARGEST_ALIGNMENT: usize = 16 << 20;
/// The walk over a value of no more steps is compiled into the caller of `Gc::new`.
const INLINE_STEPS: usize = 4;

/// What keeps an object when it is born.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birth {
    /// A counted handle, for which it has an entry.
    Counted,
    /// A pin of the caller's.
    Pinned,
}

/// Allocates `value` on the short path and gives `born` the object; if anything is missing calls `slowly`, which is to call [`allocate_slowly`] out of line,
/// with the operation that has been entered, if any, and the value.
#[inline(always)]
pub(crate) fn allocate<T: Trace, R>(
    value: T,
    birth: Birth,
    born: impl FnOnce(Object) -> R,
    slowly: impl FnOnce(Option<Operation>, &mut Option<T>) -> R,
) -> R {
    const { assert!(align_of::<T>() <= LARGEST_ALIGNMENT, "graphgc: alignment above 16 MiB") };
    // If anything panicked on the short path the value would be leaked. As it is, nothing on it needs the value's address.
    let value = ManuallyDrop::new(value);
    let mut entered = None;
    if const { !Describe::<T>::KIND.finalize }
        && fits_one_slice(&*value)
        && let Some(code) = encode_distance(Describe::<T>::INFO)
        && let Some(mut operation) = Operation::enter_at_once()
    {
        // What holds handles is part of something that stays more often than what does not: then there are few vacant slots.
        let vacant_last = const { facts::<T>().scan };
        if !vacant_last && let Some(slot) = vacant_slot::<T>(&mut operation) {
            // SAFETY: the slot is vacant.
            return born(unsafe { fill_vacant(slot, code, value, birth, operation) });
        }
        let local = operation.local_mut();
        if (birth == Birth::Pinned || local.candidates.has_room())
            && let Some(slot) = local.cache.allocate(Describe::<T>::SPAN_CLASS, Describe::<T>::SLOT_BYTES as usize)
        {
            let value = ManuallyDrop::into_inner(value);
            // SAFETY: the slot is free, ours, and of the class for this layout. The type has no owner.
            let object = unsafe { fill_with(slot, code, value, birth, None, &operation) };
            if birth == Birth::Counted {
                // SAFETY: there was room, and since then the value has been traced, which by the contract of `Trace` does nothing else: that has at most taken
                // entries back.
                unsafe { operation.local_mut().candidates.push_into_room(object) };
            }
            operation.end_at_once();
            return born(object);
        }
        if vacant_last && let Some(slot) = vacant_slot::<T>(&mut operation) {
            // SAFETY: the slot is vacant.
            return born(unsafe { fill_vacant(slot, code, value, birth, operation) });
        }
        entered = Some(operation);
    }
    slowly(entered, &mut Some(ManuallyDrop::into_inner(value)))
}

/// The vacant slot for a `T` that is the next to be taken.
#[inline(always)]
fn vacant_slot<T: Trace>(operation: &mut Operation) -> Option<NonNull<u8>> {
    if const { !Describe::<T>::REUSE.can_be_vacant() } {
        return None;
    }
    operation.local_mut().cache.occupy(Describe::<T>::SPAN_CLASS, Describe::<T>::SLOT_BYTES as usize)
}

/// Makes `value`, whose type has no owner, an object in `slot`, which has its entry already, and ends the operation.
///
/// # Safety
/// The slot is [`vacant_slot`]'s for a `T`, in this operation.
#[inline(always)]
unsafe fn fill_vacant<T: Trace>(
    slot: NonNull<u8>,
    code: u32,
    value: ManuallyDrop<T>,
    birth: Birth,
    operation: Operation,
) -> Object {
    // SAFETY: by contract.
    let object = unsafe { fill_with(slot, code, ManuallyDrop::into_inner(value), birth, None, &operation) };
    operation.end_at_once();
    object
}

/// Allocates the value, in a slice of the operation `entered` or others; gives it back if the OS refuses memory.
pub(crate) fn allocate_slowly<T: Trace>(
    entered: Option<Operation>,
    value: &mut Option<T>,
    birth: Birth,
) -> Result<Object, T> {
    let value = value.take().expect("the value is moved once");
    if const { Describe::<T>::KIND.finalize && Describe::<T>::OWNER.is_none() } {
        collector::ensure_finalizer_started();
    }
    if fits_one_slice(&value) {
        return allocate_at_once(entered, value, birth);
    }
    drop(entered);
    allocate_in_slices(value, birth)
}

/// Whether moving the value and claiming its handles is short enough for one operation.
#[inline(always)]
fn fits_one_slice<T: Trace>(value: &T) -> bool {
    if const { Describe::<T>::CLASS == 0 || size_of::<T>() > LARGEST_MOVE } {
        return false;
    }
    let few = const { facts::<T>().steps <= SLICE };
    few || has_few_handles(value)
}

#[inline]
fn has_few_handles<T: Trace>(value: &T) -> bool {
    let mut count = StepCount::default();
    value.trace(&mut Tracer::new(Pass::Visit(&mut count)));
    count.steps <= SLICE
}

fn allocate_at_once<T: Trace>(entered: Option<Operation>, value: T, birth: Birth) -> Result<Object, T> {
    let (code, owner) = (encode(Describe::<T>::INFO), owner::<T>());
    let Ok(Slot { operation, address, has_entry, owed }) =
        find_slot(entered, Describe::<T>::SPAN_CLASS, Describe::<T>::CLASS, Describe::<T>::KIND)
    else {
        return Err(value);
    };
    // SAFETY: the slot is free, ours, and of the class for this layout.
    let object = unsafe { fill_with(address, code, value, birth, owner, &operation) };
    if birth == Birth::Counted && !has_entry {
        operation.born(object);
    }
    drop(operation);
    if owed > 0 {
        collector::after_allocation(owed);
    }
    Ok(object)
}

/// Makes `value` an object in `slot`, all in the operation; the caller makes the entry.
///
/// # Safety
/// `slot` is a free slot of the caller's, of the class for a `T`.
#[inline(always)]
unsafe fn fill_with<T: Trace>(
    slot: NonNull<u8>,
    code: u32,
    value: T,
    birth: Birth,
    owner: Option<u64>,
    operation: &Operation,
) -> Object {
    // SAFETY: by contract.
    let object = unsafe { fill(slot, roots_at(birth), code) };
    // SAFETY: by contract.
    let payload = unsafe { object.payload(align_of::<T>()).cast::<T>() };
    // SAFETY: by contract.
    unsafe { payload.write(value) };
    // SAFETY: by contract.
    unsafe { write_owner(payload, owner) };
    if const { facts::<T>().scan } {
        // SAFETY: just written; nobody else knows of it.
        let value = unsafe { payload.as_ref() };
        if const { facts::<T>().steps <= INLINE_STEPS } {
            value.trace(&mut Tracer::new(Pass::Claim(operation)));
        } else {
            claim(value, operation);
        }
    }
    object
}

/// Claims the handles of a value that may have many.
#[inline(never)]
fn claim<T: Trace>(value: &T, operation: &Operation) {
    value.trace(&mut Tracer::new(Pass::Claim(operation)));
}

#[inline]
fn roots_at(birth: Birth) -> RootWord {
    match birth {
        Birth::Counted => RootWord::newborn(),
        Birth::Pinned => RootWord::new(),
    }
}

/// The number of the thread that is to finalize the object, if it is to be one that has made it: this one.
#[inline]
fn owner<T: Trace>() -> Option<u64> {
    const { Describe::<T>::OWNER.is_some() }.then(this_thread)
}

/// Notes it behind the payload.
///
/// # Safety
/// The payload is in a slot of the caller's, for a `T`.
#[inline]
unsafe fn write_owner<T: Trace>(payload: NonNull<T>, owner: Option<u64>) {
    if let (Some(offset), Some(owner)) = (const { Describe::<T>::OWNER }, owner) {
        // SAFETY: by contract; the slot has room for the number there.
        unsafe { set_owner(payload.cast(), offset, owner) };
    }
}

/// A free slot, and the operation in which it was found.
struct Slot {
    operation: Operation,
    address: NonNull<u8>,
    /// Whether it was vacant: there is an entry for the object that is born in it.
    has_entry: bool,
    /// Bytes that the cache told of, if it did: what is to be paid for.
    owed: usize,
}

/// Finds a slot of the span class, which is that of size class `class` and `kind`.
fn find_slot(entered: Option<Operation>, span_class: usize, class: usize, kind: Kind) -> Result<Slot, OutOfMemory> {
    let mut operation = entered.map_or_else(Operation::try_enter, Ok)?;
    let (cache, size) = (&mut operation.local_mut().cache, size_class::SIZES[class] as usize);
    if let Some(address) = cache.occupy(span_class, size) {
        return Ok(Slot { operation, address, has_entry: true, owed: 0 });
    }
    match cache.allocate(span_class, size) {
        Some(address) => Ok(Slot { operation, address, has_entry: false, owed: 0 }),
        None => refill(operation, span_class, class, kind),
    }
}

#[cold]
#[inline(never)]
fn allocate_in_slices<T: Trace>(value: T, birth: Birth) -> Result<Object, T> {
    let pin = pin::pin();
    let code = encode(Describe::<T>::INFO);
    let owner = owner::<T>();
    let size = const { object_size(Describe::<T>::LAYOUT) };
    let Ok((object, owed)) = allocate_slot(size, align_of::<T>(), Describe::<T>::CLASS, Describe::<T>::KIND, code)
    else {
        return Err(value);
    };
    // SAFETY: the slot is ours and of the class for this layout; the pin keeps it.
    let payload = unsafe { object.payload(align_of::<T>()).cast::<T>() };
    // SAFETY: as above.
    unsafe { payload.write(value) };
    // SAFETY: as above.
    unsafe { write_owner(payload, owner) };
    if facts::<T>().scan {
        let mut claim = Claim::new(Operation::enter());
        // SAFETY: just written; nobody else knows of it.
        unsafe { payload.as_ref() }.trace(&mut Tracer::new(Pass::ClaimInSlices(&mut claim)));
    }
    if birth == Birth::Counted {
        Operation::enter().count_up(object);
    }
    drop(pin);
    if owed > 0 {
        // Only now: it may wait for the marker, which may wait for the pin.
        collector::after_allocation(owed);
    }
    Ok(object)
}

/// A slot of `size` bytes with a header of count 0, without an entry: the caller's pin protects it. And the bytes that are to be paid for.
fn allocate_slot(
    size: usize,
    align: usize,
    class: usize,
    kind: Kind,
    code: u32,
) -> Result<(Object, usize), OutOfMemory> {
    if class == 0 {
        return Ok((allocate_large(size, align, kind, code)?, size));
    }
    let slot = find_slot(None, span_class(class, kind), class, kind)?;
    // SAFETY: the slot is free, ours, and has room for a header.
    let object = unsafe { fill(slot.address, RootWord::new(), code) };
    Ok((object, slot.owed))
}

fn allocate_large(size: usize, align: usize, kind: Kind, code: u32) -> Result<Object, OutOfMemory> {
    collector::before_large(size);
    let operation = Operation::try_enter()?;
    let object = HEAP.allocate_large(size, align, kind, operation.phase.is_marking(), |slot| {
        // SAFETY: the span is ours alone and starts with this slot.
        unsafe { fill(slot, RootWord::new(), code) };
    });
    drop(operation);
    object.ok_or(OutOfMemory)
}

/// Writes the header of a new object.
///
/// # Safety
/// `slot` is a free slot of the caller's.
#[inline]
unsafe fn fill(slot: NonNull<u8>, roots: RootWord, code: u32) -> Object {
    let header = slot.cast::<Header>();
    // SAFETY: by contract; slots are aligned to eight bytes and hold at least a header.
    unsafe { header.write(Header { roots, code }) };
    Object::new(header)
}

/// Gets the span class a new run and takes the first slot of it, dropping dead values of spans that are swept on the way.
///
/// The slot is taken in the operation that acquired the run: a record that is borrowed for one operation keeps nothing for the next.
#[cold]
#[inline(never)]
fn refill(mut operation: Operation, span_class: usize, class: usize, kind: Kind) -> Result<Slot, OutOfMemory> {
    loop {
        let black = operation.phase.is_marking();
        let Local { cache, untold, round, .. } = operation.local_mut();
        match cache.refill(untold, round, &HEAP, class, kind, black) {
            Refill::Ready(owed) => {
                if HEAP.pages.is_untouched() {
                    // Nobody is to wait for that.
                    drop(operation);
                    HEAP.pages.touch_ahead();
                    operation = Operation::try_enter()?;
                }
                let slot = operation.local_mut().cache.allocate(span_class, size_class::SIZES[class] as usize);
                if let Some(address) = slot {
                    return Ok(Slot { operation, address, has_entry: false, owed });
                }
                // The phase has changed meanwhile, and the run is given back.
            }
            Refill::Sweep(span) => {
                drop(operation);
                collector::sweep::sweep_for_mutator(span);
                operation = Operation::try_enter()?;
            }
            Refill::NoMemory => return Err(OutOfMemory),
        }
    }
}
