//! `ThreadBound`: a value that is used and dropped on one thread only, in objects that the collector drops on another.
//!
//! The value lies in memory of its own, so that what holds it may move between threads. Each thread that has made such values has a *home*: whoever drops one
//! elsewhere puts it into the home's queue, under a lock. The home thread empties its queue when it is asked to, when it makes
//! another value, and when it ends; then the home is closed, and what comes later is leaked.

use crate::{
    sync::lock_std,
    trace::{NoHandles, Trace, Tracer, facts::Leaf},
};
use std::{
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{Arc, Mutex},
};

/// A value that belongs to the thread that made it: only that thread gets at it, and only that thread drops it. So it need not be
/// `Send`, and an object that the collector drops may hold it: an `Rc`, a handle of a GUI, or anything else of a single-threaded program.
///
/// Whoever holds it may be sent and shared between threads, whatever is in it. Access is checked when the program runs; it costs a
/// comparison with the thread's own mark. The collector does not look inside: handles in it count as roots, as with `#[trace(skip)]`.
///
/// When it is dropped elsewhere, as it is with the object that holds it, its thread does the rest: when [`drop_thread_bound`] is called there, when the
/// thread makes another `ThreadBound`, and when it ends. What is dropped after its thread has ended is leaked.
///
/// ```
/// use graphgc::{Gc, ThreadBound, Trace};
/// use std::rc::Rc;
///
/// #[derive(Trace)]
/// struct Widget { style: ThreadBound<Rc<String>> }
///
/// let style = Rc::new("bold".to_string());
/// let widget = Gc::new(Widget { style: ThreadBound::new(style.clone()) });
/// assert_eq!(**widget.style.get(), "bold");
/// std::thread::scope(|scope| { scope.spawn(|| assert!(widget.style.try_get().is_none())); });
///
/// drop(widget);
/// graphgc::collect();
/// graphgc::drop_thread_bound();
/// assert_eq!(Rc::strong_count(&style), 1);
/// ```
pub struct ThreadBound<T: 'static> {
    /// A box, owned.
    value: NonNull<T>,
    home: Arc<Home>,
    owns: PhantomData<T>,
}

// SAFETY: the value itself stays where it is, and is read, moved out and dropped on its own thread only, which every access checks.
unsafe impl<T: 'static> Send for ThreadBound<T> {}
// SAFETY: as above.
unsafe impl<T: 'static> Sync for ThreadBound<T> {}

/// Where a thread gets what others have dropped. `None` once the thread has ended.
struct Home(Mutex<Option<Vec<Dropped>>>);

/// A value to be dropped by its own thread.
struct Dropped {
    value: NonNull<()>,
    drop: unsafe fn(NonNull<()>),
}

// SAFETY: only a pointer until its own thread drops it.
unsafe impl Send for Dropped {}

impl Dropped {
    fn new<T: 'static>(value: NonNull<T>) -> Self {
        unsafe fn drop_box<T>(value: NonNull<()>) {
            // SAFETY: made from such a box below, and dropped once.
            drop(unsafe { Box::from_raw(value.cast::<T>().as_ptr()) });
        }
        Dropped { value: value.cast(), drop: drop_box::<T> }
    }

    /// # Safety
    /// On the value's own thread.
    unsafe fn drop(self) {
        // SAFETY: by contract; `self` is gone afterwards.
        unsafe { (self.drop)(self.value) }
    }
}

/// A thread's share in its home, given up when it ends.
struct Resident(Arc<Home>);

impl Resident {
    /// Drops what has come so far, each with no lock held. What a drop drops elsewhere comes in its turn.
    fn empty(home: &Home, mut run: impl FnMut(Dropped)) -> usize {
        let mut count = 0;
        loop {
            let next = lock_std(&home.0).as_mut().and_then(Vec::pop);
            let Some(dropped) = next else { return count };
            count += 1;
            run(dropped);
        }
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        Resident::empty(&self.0, |dropped| {
            // SAFETY: the thread is ending, this is it. A panic would end the process here.
            let result = catch_unwind(AssertUnwindSafe(|| unsafe { dropped.drop() }));
            // Dropping it could panic, too.
            std::mem::forget(result);
        });
        // What has come in between is leaked, like all that comes from now on.
        *lock_std(&self.0.0) = None;
    }
}

thread_local! {
    static RESIDENT: Resident = Resident(Arc::new(Home(Mutex::new(Some(Vec::new())))));
}

/// Drops the values of [`ThreadBound`]s of this thread that were dropped on others, and says how many.
///
/// # Panics
/// If one of their drops does; the others are dropped next time.
pub fn drop_thread_bound() -> usize {
    let home = RESIDENT.try_with(|resident| resident.0.clone());
    // SAFETY: they came to the home of this thread.
    home.map_or(0, |home| Resident::empty(&home, |dropped| unsafe { dropped.drop() }))
}

impl<T: 'static> ThreadBound<T> {
    /// Binds `value` to this thread. Drops what has come back from other threads first, as [`drop_thread_bound`].
    ///
    /// # Panics
    /// If called as the thread ends, by the destructor of a thread-local variable.
    pub fn new(value: T) -> Self {
        drop_thread_bound();
        let home = RESIDENT.with(|resident| resident.0.clone());
        ThreadBound { value: NonNull::from(Box::leak(Box::new(value))), home, owns: PhantomData }
    }

    /// Whether this is the value's thread. Not any more as the thread ends and has begun to drop its thread-local variables.
    #[inline]
    pub fn is_home(&self) -> bool {
        RESIDENT.try_with(|resident| Arc::ptr_eq(&resident.0, &self.home)).unwrap_or(false)
    }

    /// The value.
    ///
    /// # Panics
    /// If this is not its thread; [`try_get`](Self::try_get) does not.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> &T {
        self.try_get().expect("a ThreadBound is used on another thread than its own")
    }

    /// The value, if this is its thread.
    #[inline]
    pub fn try_get(&self) -> Option<&T> {
        if !self.is_home() {
            return None;
        }
        // SAFETY: it is there as long as `self`; on its own thread it may be read.
        Some(unsafe { self.value.as_ref() })
    }

    /// The value, to be changed, if this is its thread.
    #[inline]
    pub fn try_get_mut(&mut self) -> Option<&mut T> {
        if !self.is_home() {
            return None;
        }
        // SAFETY: as above, and `self` is borrowed for it alone.
        Some(unsafe { self.value.as_mut() })
    }

    /// The value alone.
    ///
    /// # Errors
    /// Gives `self` back if this is not its thread.
    pub fn into_inner(self) -> Result<T, Self> {
        if !self.is_home() {
            return Err(self);
        }
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again.
        unsafe { std::ptr::drop_in_place(&raw mut this.home) };
        // SAFETY: `new` made it of a box, and it is still there.
        Ok(*unsafe { Box::from_raw(this.value.as_ptr()) })
    }
}

impl<T: 'static> Drop for ThreadBound<T> {
    fn drop(&mut self) {
        let dropped = Dropped::new(self.value);
        if self.is_home() {
            // SAFETY: this is its thread.
            unsafe { dropped.drop() };
        } else if let Some(queue) = lock_std(&self.home.0).as_mut() {
            queue.push(dropped);
        }
    }
}

impl<T: Default> Default for ThreadBound<T> {
    fn default() -> Self {
        ThreadBound::new(T::default())
    }
}

impl<T> From<T> for ThreadBound<T> {
    fn from(value: T) -> Self {
        ThreadBound::new(value)
    }
}

/// Through to the value on its own thread.
impl<T: fmt::Debug> fmt::Debug for ThreadBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_get() {
            Some(value) => f.debug_tuple("ThreadBound").field(value).finish(),
            None => f.write_str("ThreadBound(<of another thread>)"),
        }
    }
}

// SAFETY: handles in it stay counted; it may be dropped on any thread.
unsafe impl<T: 'static> Trace for ThreadBound<T> {
    type Info = Leaf<Self>;

    #[inline]
    fn trace(&self, _: &mut Tracer<'_>) {}

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract nobody uses it again.
        unsafe { std::ptr::drop_in_place(self) };
    }
}

impl<T: NoHandles> NoHandles for ThreadBound<T> {}
