//! Birth of a slice. As for other objects, but that its size is computed, and that its elements are moved in by the caller's code (of this crate).

use super::{LARGEST_ALIGNMENT, LARGEST_MOVE, Slot, allocate_slot, fill, find_slot};
use crate::{
    collector,
    heap::{
        OutOfMemory,
        central::span_class,
        header::{Object, RootWord},
        poison,
    },
    mutator::{Operation, pin},
    trace::{
        Trace, Tracer,
        slices::{DescribeSlice, SliceSlot, length_word},
        tracer::{Claim, Pass, SLICE},
        type_info::{encode, facts},
    },
};
use std::ptr::NonNull;

/// Why there is no slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SliceRefused {
    /// It would be larger than any address space.
    TooLarge,
    /// The OS refused memory for so many bytes.
    NoMemory(usize),
}

impl SliceRefused {
    /// How much was asked for.
    pub(crate) fn bytes(self) -> usize {
        match self {
            SliceRefused::TooLarge => usize::MAX,
            SliceRefused::NoMemory(bytes) => bytes,
        }
    }
}

/// Allocates a slice of `length` elements with root count 1, known under the name `U`. `move_in` is given the place of the first element and
/// moves all of them there; it is not called if memory is refused. `steps` says how many steps a walk over them takes.
///
/// # Safety
/// After `move_in` the place holds `length` elements, or `T` has nothing to trace and nothing to drop. `move_in` runs no code of users, and takes
/// no longer than copying the elements.
pub(crate) unsafe fn allocate_slice<T: Trace, U: ?Sized>(
    length: usize,
    steps: usize,
    move_in: impl FnOnce(NonNull<T>),
) -> Result<Object, SliceRefused> {
    const { assert!(align_of::<T>() <= LARGEST_ALIGNMENT, "graphgc: alignment above 16 MiB") };
    let slot = SliceSlot::of::<T>(length).ok_or(SliceRefused::TooLarge)?;
    let code = encode(DescribeSlice::<T, U>::INFO);
    let allocated = if slot.class == 0 || slot.size > LARGEST_MOVE || steps > SLICE {
        // SAFETY: by contract.
        unsafe { allocate_slice_in_slices(slot, code, length, move_in) }
    } else {
        // SAFETY: by contract.
        unsafe { allocate_slice_at_once(slot, code, length, move_in) }
    };
    allocated.map_err(|OutOfMemory| SliceRefused::NoMemory(slot.size))
}

/// # Safety
/// As for `allocate_slice`.
unsafe fn allocate_slice_at_once<T: Trace>(
    slot: SliceSlot,
    code: u32,
    length: usize,
    move_in: impl FnOnce(NonNull<T>),
) -> Result<Object, OutOfMemory> {
    let kind = DescribeSlice::<T, [T]>::KIND;
    let Slot { operation, address, has_entry, owed } = find_slot(None, span_class(slot.class, kind), slot.class, kind)?;
    // SAFETY: the slot is free, ours, and large enough.
    let object = unsafe { fill(address, RootWord::newborn(), code) };
    // SAFETY: as above; the rest by contract.
    unsafe { put_elements(object, length, move_in) };
    if facts::<T>().scan {
        // SAFETY: just written; nobody else knows of it.
        unsafe { claim_elements::<T>(object, length, Pass::Claim(&operation)) };
    }
    if !has_entry {
        operation.born(object);
    }
    drop(operation);
    if owed > 0 {
        collector::after_allocation(owed);
    }
    Ok(object)
}

/// # Safety
/// As for `allocate_slice`.
#[cold]
#[inline(never)]
unsafe fn allocate_slice_in_slices<T: Trace>(
    slot: SliceSlot,
    code: u32,
    length: usize,
    move_in: impl FnOnce(NonNull<T>),
) -> Result<Object, OutOfMemory> {
    let pin = pin::pin();
    let (object, owed) = allocate_slot(slot.size, align_of::<T>(), slot.class, DescribeSlice::<T, [T]>::KIND, code)?;
    // SAFETY: the slot is ours and large enough; the pin keeps it. The rest by contract.
    unsafe { put_elements(object, length, move_in) };
    if facts::<T>().scan {
        let mut claim = Claim::new(Operation::enter());
        // SAFETY: just written; nobody else knows of it.
        unsafe { claim_elements::<T>(object, length, Pass::ClaimInSlices(&mut claim)) };
    }
    Operation::enter().count_up(object);
    drop(pin);
    if owed > 0 {
        // Only now: it may wait for the marker, which may wait for the pin.
        collector::after_allocation(owed);
    }
    Ok(object)
}

/// # Safety
/// The object is a new slice of `length` elements that nobody else knows of, in a slot that is large enough; the rest as for `allocate_slice`.
unsafe fn put_elements<T: Trace>(object: Object, length: usize, move_in: impl FnOnce(NonNull<T>)) {
    if DescribeSlice::<T, [T]>::HAS_LENGTH {
        // SAFETY: by contract; this slice has such a word.
        let word = unsafe { length_word(object) };
        // At the end of a large object's last page it is no part of what was asked for.
        poison::unpoison(word.as_ptr().cast(), size_of::<usize>());
        // SAFETY: as above.
        unsafe { word.write(length) };
    }
    // SAFETY: by contract.
    move_in(unsafe { object.payload(align_of::<T>()).cast() });
}

/// # Safety
/// The object is a new slice of `length` elements that nobody else knows of.
unsafe fn claim_elements<T: Trace>(object: Object, length: usize, pass: Pass<'_>) {
    // SAFETY: by contract.
    let elements =
        unsafe { NonNull::slice_from_raw_parts(object.payload(align_of::<T>()).cast::<T>(), length).as_ref() };
    elements.trace(&mut Tracer::new(pass));
}
