//! Birth of an object: find a slot, move the value in, claim the handles in it, log it as a root.
//!
//! For a type that holds few handles and is small all of that is one operation. Otherwise the thread takes an internal
//! pin and works in slices: first the slot (so that an object born black is so before its handles are claimed, each of which
//! is then shaded), then the value, then the claims, and only at the end is the object counted and logged.
//! Until then nobody knows of it: the marker never sees it, and S2 waits for the pin.
//!
//! A slice is born in the same way (`slices`); the size of its slot is computed at run time.
//!
//! An object may also be born for a pinned scope (`Guard::alloc`): with count 0, not logged, kept by the user's pin alone.

mod slices;

pub(crate) use slices::{SliceRefused, allocate_slice};

use super::{Operation, pin};
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
        type_info::{Describe, encode, facts, object_size},
    },
};
use std::ptr::NonNull;

/// Larger values are moved outside any operation.
const LARGEST_MOVE: usize = 4096;
/// The largest alignment that an object may ask for: its header must lie in the first 64 MiB of its mapping.
const LARGEST_ALIGNMENT: usize = 16 << 20;

/// What keeps an object when it is born.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birth {
    /// A counted handle, for which it is logged.
    Counted,
    /// A pin of the caller's.
    Pinned,
}

/// Allocates `value`; gives it back if the OS refuses memory.
#[inline]
pub(crate) fn allocate<T: Trace>(value: T, birth: Birth) -> Result<Object, T> {
    const { assert!(align_of::<T>() <= LARGEST_ALIGNMENT, "graphgc: alignment above 16 MiB") };
    if const { Describe::<T>::KIND.finalize && Describe::<T>::OWNER.is_none() } {
        collector::ensure_finalizer_started();
    }
    if fits_one_slice(&value) { allocate_at_once(value, birth) } else { allocate_in_slices(value, birth) }
}

/// Whether moving the value and claiming its handles is short enough for one operation.
#[inline]
fn fits_one_slice<T: Trace>(value: &T) -> bool {
    if Describe::<T>::CLASS == 0 || size_of::<T>() > LARGEST_MOVE {
        return false;
    }
    if facts::<T>().steps <= SLICE {
        return true;
    }
    let mut count = StepCount::default();
    value.trace(&mut Tracer::new(Pass::Visit(&mut count)));
    count.steps <= SLICE
}

#[inline]
fn allocate_at_once<T: Trace>(value: T, birth: Birth) -> Result<Object, T> {
    let class = const { span_class(Describe::<T>::CLASS, Describe::<T>::KIND) };
    let code = encode(Describe::<T>::INFO);
    let owner = owner::<T>();
    let Ok(Slot { operation, address, owed }) = find_slot(class, Describe::<T>::CLASS, Describe::<T>::KIND) else {
        return Err(value);
    };
    // SAFETY: the slot is free, ours, and of the class for this layout.
    let object = unsafe { fill(address, roots_at(birth), code) };
    // SAFETY: as above.
    let payload = unsafe { object.payload(align_of::<T>()).cast::<T>() };
    // SAFETY: as above.
    unsafe { payload.write(value) };
    // SAFETY: as above.
    unsafe { write_owner(payload, owner) };
    if facts::<T>().scan {
        // SAFETY: just written; nobody else knows of it.
        unsafe { payload.as_ref() }.trace(&mut Tracer::new(Pass::Claim(&operation)));
    }
    if birth == Birth::Counted {
        operation.born(object);
    }
    drop(operation);
    if owed > 0 {
        collector::after_allocation(owed);
    }
    Ok(object)
}

#[inline]
fn roots_at(birth: Birth) -> RootWord {
    match birth {
        Birth::Counted => RootWord::newborn(),
        Birth::Pinned => RootWord::new(0),
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
    /// Bytes of the run that was acquired for it, if one was: what assists and the pacer are told of.
    owed: usize,
}

/// Finds a slot of the span class, which is that of size class `class` and `kind`.
#[inline]
fn find_slot(span_class: usize, class: usize, kind: Kind) -> Result<Slot, OutOfMemory> {
    let mut operation = Operation::try_enter()?;
    match operation.local_mut().cache.allocate(span_class, size_class::SIZES[class] as usize) {
        Some(address) => Ok(Slot { operation, address, owed: 0 }),
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
    let Ok(object) = allocate_slot(size, align_of::<T>(), Describe::<T>::CLASS, Describe::<T>::KIND, code) else {
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
    if Describe::<T>::CLASS == 0 {
        // Only now: it may wait for the marker, which may wait for the pin.
        collector::after_allocation(size);
    }
    Ok(object)
}

/// A slot of `size` bytes with a header of count 0, not logged: the caller's pin protects it.
fn allocate_slot(size: usize, align: usize, class: usize, kind: Kind, code: u32) -> Result<Object, OutOfMemory> {
    if class == 0 {
        return allocate_large(size, align, kind, code);
    }
    let slot = find_slot(span_class(class, kind), class, kind)?;
    // SAFETY: the slot is free, ours, and has room for a header.
    let object = unsafe { fill(slot.address, RootWord::new(0), code) };
    drop(slot.operation);
    if slot.owed > 0 {
        collector::after_allocation(slot.owed);
    }
    Ok(object)
}

fn allocate_large(size: usize, align: usize, kind: Kind, code: u32) -> Result<Object, OutOfMemory> {
    collector::before_large(size);
    let operation = Operation::try_enter()?;
    let object = HEAP.allocate_large(size, align, kind, operation.phase.is_marking(), |slot| {
        // SAFETY: the span is ours alone and starts with this slot.
        unsafe { fill(slot, RootWord::new(0), code) };
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
        let cache = &mut operation.local_mut().cache;
        match cache.refill(&HEAP, class, kind, black) {
            Refill::Ready(owed) => {
                let slot = cache.allocate(span_class, size_class::SIZES[class] as usize);
                let address = slot.expect("a run has just been acquired");
                return Ok(Slot { operation, address, owed });
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
