//! A buffer behind a lock, and its length, which anybody may ask for without the lock.
//!
//! No reference to the buffer is made while others can get at it. Whoever the lock lets in takes a copy of its address and its length, and works with
//! that; a writer puts back what has changed. So all that the lock has to guard are the elements and the address, and the length can be an atomic, which
//! is read at any time and says how many elements there were before a change that goes on, or are after it. Nothing here relies on such a look; but whoever
//! sees a length sees what the thread that brought it about had done before, as one does who asks with the lock. Hence release and acquire.

use super::{Address, Buffer, Progress};
use crate::sync::{AtomicU32, Mutation, Ordering, const_fn, unless};
use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::{ManuallyDrop, forget},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

/// See the module's head.
pub(in crate::cell::collections) struct SharedBuffer<P> {
    at: UnsafeCell<Address>,
    len: AtomicU32,
    content: PhantomData<UnsafeCell<Buffer<P>>>,
}

// SAFETY: it is a buffer.
unsafe impl<P: Send> Send for SharedBuffer<P> {}

impl<P> SharedBuffer<P> {
    const_fn! {
        pub(in crate::cell::collections) fn new(buffer: Buffer<P>) -> Self {
            let (at, len) = (buffer.at, buffer.len);
            forget(buffer);
            SharedBuffer { at: UnsafeCell::new(at), len: AtomicU32::new(len), content: PhantomData }
        }
    }

    /// The number of elements now. Needs no lock.
    #[inline]
    pub(in crate::cell::collections) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    /// A copy of the buffer, which is the same elements once more.
    ///
    /// # Safety
    /// Nobody writes now. The copy is used only as long as the lock allows it, and not dropped unless this one is used no more.
    #[inline]
    unsafe fn copy(&self) -> ManuallyDrop<Buffer<P>> {
        // SAFETY: by contract.
        let at = unsafe { *self.at.get() };
        ManuallyDrop::new(Buffer { at, len: self.len.load(Ordering::Relaxed), elements: PhantomData })
    }

    /// The buffer, to be looked at.
    ///
    /// # Safety
    /// Nobody writes while what comes of it is used.
    #[inline]
    pub(in crate::cell::collections) unsafe fn look(&self) -> impl Deref<Target = Buffer<P>> {
        // SAFETY: by contract.
        unsafe { self.copy() }
    }

    /// The elements.
    ///
    /// # Safety
    /// As for [`look`](Self::look).
    #[inline]
    pub(in crate::cell::collections) unsafe fn elements(&self) -> &[P] {
        // SAFETY: by contract; the elements do not lie in the copy.
        unsafe {
            let copy = self.copy();
            slice::from_raw_parts(copy.first(), copy.len())
        }
    }

    /// What the marker notes.
    ///
    /// # Safety
    /// As for [`look`](Self::look).
    #[inline]
    pub(in crate::cell::collections) unsafe fn progress(&self) -> &Progress {
        // SAFETY: by contract.
        let Address(head) = unsafe { *self.at.get() };
        // SAFETY: it lives as long as the buffer; see `Buffer::head`.
        &unsafe { head.as_ref() }.progress
    }

    /// The buffer, to be changed.
    ///
    /// # Safety
    /// Until the loan has been dropped, as it has to be, nobody else writes, or looks at anything but the length. The buffer is exchanged at most once, for one that
    /// was made while the old one was there.
    #[inline]
    pub(in crate::cell::collections) unsafe fn lend(&self) -> Loan<'_, P> {
        // SAFETY: by contract.
        let buffer = unsafe { self.copy() };
        Loan { at: buffer.at, len: buffer.len, buffer, lender: self }
    }

    /// The buffer, which the caller has to itself. The address is put back in any case: it may grow several times, so that the last allocation may lie at the
    /// address of the first, and the old pointer must not be used for it.
    pub(in crate::cell::collections) fn get_mut(&mut self) -> Loan<'_, P> {
        // SAFETY: so says `&mut`.
        let mut loan = unsafe { self.lend() };
        loan.at = Address(NonNull::dangling());
        loan
    }

    /// The elements of a buffer that the caller has to itself.
    pub(in crate::cell::collections) fn elements_mut(&mut self) -> &mut [P] {
        // SAFETY: so says `&mut`; the elements do not lie in the copy.
        unsafe {
            let copy = self.copy();
            slice::from_raw_parts_mut(copy.first(), copy.len())
        }
    }

    pub(in crate::cell::collections) fn into_inner(self) -> Buffer<P> {
        let this = ManuallyDrop::new(self);
        // SAFETY: it is the caller's, and not used again.
        ManuallyDrop::into_inner(unsafe { this.copy() })
    }
}

impl<P> Drop for SharedBuffer<P> {
    fn drop(&mut self) {
        // SAFETY: as above.
        drop(ManuallyDrop::into_inner(unsafe { self.copy() }));
    }
}

/// A shared buffer in the hands of its only user, as `&mut Buffer` would be. What has changed is put back when it is dropped.
pub(in crate::cell::collections) struct Loan<'a, P> {
    buffer: ManuallyDrop<Buffer<P>>,
    /// The address as it was, or one that no buffer has.
    at: Address,
    /// The length as it was.
    len: u32,
    lender: &'a SharedBuffer<P>,
}

impl<P> Drop for Loan<'_, P> {
    /// Where the compiler sees that a change leaves the address or the length as it was, nothing is left of this.
    #[inline]
    fn drop(&mut self) {
        let (Address(now), Address(before)) = (self.buffer.at, self.at);
        if now != before {
            // SAFETY: by the contract of `lend` nobody looks.
            unsafe { *self.lender.at.get() = self.buffer.at };
        }
        if self.buffer.len != self.len {
            self.lender.len.store(self.buffer.len, unless(Mutation::LengthIsRelaxed, Ordering::Release));
        }
    }
}

impl<P> Deref for Loan<'_, P> {
    type Target = Buffer<P>;

    #[inline]
    fn deref(&self) -> &Buffer<P> {
        &self.buffer
    }
}

impl<P> DerefMut for Loan<'_, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Buffer<P> {
        &mut self.buffer
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    /// The buffer is put back as a change has left it, one that panics, too.
    #[test]
    fn a_loan_is_given_back() {
        assert_eq!(size_of::<SharedBuffer<Box<u8>>>(), size_of::<Buffer<Box<u8>>>());
        let mut shared = SharedBuffer::new(Buffer::new());
        (0..4).for_each(|number| shared.get_mut().push_growing(Box::new(number)));
        {
            let mut content = shared.get_mut();
            (4..100).for_each(|number| content.push_growing(Box::new(number)));
            (5..100).for_each(|_| _ = content.pop());
        }
        assert_eq!(shared.len(), 5);
        *shared.elements_mut()[4] = 7;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut content = shared.get_mut();
            content.pop();
            content.reserve(100);
            content.swap(0, 1);
            assert_eq!(content.len(), 0, "on purpose");
        }));
        assert!(panicked.is_err());
        // SAFETY: nobody writes.
        assert_eq!(unsafe { shared.elements() }, [1, 0, 2, 3].map(Box::new));
        assert!(shared.into_inner().capacity() > 100);
    }
}
