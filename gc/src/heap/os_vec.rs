//! A growable array in memory from the OS: what the collector notes down while the world is stopped, when the global allocator, which
//! may be a user's, must not be called.

use super::{arena::PAGE_SIZE, os};
use std::{
    alloc::{Layout, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

/// An array of plain values. Ends the process when the OS refuses memory, as `Vec` does.
pub(crate) struct OsVec<T: Copy> {
    start: NonNull<T>,
    len: usize,
    capacity: usize,
}

// SAFETY: it owns its memory and the values in it.
unsafe impl<T: Copy + Send> Send for OsVec<T> {}

impl<T: Copy> OsVec<T> {
    /// An empty one, without memory.
    pub(crate) const fn new() -> Self {
        OsVec { start: NonNull::dangling(), len: 0, capacity: 0 }
    }

    /// Adds a value.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        if self.len == self.capacity {
            self.grow();
        }
        // SAFETY: there is room for one more behind the first `len`.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
    }

    /// Takes the value that was pushed last.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the first `len` values are initialised, and so was this one.
        Some(unsafe { self.start.add(self.len).read() })
    }

    #[cold]
    fn grow(&mut self) {
        let capacity = (self.capacity * 2).max(PAGE_SIZE / size_of::<T>()).max(1);
        let memory = memory_for::<T>(capacity);
        // SAFETY: the new memory is larger and nobody else knows of it.
        unsafe { memory.copy_from_nonoverlapping(self.start, self.len) };
        self.give_back();
        (self.start, self.capacity) = (memory, capacity);
    }

    fn give_back(&mut self) {
        if self.capacity > 0 {
            // SAFETY: the memory is ours alone and not used any more.
            unsafe { os::release(self.start.cast(), self.capacity * size_of::<T>()) };
        }
    }
}

impl OsVec<u64> {
    /// `len` zeros, if the OS gives the memory.
    pub(crate) fn try_zeroed(len: usize) -> Option<Self> {
        Some(OsVec { start: try_memory_for(len)?, len, capacity: len })
    }

    /// `len` zeros, which take memory only where they are changed.
    pub(crate) fn zeroed(len: usize) -> Self {
        match len {
            0 => OsVec::new(),
            _ => OsVec { start: memory_for(len), len, capacity: len },
        }
    }
}

/// Zeroed memory for `capacity` values.
fn memory_for<T>(capacity: usize) -> NonNull<T> {
    try_memory_for(capacity)
        .unwrap_or_else(|| handle_alloc_error(Layout::array::<T>(capacity).unwrap_or(Layout::new::<T>())))
}

fn try_memory_for<T>(capacity: usize) -> Option<NonNull<T>> {
    let bytes = capacity * size_of::<T>();
    let memory = os::reserve(bytes, align_of::<T>().max(PAGE_SIZE))?;
    if !os::commit(memory, bytes) {
        // SAFETY: nobody has seen it.
        unsafe { os::release(memory, bytes) };
        return None;
    }
    Some(memory.cast())
}

impl<T: Copy> Deref for OsVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` values are initialised.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for OsVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; the memory is ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for OsVec<T> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_keeps_what_is_in_it() {
        let mut numbers = OsVec::new();
        assert!(numbers.is_empty() && numbers.pop().is_none());
        (0..100_000usize).for_each(|number| numbers.push(number));
        assert!(numbers.iter().copied().eq(0..100_000));
        assert_eq!((numbers.pop(), numbers.len()), (Some(99_999), 99_999));
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(numbers[0], 99_998);
    }

    #[test]
    fn zeros_are_zero() {
        assert!(OsVec::zeroed(0).is_empty());
        let mut zeros = OsVec::zeroed(20_000);
        assert!(zeros.iter().all(|zero| *zero == 0));
        zeros[19_999] = 1;
        zeros.push(2);
        assert_eq!((zeros.len(), zeros[19_999], zeros[20_000]), (20_001, 1, 2));
    }
}
