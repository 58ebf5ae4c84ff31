//! `GcOnceCell`: content that is written once.

use super::once::Once;
use crate::{
    sync::const_fn,
    trace::{Trace, Tracer, facts::InLockCell},
};
use std::{convert::Infallible, fmt};

/// The garbage-collected world's `OnceCell` and `OnceLock`: empty until it is set, once; any content, handles included, shared between threads if
/// the content is.
///
/// Reading costs one load, as with `OnceLock`. A thread that finds another one initialising the cell is parked. Whoever has the cell
/// to itself may empty it again ([`take`](Self::take)).
///
/// ```
/// use graphgc::{Gc, GcOnceCell, Trace};
///
/// #[derive(Trace)]
/// struct Node { name: String, parent: GcOnceCell<Gc<Node>> }
///
/// let root = Gc::new(Node { name: "root".into(), parent: GcOnceCell::new() });
/// let leaf = Gc::new(Node { name: "leaf".into(), parent: GcOnceCell::new() });
/// assert!(leaf.parent.set(root.clone()).is_ok());
/// assert!(leaf.parent.set(leaf.clone()).is_err());
/// assert_eq!(leaf.parent.get().unwrap().name, "root");
/// root.parent.get_or_init(|| root.clone());       // a cycle is no leak
/// ```
pub struct GcOnceCell<T>(Once<Option<T>>);

// SAFETY: as for `OnceLock`: whoever owns it owns the content.
unsafe impl<T: Send> Send for GcOnceCell<T> {}
// SAFETY: as for `OnceLock`: one thread puts the content in, then all share it; who is last drops what another has put in.
unsafe impl<T: Send + Sync> Sync for GcOnceCell<T> {}

const REENTERED: &str = "GcOnceCell is initialised by its own initialiser";

impl<T> GcOnceCell<T> {
    const_fn! {
        /// An empty cell.
        pub fn new() -> Self {
            GcOnceCell(Once::new(None))
        }
    }

    /// The content, if the cell has been set. Cost: one load.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.0.get().and_then(Option::as_ref)
    }

    /// The content; blocks, parked, until some thread sets it.
    ///
    /// ```
    /// use graphgc::{Gc, GcOnceCell};
    ///
    /// let answer = Gc::new(GcOnceCell::new());
    /// let asked = answer.clone();
    /// std::thread::spawn(move || asked.set(42));
    /// assert_eq!(*answer.wait(), 42);
    /// ```
    pub fn wait(&self) -> &T {
        self.0.wait().as_ref().expect("what is final has been set")
    }

    /// The content of a cell that you have to yourself.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.0.get_mut().as_mut()
    }

    /// Empties a cell that you have to yourself.
    ///
    /// ```
    /// let mut cell = graphgc::GcOnceCell::from(7);
    /// assert_eq!(cell.take(), Some(7));
    /// assert_eq!(cell.get(), None);
    /// assert_eq!(cell.set(8), Ok(()));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        self.0.reopen().take()
    }

    /// The content of a cell that you have to yourself.
    pub fn into_inner(self) -> Option<T> {
        self.0.into_inner()
    }
}

impl<T: Trace> GcOnceCell<T> {
    /// Puts `value` in if the cell is empty. Blocks, parked, while another thread initialises it.
    ///
    /// # Errors
    /// Gives `value` back if the cell is not empty.
    ///
    /// # Panics
    /// If called by this cell's own initialiser.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.fill(|| Ok::<_, Infallible>(value.take().expect("called once"))).unwrap_or_else(|error| match error {});
        value.map_or(Ok(()), Err)
    }

    /// The content; if the cell is empty, puts in what `init` gives. Of several threads one calls its `init`; the others are parked until it has
    /// returned.
    ///
    /// No lock of the collector's is held meanwhile: `init` may allocate, collect, and initialise other cells. If it panics the cell stays
    /// empty.
    ///
    /// # Panics
    /// If `init` does, or if it initialises this same cell.
    #[inline]
    #[track_caller]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<_, Infallible>(init())) {
            Ok(content) => content,
            Err(error) => match error {},
        }
    }

    /// As [`get_or_init`](Self::get_or_init), with an `init` that may fail.
    ///
    /// # Errors
    /// That of `init`. The cell stays empty.
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// ```
    /// let cell = graphgc::GcOnceCell::new();
    /// assert!(cell.get_or_try_init(|| "x".parse::<u8>()).is_err());
    /// assert_eq!(cell.get_or_try_init(|| "7".parse::<u8>()), Ok(&7));
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_try_init<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if self.get().is_none() {
            self.fill(init)?;
        }
        Ok(self.get().expect("filled"))
    }

    #[cold]
    #[track_caller]
    fn fill<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        self.0.write(REENTERED, |content| {
            *content = Some(init()?);
            Ok(())
        })
    }
}

impl<T> Default for GcOnceCell<T> {
    fn default() -> Self {
        GcOnceCell::new()
    }
}

impl<T> From<T> for GcOnceCell<T> {
    /// A cell that is set.
    fn from(value: T) -> Self {
        GcOnceCell(Once::written(Some(value)))
    }
}

impl<T: Clone> Clone for GcOnceCell<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(GcOnceCell::new, |content| GcOnceCell::from(content.clone()))
    }
}

impl<T: PartialEq> PartialEq for GcOnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for GcOnceCell<T> {}

/// Shallow, so that printing a cyclic graph ends.
impl<T> fmt::Debug for GcOnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.get().is_some() { "GcOnceCell(..)" } else { "GcOnceCell(<empty>)" })
    }
}

// SAFETY: the lock lets the marker in only while nobody writes; `drop_swept` follows the flag.
unsafe impl<T: Trace> Trace for GcOnceCell<T> {
    type Info = InLockCell<T::Info>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.0.drop_swept() };
    }
}
