//! `GcLazy`: content that is made when it is first asked for.

use super::once::Once;
use crate::{
    sync::const_fn,
    trace::{
        Trace, Tracer,
        facts::{Either, InLockCell, Leaf},
        private::drop_untraced,
    },
};
use std::{convert::Infallible, fmt, mem, ops::Deref};

/// The garbage-collected world's `LazyCell` and `LazyLock`: made by a closure when it is first asked for; any content, handles included, shared
/// between threads if the content is.
///
/// Reading what has been made costs one load. Handles that the closure captures count as roots until it has run: the collector does not look
/// into it, and cycles through it are not collected. Where that matters, take a [`GcOnceCell`](crate::GcOnceCell).
///
/// ```
/// use graphgc::{Gc, GcLazy, GcMutex};
///
/// static NAMES: GcLazy<GcMutex<Vec<Gc<String>>>> = GcLazy::new(GcMutex::default);
///
/// NAMES.lock().push(Gc::new("Ann".to_string()));
/// assert_eq!(NAMES.lock().len(), 1);
/// ```
pub struct GcLazy<T, F = fn() -> T>(Once<State<T, F>>);

enum State<T, F> {
    /// To be made by this.
    Pending(F),
    Made(T),
    /// The closure has panicked.
    Poisoned,
}

// SAFETY: as for `LazyLock`: whoever owns it owns the content.
unsafe impl<T: Send, F: Send> Send for GcLazy<T, F> {}
// SAFETY: as for `LazyLock`: one thread gets the closure, then all share the content.
unsafe impl<T: Send + Sync, F: Send> Sync for GcLazy<T, F> {}

const REENTERED: &str = "GcLazy is asked for by its own closure";

impl<T, F> GcLazy<T, F> {
    const_fn! {
        /// To be made by `make`.
        pub fn new(make: F) -> Self {
            GcLazy(Once::new(State::Pending(make)))
        }
    }

    /// The content, if it has been made. Cost: one load.
    ///
    /// An associated function, so that it hides no method of the content's.
    #[inline]
    pub fn get(this: &Self) -> Option<&T> {
        match this.0.get() {
            Some(State::Made(content)) => Some(content),
            _ => None,
        }
    }

    /// The content, if it has been made, of what you have to yourself.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        match this.0.get_mut() {
            State::Made(content) => Some(content),
            _ => None,
        }
    }

    /// The content of what you have to yourself.
    ///
    /// # Errors
    /// Gives the closure back if it has not run.
    ///
    /// # Panics
    /// If the closure has panicked.
    pub fn into_inner(this: Self) -> Result<T, F> {
        match this.0.into_inner() {
            State::Pending(make) => Err(make),
            State::Made(content) => Ok(content),
            State::Poisoned => poisoned(),
        }
    }
}

impl<T: Trace, F: FnOnce() -> T + Send + 'static> GcLazy<T, F> {
    /// The content; makes it if nobody has. Of several threads one runs the closure; the others are parked until it has returned. No lock of the
    /// collector's is held meanwhile: the closure may allocate and collect.
    ///
    /// # Panics
    /// If the closure does, and whenever it has; and if it asks for the content itself.
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        if GcLazy::get(this).is_none() {
            this.make();
        }
        GcLazy::get(this).expect("made")
    }

    #[cold]
    #[track_caller]
    fn make(&self) {
        let made = self.0.write(REENTERED, |state| {
            let State::Pending(make) = mem::replace(state, State::Poisoned) else { poisoned() };
            *state = State::Made(make());
            Ok::<_, Infallible>(())
        });
        made.unwrap_or_else(|error| match error {});
    }
}

#[cold]
#[track_caller]
fn poisoned() -> ! {
    panic!("the closure of this GcLazy has panicked")
}

impl<T: Trace, F: FnOnce() -> T + Send + 'static> Deref for GcLazy<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        GcLazy::force(self)
    }
}

impl<T: Default> Default for GcLazy<T> {
    /// To be made by `T::default`.
    fn default() -> Self {
        GcLazy::new(T::default)
    }
}

/// Shallow, so that printing a cyclic graph ends.
impl<T, F> fmt::Debug for GcLazy<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if GcLazy::get(self).is_some() { "GcLazy(..)" } else { "GcLazy(<not made>)" })
    }
}

// SAFETY: the content is passed to its own `Trace`. The closure is not looked into, its handles stay counted; it is `Send`, so it may be dropped on any
// thread.
unsafe impl<T: Trace, F: Send + 'static> Trace for State<T, F> {
    type Info = Either<T::Info, Leaf<F>>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if let State::Made(content) = self {
            content.trace(tracer);
        }
    }

    unsafe fn drop_swept(&mut self) {
        match self {
            // SAFETY: by contract nobody uses it again; it is `Send`.
            State::Pending(make) => unsafe { drop_untraced(make) },
            // SAFETY: by contract.
            State::Made(content) => unsafe { content.drop_swept() },
            State::Poisoned => {}
        }
    }
}

// SAFETY: the lock lets the marker in only while nobody writes; `drop_swept` follows the flag.
unsafe impl<T: Trace, F: Send + 'static> Trace for GcLazy<T, F> {
    type Info = InLockCell<Either<T::Info, Leaf<F>>>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.0.drop_swept() };
    }
}
