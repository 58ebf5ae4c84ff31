//! The elements of a collection in one allocation, behind a head that says what else is to be known of them.
//!
//! So a collection is its lock, its length and one pointer, and what the marker notes about it costs a node nothing: a `GcRefVec` takes 20 bytes of its node, not
//! 48. More small nodes than large ones are in the cache when they are looked for. The length is not in the head, since a loop over the elements
//! should not have to fetch them to know where it will end; and the pointer is aligned as the numbers beside it are, or it would cost the node 4 bytes more.
//!
//! Those numbers have 32 bits; a collection of more elements is refused as one beyond `isize::MAX` bytes is. All buffers without room share one head,
//! which is never written to.

mod shared;

pub(super) use shared::{Loan, SharedBuffer};

use super::refused;
use crate::sync::{Mutation, weakened};
use std::{
    collections::TryReserveError,
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit},
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// How much of a collection the marker has still to trace in this cycle. Read and written by whoever is in the lock as its marker or its writer, so
/// that the lock orders all accesses; or, of a collection of one thread outside marking, by that thread in an operation: the gate orders that.
///
/// The marker says which cycle it marks in. One that keeps what finalizers will see marks in the cycle that has had its S2; the next one has to trace the
/// collection again, if only the finalizer still leads to it.
pub(crate) struct Progress {
    /// The cycle that `left` speaks of, or `NEVER`.
    cycle: AtomicU32,
    /// The elements before this are still to be traced.
    left: AtomicU32,
}

impl Progress {
    /// No cycle has this number: they are counted to 2^31, and then anew.
    const NEVER: u32 = u32::MAX;

    const fn new() -> Self {
        Progress { cycle: AtomicU32::new(Progress::NEVER), left: AtomicU32::new(0) }
    }

    /// How many of `len` elements are left in this cycle, from the first.
    pub(crate) fn left(&self, cycle: u32, len: usize) -> usize {
        if self.cycle.load(Relaxed) == cycle { (self.left.load(Relaxed) as usize).min(len) } else { len }
    }

    /// So many are left in this cycle.
    pub(crate) fn set(&self, cycle: u32, left: usize) {
        self.cycle.store(cycle, Relaxed);
        self.left.store(left as u32, Relaxed);
    }

    /// An element comes in at `index`, and those behind it move up. What goes out does not count: more than there is may be left, never less.
    pub(super) fn insert(&self, index: usize) {
        let left = self.left.load(Relaxed);
        if index < left as usize && !weakened(Mutation::InsertForgetsProgress) {
            self.left.store(left.saturating_add(1), Relaxed);
        }
    }
}

#[repr(C)]
struct Head {
    /// Aligned as a pointer is.
    aligned: [usize; 0],
    capacity: u32,
    progress: Progress,
}

/// That of all buffers without an allocation.
static NOTHING: Head = Head::new(0);

impl Head {
    const fn new(capacity: u32) -> Self {
        Head { aligned: [], capacity, progress: Progress::new() }
    }
}

/// See the module's head. It is used as a `Vec` is.
pub(super) struct Buffer<P> {
    at: Address,
    /// So many elements behind the head are initialised, and the buffer's.
    len: u32,
    elements: PhantomData<P>,
}

/// The address of `NOTHING`, or of an allocation made for a `Vec` of `HEAD + capacity` units, in which the head comes first and the elements behind it.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Address(NonNull<Head>);

// SAFETY: it owns its elements, as a `Vec` does.
unsafe impl<P: Send> Send for Buffer<P> {}
// SAFETY: as above; what the marker notes is atomic.
unsafe impl<P: Sync> Sync for Buffer<P> {}

impl<P> Buffer<P> {
    /// The units that the head takes.
    const HEAD: usize = {
        assert!(size_of::<P>() == size_of::<usize>() && align_of::<P>() == align_of::<Head>());
        size_of::<Head>() / size_of::<P>()
    };
    /// The most elements that there can be.
    const MOST: usize = u32::MAX as usize - Self::HEAD;

    /// No elements, and no room for any.
    pub(super) const fn new() -> Self {
        // SAFETY: the address of a static.
        let nothing = unsafe { NonNull::new_unchecked((&raw const NOTHING).cast_mut()) };
        Buffer { at: Address(nothing), len: 0, elements: PhantomData }
    }

    /// With room for so many.
    ///
    /// # Panics
    /// As `Vec::with_capacity`, and if they are more than 2^32.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self::try_with_capacity(capacity).unwrap_or_else(|_| refused(capacity))
    }

    /// The same if the allocator lets it.
    pub(super) fn try_with_capacity(capacity: usize) -> Result<Self, TryReserveError> {
        if capacity == 0 {
            return Ok(Self::new());
        }
        let mut units = Vec::<MaybeUninit<P>>::new();
        units.try_reserve_exact(if capacity > Self::MOST { usize::MAX } else { Self::HEAD + capacity })?;
        let mut units = ManuallyDrop::new(units);
        let head = units.as_mut_ptr().cast::<Head>();
        let capacity = u32::try_from(units.capacity() - Self::HEAD).expect("as many as were asked for");
        // SAFETY: the first units are as large as it is, and aligned as it is.
        unsafe { head.write(Head::new(capacity)) };
        Ok(Buffer { at: Address(NonNull::new(head).expect("a `Vec` has an address")), len: 0, elements: PhantomData })
    }

    /// The elements of `vec`.
    ///
    /// # Panics
    /// As [`with_capacity`](Self::with_capacity).
    pub(super) fn from_vec(mut vec: Vec<P>) -> Self {
        let mut buffer = Self::with_capacity(vec.len());
        // SAFETY: there is room for them, and they are the vector's no more.
        unsafe {
            ptr::copy_nonoverlapping(vec.as_ptr(), buffer.first(), vec.len());
            buffer.set_len(vec.len());
            vec.set_len(0);
        }
        buffer
    }

    /// The elements in a `Vec`.
    pub(super) fn into_vec(mut self) -> Vec<P> {
        let mut vec = Vec::with_capacity(self.len());
        // SAFETY: there is room for them, and they are the buffer's no more.
        unsafe {
            ptr::copy_nonoverlapping(self.as_ptr(), vec.as_mut_ptr(), self.len());
            vec.set_len(self.len());
            self.set_len(0);
        }
        vec
    }

    #[inline]
    fn head(&self) -> &Head {
        let Address(head) = self.at;
        // SAFETY: it is there as long as the buffer is, and nothing but what is atomic in it is ever changed.
        unsafe { head.as_ref() }
    }

    /// What the marker notes.
    #[inline]
    pub(super) fn progress(&self) -> &Progress {
        &self.head().progress
    }

    /// What the marker has noted of `other` holds here, too.
    pub(super) fn take_progress(&mut self, other: &Self) {
        if self.capacity() > 0 {
            let noted = other.progress();
            self.progress().set(noted.cycle.load(Relaxed), noted.left.load(Relaxed) as usize);
        }
    }

    /// How many elements there is room for.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.head().capacity as usize
    }

    /// Where the elements begin, those included that have been there.
    #[inline]
    pub(super) fn first(&self) -> *mut P {
        let Address(head) = self.at;
        // SAFETY: what is behind the head is in the same allocation, or one past the end of `NOTHING`.
        unsafe { head.as_ptr().cast::<P>().add(Self::HEAD) }
    }

    /// # Safety
    /// The first `len` elements are initialised, and no longer belong to anyone else; those behind belong to someone else now.
    #[inline]
    pub(super) unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        self.len = len as u32;
    }

    /// Puts an element at the end; gives it back if there is no room.
    #[inline]
    pub(super) fn push(&mut self, element: P) -> Result<(), P> {
        let len = self.len();
        if len == self.capacity() {
            return Err(element);
        }
        // SAFETY: there is room.
        unsafe {
            self.first().add(len).write(element);
            self.set_len(len + 1);
        }
        Ok(())
    }

    /// Takes the last element.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<P> {
        let last = self.len().checked_sub(1)?;
        // SAFETY: it is there, and ours no more.
        unsafe {
            self.set_len(last);
            Some(self.first().add(last).read())
        }
    }

    /// Puts an element at `index`, which there is; those from there on move up. Gives it back if there is no room.
    pub(super) fn insert(&mut self, index: usize, element: P) -> Result<(), P> {
        self.push(element)?;
        self[index..].rotate_right(1);
        Ok(())
    }

    /// Takes the element at `index`; those behind it move down.
    pub(super) fn remove(&mut self, index: usize) -> P {
        self[index..].rotate_left(1);
        self.pop().expect("there is one")
    }

    /// Takes the element at `index`, and puts the last one in its place.
    pub(super) fn swap_remove(&mut self, index: usize) -> P {
        let last = self.len() - 1;
        self.swap(index, last);
        self.pop().expect("there is one")
    }

    /// A larger buffer with copies of the elements: room for `additional` more, or for as many as a `Vec` makes room for. Nothing if there is room already. The
    /// marker's notes stay behind ([`take_progress`](Self::take_progress)).
    pub(super) fn grown(
        &self,
        additional: usize,
        exact: bool,
    ) -> Result<Option<Buffer<MaybeUninit<P>>>, TryReserveError> {
        let (len, capacity) = (self.len(), self.capacity());
        if capacity - len >= additional {
            return Ok(None);
        }
        let least = len.saturating_add(additional);
        let wanted = if exact { least } else { least.max((2 * capacity).min(Self::MOST)).max(4) };
        let mut grown = Buffer::<MaybeUninit<P>>::try_with_capacity(wanted)?;
        // SAFETY: there is room for them.
        unsafe {
            ptr::copy_nonoverlapping(self.as_ptr().cast(), grown.first(), len);
            grown.set_len(len);
        }
        Ok(Some(grown))
    }

    /// Makes room for `additional` elements more.
    ///
    /// # Panics
    /// As `Vec::reserve`.
    pub(super) fn reserve(&mut self, additional: usize) {
        match self.grown(additional, false) {
            // SAFETY: copies of all elements, which the old buffer forgets.
            Ok(Some(grown)) => unsafe {
                let mut old = std::mem::replace(self, grown.assume_init());
                old.set_len(0);
            },
            Ok(None) => (),
            Err(_) => refused(self.len().saturating_add(additional).max(2 * self.capacity())),
        }
    }

    /// Puts an element at the end, and makes room if there is none.
    ///
    /// # Panics
    /// As `Vec::push`.
    pub(super) fn push_growing(&mut self, element: P) {
        self.reserve(1);
        let pushed = self.push(element);
        debug_assert!(pushed.is_ok());
    }
}

impl<P> Buffer<MaybeUninit<P>> {
    /// # Safety
    /// The elements are initialised, and nobody else's by the time anyone uses or drops them.
    pub(super) unsafe fn assume_init(self) -> Buffer<P> {
        let filled = ManuallyDrop::new(self);
        Buffer { at: filled.at, len: filled.len, elements: PhantomData }
    }
}

impl<P> Deref for Buffer<P> {
    type Target = [P];

    #[inline]
    fn deref(&self) -> &[P] {
        // SAFETY: so many are initialised.
        unsafe { slice::from_raw_parts(self.first(), self.len as usize) }
    }
}

impl<P> DerefMut for Buffer<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [P] {
        // SAFETY: as above, and they are ours alone.
        unsafe { slice::from_raw_parts_mut(self.first(), self.len as usize) }
    }
}

impl<P> Drop for Buffer<P> {
    fn drop(&mut self) {
        if self.capacity() == 0 {
            return;
        }
        let Address(head) = self.at;
        // SAFETY: the allocation of a `Vec` of so many units, which frees it when the elements have been dropped, whether that panics or not.
        let _units =
            unsafe { Vec::<MaybeUninit<P>>::from_raw_parts(head.as_ptr().cast(), 0, Self::HEAD + self.capacity()) };
        // SAFETY: they are ours, and not used again.
        unsafe { ptr::drop_in_place(&raw mut **self) };
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;
    use crate::random::Random;

    /// When the numbers of cycles begin anew, the pass after S2 marks under the number 0.
    #[test]
    fn a_new_collection_has_been_traced_in_no_cycle() {
        let progress = Progress::new();
        assert!([0, 1, 1 << 31].into_iter().all(|cycle| progress.left(cycle, 7) == 7));
        progress.set(3, 2);
        assert_eq!([2, 3, 4].map(|cycle| progress.left(cycle, 7)), [7, 2, 7]);
        assert_eq!(progress.left(3, 1), 1, "elements have gone");
    }

    /// Elements that come and go for as long as the marker is away must not make it believe that nothing is left.
    #[test]
    fn what_is_left_does_not_overflow() {
        let progress = Progress::new();
        progress.set(1, u32::MAX as usize - 1);
        (0..3).for_each(|_| progress.insert(0));
        assert_eq!(progress.left(1, 10), 10);
    }

    /// Elements that own memory come and go at random; the buffer has what a `Vec` has, and drops it once.
    #[test]
    fn agrees_with_a_vec() {
        let mut random = Random(1);
        let (mut buffer, mut vec) = (Buffer::<Box<usize>>::new(), Vec::new());
        for number in 0..if cfg!(miri) { 500 } else { 20_000 } {
            let len = vec.len();
            let full = len == buffer.capacity();
            match random.below(7) {
                0 => assert_eq!(buffer.pop(), vec.pop()),
                1 if !full => {
                    let index = random.below(len + 1);
                    buffer.insert(index, Box::new(number)).unwrap();
                    vec.insert(index, Box::new(number));
                }
                2 if len > 0 => {
                    let index = random.below(len);
                    assert_eq!(buffer.remove(index), vec.remove(index));
                }
                3 if len > 0 => {
                    let index = random.below(len);
                    assert_eq!(buffer.swap_remove(index), vec.swap_remove(index));
                }
                4 if len > 100 => {
                    buffer = Buffer::from_vec(buffer.into_vec());
                    assert_eq!(buffer.capacity(), len);
                }
                4 if full => assert_eq!(buffer.push(Box::new(number)), Err(Box::new(number))),
                _ => {
                    buffer.push_growing(Box::new(number));
                    vec.push(Box::new(number));
                }
            }
            assert_eq!(*buffer, *vec);
        }
    }

    #[test]
    fn room_is_made_as_for_a_vec() {
        let mut buffer = Buffer::<Box<usize>>::new();
        let mut vec = Vec::new();
        for number in 0..100 {
            buffer.push_growing(Box::new(number));
            vec.push(Box::new(number));
            assert_eq!(buffer.capacity(), vec.capacity());
        }
        assert!(buffer.grown(28, true).unwrap().is_none());
        assert_eq!(buffer.grown(29, true).unwrap().unwrap().capacity(), 129);
        assert_eq!(buffer.grown(29, false).unwrap().unwrap().capacity(), 256);
        for refused in [usize::MAX, 1 << 32] {
            assert_eq!(
                buffer.grown(refused, false).err().unwrap().to_string(),
                vec.try_reserve(usize::MAX).err().unwrap().to_string()
            );
        }
    }

    #[test]
    fn an_empty_buffer_costs_nothing() {
        assert_eq!(size_of::<Buffer<Box<u8>>>(), size_of::<usize>() + 4);
        let mut empty = Buffer::<Box<usize>>::with_capacity(0);
        assert_eq!((empty.len(), empty.capacity(), empty.pop()), (0, 0, None));
        assert_eq!(empty.push(Box::new(1)), Err(Box::new(1)));
        assert!(Buffer::from_vec(Vec::<Box<usize>>::with_capacity(7)).into_vec().is_empty());
    }
}
