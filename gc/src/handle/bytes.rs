//! Bytes that are read or written straight into the heap.

use super::{AllocError, Gc, unfilled::Unfilled};
use crate::{collector::collect, mutator::allocate::SliceRefused};
use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
};

/// Room that a reader is given at a time: it is zeroed just before, so that it is still in the cache when it is read into.
const CHUNK: usize = 128 << 10;
/// The least room that growing makes.
const LEAST: usize = 56;
/// What is read into when there is no room, to know whether anything is left to read at all.
const PROBE: usize = 32;

impl Gc<[u8]> {
    /// Reads exactly `len` bytes into a new object: into the place where they stay, with no copy in between.
    ///
    /// ```no_run
    /// use graphgc::Gc;
    /// use std::fs::File;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let file = File::open("image.png")?;
    /// let len = file.metadata()?.len() as usize;
    /// let image = Gc::<[u8]>::read_from(file, len)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// For a length that is not known see [`BytesBuilder::read_to_end`].
    ///
    /// # Errors
    /// Those of the reader; [`UnexpectedEof`](ErrorKind::UnexpectedEof) if it has less; [`OutOfMemory`](ErrorKind::OutOfMemory) if the operating
    /// system refuses memory even after a [`collect`](crate::collect).
    ///
    /// # Panics
    /// If the reader says that it has read more than there was room for.
    pub fn read_from(reader: impl Read, len: usize) -> io::Result<Self> {
        let mut builder = BytesBuilder { bytes: Some(allocate_or_collect(len)?) };
        builder.read_exact(reader, len)?;
        Ok(builder.finish())
    }
}

/// Builds a `Gc<[u8]>` in place: what is written to it is where it stays.
///
/// Grows like a `Vec`; with the right [capacity](Self::with_capacity) from the start nothing is ever moved. Made into a handle by
/// [`finish`](Self::finish), and into a string by [`Gc::<str>::from_utf8`](Gc::from_utf8).
///
/// ```
/// use graphgc::{BytesBuilder, Gc};
/// use std::io::Write;
///
/// let mut builder = BytesBuilder::with_capacity(64);
/// write!(builder, "{} + {} = {}", 1, 2, 3)?;
/// let text = Gc::<str>::from_utf8(builder.finish()).unwrap();
/// assert_eq!(&*text, "1 + 2 = 3");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct BytesBuilder {
    bytes: Option<Unfilled<u8>>,
}

impl BytesBuilder {
    /// An empty builder, which takes no memory yet.
    pub const fn new() -> Self {
        BytesBuilder { bytes: None }
    }

    /// A builder with room for `capacity` bytes.
    ///
    /// # Panics
    /// As [`Gc::new`], and if no address space could hold so many.
    pub fn with_capacity(capacity: usize) -> Self {
        BytesBuilder { bytes: Some(super::slice::insist(|| Unfilled::try_new(capacity))) }
    }

    /// A builder with room for `capacity` bytes, unless the operating system refuses memory.
    ///
    /// # Errors
    /// [`AllocError`].
    ///
    /// ```
    /// use graphgc::BytesBuilder;
    ///
    /// assert_eq!(BytesBuilder::try_with_capacity(100).unwrap().capacity(), 100);
    /// assert!(BytesBuilder::try_with_capacity(usize::MAX).is_err());
    /// ```
    pub fn try_with_capacity(capacity: usize) -> Result<Self, AllocError<()>> {
        match Unfilled::try_new(capacity) {
            Ok(bytes) => Ok(BytesBuilder { bytes: Some(bytes) }),
            Err(refused) => Err(AllocError::of_bytes((), refused.bytes())),
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes there may be before the builder grows.
    pub fn capacity(&self) -> usize {
        self.bytes.as_ref().map_or(0, Unfilled::capacity)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], Unfilled::filled)
    }

    /// Makes room for `additional` more bytes; may move what is there.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory), if the operating system refuses memory even after a [`collect`](crate::collect). The builder is as
    /// it was.
    pub fn reserve(&mut self, additional: usize) -> io::Result<()> {
        let (len, capacity) = (self.len(), self.capacity());
        if capacity - len >= additional {
            return Ok(());
        }
        let needed = len.checked_add(additional).ok_or(ErrorKind::OutOfMemory)?;
        let mut grown = allocate_or_collect(needed.max(capacity.saturating_mul(2)).max(LEAST))?;
        grown.extend(self.as_slice());
        self.bytes = Some(grown);
        Ok(())
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    /// Those of the reader; [`UnexpectedEof`](ErrorKind::UnexpectedEof) if it has less. What was read until then stays. Besides, those of
    /// [`reserve`](Self::reserve).
    ///
    /// # Panics
    /// If the reader says that it has read more than there was room for.
    pub fn read_exact(&mut self, mut reader: impl Read, len: usize) -> io::Result<()> {
        self.reserve(len)?;
        let mut left = len;
        while left > 0 {
            match self.read_some(&mut reader, left)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => left -= read,
            }
        }
        Ok(())
    }

    /// Reads until the end, and returns how many bytes that were.
    ///
    /// ```
    /// let mut builder = graphgc::BytesBuilder::new();
    /// assert_eq!(builder.read_to_end(&b"some text"[..]).unwrap(), 9);
    /// assert_eq!(builder.as_slice(), b"some text");
    /// ```
    ///
    /// # Errors
    /// Those of the reader, and of [`reserve`](Self::reserve). What was read until then stays.
    ///
    /// # Panics
    /// If the reader says that it has read more than there was room for.
    pub fn read_to_end(&mut self, mut reader: impl Read) -> io::Result<usize> {
        let before = self.len();
        loop {
            if self.capacity() > self.len() {
                if self.read_some(&mut reader, usize::MAX)? == 0 {
                    return Ok(self.len() - before);
                }
                continue;
            }
            // A builder of the right capacity is full at the end: it grows only if there is more.
            let mut probe = [0; PROBE];
            match read_into(&mut reader, &mut probe)? {
                0 => return Ok(self.len() - before),
                read => self.write_all(&probe[..read])?,
            }
        }
    }

    /// Reads once, at most so many bytes, into the room that there is.
    fn read_some(&mut self, reader: &mut impl Read, most: usize) -> io::Result<usize> {
        let Some(bytes) = &mut self.bytes else { return Ok(0) };
        let read = read_into(reader, bytes.spare(most.min(CHUNK)))?;
        // SAFETY: the bytes are within the room that the reader was given, which had been written before.
        unsafe { bytes.add_filled(read) };
        Ok(read)
    }

    /// The bytes, in their object. They stay where they are, unless more than half of the room was left: then they move to an object
    /// of the right size.
    pub fn finish(self) -> Gc<[u8]> {
        let Some(bytes) = self.bytes else { return Gc::default() };
        if bytes.filled().len() < bytes.capacity() / 2
            && let Ok(mut fitting) = Unfilled::try_new(bytes.filled().len())
        {
            fitting.extend(bytes.filled());
            return fitting.finish();
        }
        bytes.finish()
    }
}

/// Reads once, and again if interrupted.
fn read_into(reader: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(room) {
            Ok(read) => {
                assert!(read <= room.len(), "a reader that says it has read more than there was room for");
                return Ok(read);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Room for so many bytes, if need be after a collection.
fn allocate_or_collect(capacity: usize) -> io::Result<Unfilled<u8>> {
    Unfilled::try_new(capacity)
        .or_else(|refused| match refused {
            SliceRefused::TooLarge => Err(refused),
            SliceRefused::NoMemory(_) => {
                collect();
                Unfilled::try_new(capacity)
            }
        })
        .map_err(|_| ErrorKind::OutOfMemory.into())
}

impl Write for BytesBuilder {
    /// Adds all of the bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reserve(bytes.len())?;
        if let Some(place) = &mut self.bytes {
            place.extend(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for BytesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity) = (self.len(), self.capacity());
        f.debug_struct("BytesBuilder").field("len", &len).field("capacity", &capacity).finish()
    }
}
