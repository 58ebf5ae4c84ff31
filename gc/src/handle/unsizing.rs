//! Unsizing on stable Rust: from `Gc<Circle>` to `Gc<dyn Shape>`, from `Gc<[T; N]>` to `Gc<[T]>`.
//!
//! The compiler adds the vtable or the length, in a closure that the user writes (`|p| p`), by the coercion that it knows for references. A closure
//! could return something else, and anything else would be a forgery: another address, a vtable or a length that is not this object's.
//! So the closure is not given a reference to the content but one to an [`Unsizing`] around it, and must return one:
//!
//! - nobody outside this module can make a value of that type, or get at what is in it;
//! - the closure must work for every lifetime, so what it returns was given to it in this very call, or is `'static`, which no such reference is;
//! - the only thing that safe code can do with it that changes its type is the coercion, which the language allows because the content is the last
//!   field. It leaves the address alone and adds what is true of the type.
//!
//! So a handle made in this way is true by construction, and nothing is checked when the program runs.

use super::Gc;
use std::{any::Any, ptr::NonNull};

/// A content on its way to another type, in the closure of [`Gc::unsize`]; good for nothing else.
///
/// ```compile_fail,E0423
/// let forged = graphgc::Unsizing(7);
/// ```
///
/// ```compile_fail,E0616
/// use graphgc::Gc;
///
/// Gc::new((1_u8, 2_u8)).unsize::<(u8, u8)>(|pair| { let part = &pair.0; pair });
/// ```
#[repr(transparent)]
pub struct Unsizing<T: ?Sized>(T);

impl<T: ?Sized> Gc<T> {
    /// The same handle under a type without a size: `dyn Trait`, a slice instead of an array, a supertrait. The closure is always `|p| p`:
    /// the compiler's own coercion happens in it, and nothing else can.
    ///
    /// Cost: none; the handle becomes two words wide.
    ///
    /// ```
    /// use graphgc::{Gc, Trace};
    ///
    /// trait Shape: Trace {
    ///     fn area(&self) -> f64;
    /// }
    ///
    /// #[derive(Trace)]
    /// struct Square(f64);
    ///
    /// impl Shape for Square {
    ///     fn area(&self) -> f64 {
    ///         self.0 * self.0
    ///     }
    /// }
    ///
    /// let shape = Gc::new(Square(3.0)).unsize::<dyn Shape>(|p| p);
    /// assert_eq!(shape.area(), 9.0);
    ///
    /// let slice = Gc::new([1, 2, 3]).unsize::<[i32]>(|p| p);
    /// assert_eq!(slice.len(), 3);
    /// ```
    ///
    /// With `Trace` as a supertrait, as here, such handles may be fields of other objects.
    #[inline]
    pub fn unsize<U: ?Sized>(self, coerce: impl for<'a> FnOnce(&'a Unsizing<T>) -> &'a Unsizing<U>) -> Gc<U> {
        // SAFETY: `Unsizing<T>` is laid out like `T`, and `self` keeps the object.
        let wrapped = unsafe { &*(Gc::as_ptr(&self) as *const Unsizing<T>) };
        let coerced = NonNull::from(&coerce(wrapped).0);
        debug_assert!(std::ptr::addr_eq(coerced.as_ptr(), Gc::as_ptr(&self)), "only a coercion gets here");
        _ = Gc::into_payload(self);
        // SAFETY: the payload is the same under another type that is true of it (see the module's head); the count goes with it.
        unsafe { Gc::from_payload(coerced) }
    }
}

/// `dyn Any`, with whatever it can be besides.
macro_rules! downcast {
    ($($any:ty),*) => { $(
        impl Gc<$any> {
            /// The handle to a `T`, if that is what the object is.
            ///
            /// # Errors
            /// Gives the handle back if it is something else.
            ///
            /// ```
            /// use graphgc::Gc;
            /// use std::any::Any;
            ///
            #[doc = concat!("let any = Gc::new(7_u32).unsize::<", stringify!($any), ">(|p| p);")]
            /// let any = any.downcast::<String>().unwrap_err();
            /// assert_eq!(*any.downcast::<u32>().unwrap(), 7);
            /// ```
            pub fn downcast<T: Any>(self) -> Result<Gc<T>, Self> {
                if !(*self).is::<T>() {
                    return Err(self);
                }
                // SAFETY: the object is a `T`; the count goes with it.
                Ok(unsafe { Gc::from_payload(Gc::into_payload(self).cast()) })
            }
        }

        // SAFETY: as for every handle (`gc`). What the object is, its header says.
        unsafe impl crate::Trace for Gc<$any> {
            type Info = crate::trace::facts::Handle;

            #[inline]
            fn trace(&self, tracer: &mut crate::trace::Tracer<'_>) {
                tracer.handle(self.as_counted(), None);
            }

            unsafe fn drop_swept(&mut self) {}
        }
    )* };
}

downcast!(dyn Any, dyn Any + Send, dyn Any + Send + Sync);
