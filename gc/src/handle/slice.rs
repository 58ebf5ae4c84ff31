//! `Gc<[T]>` and `Gc<str>`: how slices get into the heap.
//!
//! Elements are moved, all at once, from where they were made: a `Vec`, a `Box`, an array. So no code of users (an iterator, a `clone`)
//! ever runs while a slice that holds handles is half built. Only slices of plain data are filled where they lie (`super::unfilled`).

use super::{AllocError, Gc, unfilled::Unfilled};
use crate::{
    collector::collect,
    heap::header::Object,
    mutator::allocate::{SliceRefused, allocate_slice},
    trace::{
        Trace, Tracer,
        slices::DescribeSlice,
        tracer::{Pass, SLICE, StepCount},
        type_info::facts,
    },
};
use std::{
    alloc::{Layout, handle_alloc_error},
    borrow::Cow,
    ptr::{NonNull, copy_nonoverlapping},
    str::Utf8Error,
};

impl<T: Trace> Gc<[T]> {
    /// Moves the elements of a vector into the heap, as `Gc::from` does, or gives them back if the operating system refuses memory.
    ///
    /// Cost: that of copying the elements' bytes, plus one step for each handle in them.
    ///
    /// # Errors
    /// [`AllocError`] with the vector in it, as it was.
    ///
    /// ```
    /// use graphgc::Gc;
    ///
    /// let names = Gc::try_from_vec(vec!["Ann".to_string(), "Bob".to_string()]).unwrap();
    /// assert_eq!(names[1], "Bob");
    /// ```
    pub fn try_from_vec(mut elements: Vec<T>) -> Result<Self, AllocError<Vec<T>>> {
        try_move_in(&mut elements).map_err(|refused| AllocError::of_bytes(elements, refused.bytes()))
    }

    /// The handle to `object`, a slice of `length` elements, whose count becomes the handle's.
    ///
    /// # Safety
    /// The object is such a slice, and the caller owns one count of it.
    pub(super) unsafe fn from_slice_object(object: Object, length: usize) -> Self {
        // SAFETY: by contract.
        unsafe {
            let first = object.payload(align_of::<T>()).cast();
            Gc::from_payload(NonNull::slice_from_raw_parts(first, length))
        }
    }
}

impl Gc<str> {
    /// Copies a string into the heap, as `Gc::from` does, unless the operating system refuses memory.
    ///
    /// # Errors
    /// [`AllocError`] with the string in it.
    ///
    /// ```
    /// let name = graphgc::Gc::try_from_str("Ann").unwrap();
    /// assert_eq!(&*name, "Ann");
    /// ```
    pub fn try_from_str(string: &str) -> Result<Self, AllocError<&str>> {
        try_copy_in(string).map_err(|refused| AllocError::of_bytes(string, refused.bytes()))
    }

    /// The same object as a string, if it holds UTF-8. Nothing is copied.
    ///
    /// # Errors
    /// [`Utf8Error`] says where it does not; keep a clone of the handle to go on with the bytes.
    ///
    /// ```
    /// use graphgc::Gc;
    ///
    /// let bytes = Gc::<[u8]>::from(*b"Ann");
    /// assert_eq!(&*Gc::<str>::from_utf8(bytes).unwrap(), "Ann");
    /// assert!(Gc::<str>::from_utf8(Gc::from([0xFF_u8])).is_err());
    /// ```
    pub fn from_utf8(bytes: Gc<[u8]>) -> Result<Self, Utf8Error> {
        std::str::from_utf8(&bytes)?;
        // SAFETY: a `str` is laid out as its bytes are, and they have been found to be UTF-8 and never change.
        Ok(unsafe { Gc::from_payload(Self::as_str(Gc::into_payload(bytes))) })
    }

    fn as_str(bytes: NonNull<[u8]>) -> NonNull<str> {
        // SAFETY: the address stays the same.
        unsafe { NonNull::new_unchecked(bytes.as_ptr() as *mut str) }
    }
}

/// Moves the elements into the heap. The vector is empty afterwards, or as it was if memory is refused.
fn try_move_in<T: Trace>(elements: &mut Vec<T>) -> Result<Gc<[T]>, SliceRefused> {
    let (length, steps) = (elements.len(), steps_of(elements));
    let move_in = |place: NonNull<T>| {
        // SAFETY: the place has room for all elements, which are not in the vector any more.
        unsafe {
            copy_nonoverlapping(elements.as_ptr(), place.as_ptr(), length);
            elements.set_len(0);
        }
    };
    // SAFETY: `move_in` fills the place, and copies only.
    let object = unsafe { allocate_slice::<T, [T]>(length, steps, move_in) }?;
    // SAFETY: the object is new and has one count.
    Ok(unsafe { Gc::from_slice_object(object, length) })
}

fn try_copy_in(string: &str) -> Result<Gc<str>, SliceRefused> {
    let copy_in = |place: NonNull<u8>| {
        // SAFETY: the place has room for all bytes.
        unsafe { copy_nonoverlapping(string.as_ptr(), place.as_ptr(), string.len()) };
    };
    // SAFETY: `copy_in` fills the place, and copies only.
    let object = unsafe { allocate_slice::<u8, str>(string.len(), 0, copy_in) }?;
    // SAFETY: the object is new and has one count; its bytes are those of a string.
    unsafe {
        let bytes = NonNull::slice_from_raw_parts(object.payload(1), string.len());
        Ok(Gc::from_payload(Gc::<str>::as_str(bytes)))
    }
}

/// The steps that a walk over the elements takes, or some number above a slice.
fn steps_of<T: Trace>(elements: &[T]) -> usize {
    let most = facts::<T>().times(elements.len()).steps;
    if most <= SLICE || elements.len() > SLICE {
        return most;
    }
    let mut count = StepCount::default();
    elements.trace(&mut Tracer::new(Pass::Visit(&mut count)));
    count.steps
}

/// As `Gc::new` does when memory is refused: collects, tries once more, and then gives up.
///
/// # Panics
/// If no address space could hold the slice.
pub(super) fn insist<R>(mut attempt: impl FnMut() -> Result<R, SliceRefused>) -> R {
    attempt().unwrap_or_else(|refused| {
        assert!(refused != SliceRefused::TooLarge, "capacity overflow");
        collect();
        attempt().unwrap_or_else(|refused| match Layout::from_size_align(refused.bytes(), align_of::<usize>()) {
            Ok(layout) => handle_alloc_error(layout),
            Err(_) => panic!("capacity overflow"),
        })
    })
}

/// Moves the elements into the heap. Cost: that of copying their bytes, plus one step for each handle in them.
///
/// # Panics
/// As [`Gc::new`]. If memory is refused, calls [`collect`](crate::collect), and if that does not help ends as `Box::new`
/// does; [`Gc::try_from_vec`] does neither.
///
/// ```
/// use graphgc::{Gc, GcRefCell, Trace};
///
/// #[derive(Trace)]
/// struct Node { edges: GcRefCell<Option<Gc<[Gc<Node>]>>> }
///
/// let ann = Gc::new(Node { edges: GcRefCell::new(None) });
/// let both: Gc<[Gc<Node>]> = Gc::from(vec![ann.clone(), ann.clone()]);
/// *ann.edges.borrow_mut() = Some(both);      // a cycle through a slice
/// ```
impl<T: Trace> From<Vec<T>> for Gc<[T]> {
    fn from(mut elements: Vec<T>) -> Self {
        insist(|| try_move_in(&mut elements))
    }
}

impl<T: Trace> From<Box<[T]>> for Gc<[T]> {
    fn from(elements: Box<[T]>) -> Self {
        elements.into_vec().into()
    }
}

impl<T: Trace, const N: usize> From<[T; N]> for Gc<[T]> {
    fn from(elements: [T; N]) -> Self {
        Gc::new(elements).unsize::<[T]>(|array| array)
    }
}

/// Clones the elements: plain data straight to where it stays, anything else by way of a vector.
impl<T: Trace + Clone> From<&[T]> for Gc<[T]> {
    fn from(elements: &[T]) -> Self {
        if DescribeSlice::<T, [T]>::HAS_LENGTH {
            return elements.to_vec().into();
        }
        let mut slice = insist(|| Unfilled::try_new(elements.len()));
        elements.iter().for_each(|element| slice.push(element.clone()));
        slice.finish()
    }
}

/// Collects into a `Vec` and moves that into the heap: however the iterator behaves, the slice is whole or not there.
///
/// ```
/// let squares: graphgc::Gc<[u32]> = (0..4).map(|n| n * n).collect();
/// assert_eq!(*squares, [0, 1, 4, 9]);
/// ```
impl<T: Trace> FromIterator<T> for Gc<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T: Trace> Default for Gc<[T]> {
    fn default() -> Self {
        Vec::new().into()
    }
}

/// Copies the string into the heap: one object of eight bytes more than it has.
///
/// ```
/// use graphgc::Gc;
/// use std::collections::HashMap;
///
/// let ages: HashMap<Gc<str>, u32> = [("Ann".into(), 30)].into();
/// assert_eq!(ages["Ann"], 30);
/// ```
impl From<&str> for Gc<str> {
    fn from(string: &str) -> Self {
        insist(|| try_copy_in(string))
    }
}

impl From<String> for Gc<str> {
    fn from(string: String) -> Self {
        string.as_str().into()
    }
}

impl From<Box<str>> for Gc<str> {
    fn from(string: Box<str>) -> Self {
        (*string).into()
    }
}

impl From<Cow<'_, str>> for Gc<str> {
    fn from(string: Cow<'_, str>) -> Self {
        (*string).into()
    }
}

impl Default for Gc<str> {
    fn default() -> Self {
        "".into()
    }
}

/// The same object as bytes; nothing is copied.
impl From<Gc<str>> for Gc<[u8]> {
    fn from(string: Gc<str>) -> Self {
        let payload = Gc::into_payload(string);
        // SAFETY: a `str` is laid out as its bytes are, which hold no handles either; the count goes with it. The address stays the same.
        unsafe { Gc::from_payload(NonNull::new_unchecked(payload.as_ptr() as *mut [u8])) }
    }
}

/// Moves the content into the heap.
impl<T: Trace> From<Box<T>> for Gc<T> {
    fn from(content: Box<T>) -> Self {
        Gc::new(*content)
    }
}
