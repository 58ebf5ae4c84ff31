//! The constant that describes an object's type, and the 32-bit code by which a header names it.
//!
//! A header has four bytes for the type. Descriptors are constants of the program's image, so the distance from an anchor
//! in the same image names almost every one of them: no table, no registration, one addition to decode. A
//! descriptor that lies further away (a type from a dynamically loaded library) gets a row in a table.
//!
//! The size of a slot is part of the description, but for slices (see `trace::slices`): there the span knows.

use super::{Facts, Info, Trace, Tracer, finalize::Finalizer, tracer::Pass};
use crate::collector::mark::Marker;
use crate::heap::{
    cache::SMALLEST_VACANT,
    central::span_class,
    header::{Object, payload_offset},
    kind::{DropKind, Kind},
    size_class,
    span::Span,
};
use std::{alloc::Layout, ptr::NonNull};

/// What the collector knows of a type at run time.
#[repr(C, align(8))]
pub(crate) struct TypeInfo {
    /// `trace` for the marker alone: what is decided by pass is decided when it is compiled.
    pub(super) mark: unsafe fn(Object, &mut Marker),
    pub(super) trace: unsafe fn(Object, &mut Tracer<'_>),
    pub(super) drop_swept: unsafe fn(Object),
    /// Runs the finalizer.
    pub(super) finalize: unsafe fn(Object),
    pub(super) slot: SlotShape,
    /// See `SlotToReuse`.
    pub(super) reuse: SlotToReuse,
    /// The payload's.
    pub(super) align: usize,
    pub(crate) kind: Kind,
    /// Where the number of the thread that is to run the finalizer lies, in bytes from the header, if that is not the collector's.
    pub(crate) owner: Option<usize>,
    /// While the finalizer is due: the descriptor that the object's header leads to once it has been handed over, the same but for this.
    pub(crate) due: Option<&'static TypeInfo>,
    /// A function, since names are no constants.
    pub(super) name: fn() -> &'static str,
}

/// What is known of the slots of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SlotShape {
    /// All are of this size class and take as many bytes.
    Constant { class: usize, bytes: u32 },
    /// Each object has a slot for its own length.
    BySpan,
}

/// The slot of an object as its type knows it: all that is looked at when the object ends as a newborn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlotToReuse {
    pub(crate) span_class: u32,
    /// 0 if the slot can never be vacant, 1 if that takes a closer look.
    pub(crate) bytes: u32,
}

impl SlotToReuse {
    pub(super) const UNKNOWN: SlotToReuse = SlotToReuse { span_class: 0, bytes: 1 };
    const NEVER: SlotToReuse = SlotToReuse { span_class: 0, bytes: 0 };

    /// That of slots of the size class and kind. A value that needs dropping keeps its slot until then, as does one in a slot too small for the link to the next, or in
    /// a span of its own.
    const fn of(class: usize, kind: Kind, bytes: usize) -> SlotToReuse {
        if class == 0 || bytes < SMALLEST_VACANT || !matches!(kind.drop, DropKind::None) {
            return SlotToReuse::NEVER;
        }
        SlotToReuse { span_class: span_class(class, kind) as u32, bytes: bytes as u32 }
    }

    /// Whether the slot can be vacant.
    #[inline]
    pub(crate) const fn can_be_vacant(self) -> bool {
        self.bytes >= SMALLEST_VACANT as u32
    }

    /// Whether that takes a closer look.
    #[inline]
    pub(crate) const fn is_unknown(self) -> bool {
        self.bytes == 1
    }
}

/// Bytes of header and payload together.
pub(crate) const fn object_size(layout: Layout) -> usize {
    payload_offset(layout.align()) + layout.size()
}

/// The size class for an object of this layout, 0 if it is large.
pub(crate) const fn class_for(layout: Layout) -> usize {
    size_class::class_of(object_size(layout), layout.align())
}

/// Bytes that an object of this layout takes: its slot, or whole pages.
const fn slot_bytes(layout: Layout) -> u32 {
    let class = class_for(layout);
    let bytes = if class == 0 {
        object_size(layout).next_multiple_of(crate::heap::arena::PAGE_SIZE)
    } else {
        size_class::SIZES[class] as usize
    };
    if bytes > u32::MAX as usize { u32::MAX } else { bytes as u32 }
}

/// What the marker must know of a target before it looks at it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct SlotFacts {
    /// The type can hold handles.
    pub(crate) scan: bool,
    /// Bytes of a slot, [`BY_SPAN`](Self::BY_SPAN) if only the object's span knows.
    bytes: u32,
}

impl SlotFacts {
    /// No slot is of this size.
    const BY_SPAN: u32 = 0;

    /// The facts of `T`'s slots.
    #[inline]
    pub const fn of<T: Trace>() -> Self {
        SlotFacts { scan: Describe::<T>::KIND.scan, bytes: Describe::<T>::SLOT_BYTES }
    }

    /// The facts of a slice of `T`, in whatever slot.
    #[inline]
    pub(crate) const fn of_slice<T: Trace>() -> Self {
        SlotFacts { scan: Describe::<T>::KIND.scan, bytes: Self::BY_SPAN }
    }

    /// Bytes of the object's slot.
    ///
    /// # Safety
    /// The object is allocated, and these are the facts of its type.
    #[inline]
    pub(crate) unsafe fn slot_bytes(self, object: Object) -> usize {
        match self.bytes {
            // SAFETY: by contract.
            Self::BY_SPAN => unsafe { Span::of(object) }.object_bytes(),
            bytes => bytes as usize,
        }
    }

    /// The facts that the object's own header leads to.
    ///
    /// # Safety
    /// As for `TypeInfo::of`.
    pub(crate) unsafe fn of_object(object: Object) -> Self {
        // SAFETY: by contract.
        let info = unsafe { TypeInfo::of(object) };
        let bytes = match info.slot {
            SlotShape::Constant { bytes, .. } => bytes,
            SlotShape::BySpan => Self::BY_SPAN,
        };
        SlotFacts { scan: info.kind.scan, bytes }
    }
}

/// The facts of a type as a constant of that type.
pub(crate) const fn facts<T: Trace>() -> Facts {
    <T::Info as Info>::FACTS
}

/// Gives every traced type its descriptor.
pub(crate) struct Describe<T>(std::marker::PhantomData<T>);

impl<T: Trace> Describe<T> {
    const FINALIZER: Finalizer = <T::Info as Info>::FINALIZER;
    /// Of a value that is not the whole content of an object.
    pub(crate) const PART: Kind = Kind { scan: facts::<T>().scan, drop: facts::<T>().drop, finalize: false };
    pub(crate) const KIND: Kind = match Self::FINALIZER {
        Finalizer::None => Self::PART,
        Finalizer::Thread | Finalizer::Owner => Kind::finalizable(facts::<T>().scan),
    };
    /// Where the number of the thread that is to run the finalizer lies, in bytes from the payload, if one is.
    pub(crate) const OWNER: Option<usize> = match Self::FINALIZER {
        Finalizer::Owner => Some(size_of::<T>().next_multiple_of(size_of::<u64>())),
        Finalizer::None | Finalizer::Thread => None,
    };
    pub(crate) const LAYOUT: Layout = layout_with::<T>(Self::OWNER);
    pub(crate) const CLASS: usize = class_for(Self::LAYOUT);
    pub(crate) const SPAN_CLASS: usize = span_class(Self::CLASS, Self::KIND);
    pub(crate) const SLOT_BYTES: u32 = slot_bytes(Self::LAYOUT);
    pub(crate) const REUSE: SlotToReuse = SlotToReuse::of(Self::CLASS, Self::KIND, Self::SLOT_BYTES as usize);
    pub(crate) const INFO: &'static TypeInfo = match Self::FINALIZER {
        Finalizer::None => Self::DONE,
        Finalizer::Thread | Finalizer::Owner => &TypeInfo { due: Some(Self::DONE), ..Self::describe() },
    };
    /// For objects without a finalizer, or whose finalizer has been handed over.
    const DONE: &'static TypeInfo = &Self::describe();

    const fn describe() -> TypeInfo {
        TypeInfo {
            mark: mark_erased::<T>,
            trace: trace_erased::<T>,
            drop_swept: drop_erased::<T>,
            finalize: finalize_erased::<T>,
            slot: SlotShape::Constant { class: Self::CLASS, bytes: Self::SLOT_BYTES },
            reuse: Self::REUSE,
            align: align_of::<T>(),
            kind: Self::KIND,
            owner: match Self::OWNER {
                Some(offset) => Some(payload_offset(align_of::<T>()) + offset),
                None => None,
            },
            due: None,
            name: std::any::type_name::<T>,
        }
    }
}

/// The layout of a `T`, and of the number of its owner behind it.
const fn layout_with<T>(owner: Option<usize>) -> Layout {
    match owner {
        None => Layout::new::<T>(),
        Some(offset) => match Layout::from_size_align(offset + size_of::<u64>(), align_of::<T>()) {
            Ok(layout) => layout,
            Err(_) => panic!("the type is too large"),
        },
    }
}

/// # Safety
/// The object's payload is a live `T`.
unsafe fn mark_erased<T: Trace>(object: Object, marker: &mut Marker) {
    // SAFETY: by contract; a traced value may be shared with the marker at any time (contract of `Trace`).
    unsafe { payload_of::<T>(object).as_ref() }.trace(&mut Tracer::new(Pass::Mark(marker)));
}

/// # Safety
/// The object's payload is a live `T`.
unsafe fn trace_erased<T: Trace>(object: Object, tracer: &mut Tracer<'_>) {
    // SAFETY: by contract; a traced value may be shared with the marker at any time (contract of `Trace`).
    unsafe { payload_of::<T>(object).as_ref() }.trace(tracer);
}

/// # Safety
/// The object's payload is a dead `T` that nothing else reaches; it is gone afterwards.
unsafe fn drop_erased<T: Trace>(object: Object) {
    // SAFETY: by contract the reference is unique and the value is not used again.
    unsafe { payload_of::<T>(object).as_mut().drop_swept() };
}

/// # Safety
/// The object is allocated and of type `T`.
unsafe fn payload_of<T>(object: Object) -> NonNull<T> {
    // SAFETY: by contract.
    unsafe { object.payload(align_of::<T>()).cast() }
}

/// # Safety
/// The object's payload is a live `T`, and this is a thread that may run its finalizer.
unsafe fn finalize_erased<T: Trace>(object: Object) {
    // SAFETY: by contract.
    unsafe { payload_of::<T>(object).as_ref() }.run_finalizer();
}

impl TypeInfo {
    /// The descriptor of the object's type.
    ///
    /// # Safety
    /// The object is allocated and its header is visible to the caller.
    #[inline]
    pub(crate) unsafe fn of(object: Object) -> &'static TypeInfo {
        // SAFETY: by contract.
        decode(unsafe { object.code() })
    }

    /// The same, or nothing if the header has never been written in memory fresh from the OS.
    ///
    /// # Safety
    /// As for `of`, but for that.
    pub(crate) unsafe fn of_written(object: Object) -> Option<&'static TypeInfo> {
        // SAFETY: by contract; nothing is described by the anchor itself.
        unsafe { (object.code() != 0).then(|| TypeInfo::of(object)) }
    }

    /// The object's slot, as far as its header leads to the answer at once.
    ///
    /// # Safety
    /// As for `of`.
    #[inline(always)]
    pub(crate) unsafe fn known_slot_to_reuse(object: Object) -> SlotToReuse {
        // SAFETY: by contract.
        let code = unsafe { object.code() };
        if code & IN_TABLE == 0 { decode_distance(code).reuse } else { SlotToReuse::UNKNOWN }
    }

    /// The object's slot, after a closer look.
    ///
    /// # Safety
    /// As for `of`.
    pub(crate) unsafe fn slot_to_reuse(object: Object) -> SlotToReuse {
        // SAFETY: by contract.
        let (info, span) = unsafe { (TypeInfo::of(object), Span::of(object)) };
        SlotToReuse::of(span.class(), info.kind, span.object_bytes())
    }

    /// Where the object's payload begins.
    ///
    /// # Safety
    /// The object is allocated and of this type.
    #[inline]
    pub(crate) unsafe fn payload(&self, object: Object) -> NonNull<u8> {
        // SAFETY: by contract.
        unsafe { object.payload(self.align) }
    }

    /// The type's name, for reports.
    pub(crate) fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Traces the object for `marker`.
    ///
    /// # Safety
    /// As for `trace`.
    #[inline]
    pub(crate) unsafe fn mark(&self, object: Object, marker: &mut Marker) {
        // SAFETY: by contract.
        unsafe { (self.mark)(object, marker) };
    }

    /// Traces the object.
    ///
    /// # Safety
    /// The object is alive, of this type, and its payload is visible to the caller.
    #[inline]
    pub(crate) unsafe fn trace(&self, object: Object, tracer: &mut Tracer<'_>) {
        // SAFETY: by contract.
        unsafe { (self.trace)(object, tracer) };
    }

    /// Runs the object's finalizer.
    ///
    /// # Safety
    /// The object is alive and stays so, is of this type, and its payload is visible to the caller, which is the finalizer thread or the object's owner as the
    /// type's `Finalizer` says.
    pub(crate) unsafe fn finalize(&self, object: Object) {
        // SAFETY: by contract.
        unsafe { (self.finalize)(object) };
    }

    /// Drops a dead object of this type.
    ///
    /// # Safety
    /// As for [`Trace::drop_swept`].
    pub(crate) unsafe fn drop_swept(&self, object: Object) {
        // SAFETY: by contract.
        unsafe { (self.drop_swept)(object) };
    }

    /// Whether objects of this type can lie in a span of this class and kind.
    pub(crate) fn fits(&self, span: &Span) -> bool {
        let class = match self.slot {
            SlotShape::Constant { class, .. } => class,
            SlotShape::BySpan => span.class(),
        };
        self.kind == span.kind() && class == span.class()
    }
}

/// Codes with this bit are rows of the table, in the bits above `ROW`; the others are signed distances in bytes, whose lowest bits are 0.
const IN_TABLE: u32 = 1;
const ROW: u32 = UNIT.trailing_zeros();
const UNIT: usize = align_of::<TypeInfo>();

#[repr(C, align(8))]
struct Anchor(u64);
/// Descriptors near this are named by their distance from it.
static ANCHOR: Anchor = Anchor(0);
const _: () = assert!(align_of::<Anchor>() == UNIT && IN_TABLE < UNIT as u32);

/// The code of a descriptor.
#[inline]
pub(crate) fn encode(info: &'static TypeInfo) -> u32 {
    encode_distance(info).unwrap_or_else(|| far::register(info))
}

/// The same for a descriptor that is not too far away.
#[inline(always)]
pub(crate) fn encode_distance(info: &'static TypeInfo) -> Option<u32> {
    let distance = (std::ptr::from_ref(info).expose_provenance() as isize)
        .wrapping_sub(std::ptr::from_ref(&ANCHOR).addr() as isize);
    let code = distance as i32;
    (code as isize == distance).then_some(code as u32)
}

#[inline]
fn decode(code: u32) -> &'static TypeInfo {
    if code & IN_TABLE != 0 { far::get(code >> ROW) } else { decode_distance(code) }
}

#[inline(always)]
fn decode_distance(code: u32) -> &'static TypeInfo {
    let address = (std::ptr::from_ref(&ANCHOR).addr() as isize).wrapping_add(code as i32 as isize) as usize;
    // SAFETY: `encode` exposed the descriptor that lies at this address; descriptors are constants and live for ever.
    unsafe { &*std::ptr::with_exposed_provenance(address) }
}

/// Descriptors too far from the anchor.
mod far {
    use super::{IN_TABLE, ROW, TypeInfo};
    use std::sync::{
        Mutex,
        atomic::{AtomicPtr, Ordering},
    };

    const ROWS: usize = 1 << 16;
    static TABLE: [AtomicPtr<TypeInfo>; ROWS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; ROWS];
    /// Rows in use, all at the front.
    static USED: Mutex<usize> = Mutex::new(0);

    /// The code of `info`, which gets a row when it is first seen. A search through the rows: this is for the rare type
    /// of a dynamically loaded library.
    #[cold]
    pub(super) fn register(info: &'static TypeInfo) -> u32 {
        let mut used = crate::sync::lock_std(&USED);
        let address = std::ptr::from_ref(info).cast_mut();
        let known = TABLE[..*used].iter().position(|row| row.load(Ordering::Relaxed) == address);
        let row = known.unwrap_or_else(|| {
            assert!(*used < ROWS, "graphgc: more than {ROWS} traced types in dynamically loaded libraries");
            TABLE[*used].store(address, Ordering::Release);
            *used += 1;
            *used - 1
        });
        (row as u32) << ROW | IN_TABLE
    }

    #[cold]
    pub(super) fn get(row: u32) -> &'static TypeInfo {
        // SAFETY: a code with this row exists only after `register` filled it; rows never change.
        unsafe { &*TABLE[row as usize].load(Ordering::Acquire) }
    }

    #[cfg(all(test, not(graphgc_loom)))]
    mod tests {
        use super::*;
        use crate::trace::type_info::Describe;

        #[test]
        fn far_types_get_one_row_each() {
            let a = register(Describe::<u32>::INFO);
            let b = register(Describe::<u64>::INFO);
            assert_ne!(a, b);
            assert_eq!(a, register(Describe::<u32>::INFO));
            assert!(std::ptr::eq(super::super::decode(a), Describe::<u32>::INFO));
        }
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back() {
        for info in [Describe::<u8>::INFO, Describe::<String>::INFO, Describe::<[u64; 9]>::INFO] {
            assert!(std::ptr::eq(decode(encode(info)), info));
        }
        assert_eq!(decode(encode(Describe::<u16>::INFO)).name(), "u16");
    }
}
