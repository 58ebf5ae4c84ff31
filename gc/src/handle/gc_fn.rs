//! `GcFn`: a function and the environment that it works on, which the collector can look into.

use super::Gc;
use crate::trace::{
    Trace, Tracer,
    facts::{Both, Leaf},
};
use std::fmt;

/// An environment and a plain function: what a closure is, with the captured values where the collector finds them.
struct Closure<Env, Args, Ret> {
    env: Env,
    code: fn(&Env, Args) -> Ret,
}

/// Any closure of one signature.
trait Call<Args, Ret>: Trace {
    fn call(&self, args: Args) -> Ret;
}

impl<Env: Trace, Args: 'static, Ret: 'static> Call<Args, Ret> for Closure<Env, Args, Ret> {
    fn call(&self, args: Args) -> Ret {
        (self.code)(&self.env, args)
    }
}

// SAFETY: the environment is passed to its own `Trace`; the other field is the address of a function.
unsafe impl<Env: Trace, Args: 'static, Ret: 'static> Trace for Closure<Env, Args, Ret> {
    // Of two parts: should the environment have a finalizer, that is for objects, and this is another.
    type Info = Both<Env::Info, Leaf<()>>;

    #[inline]
    fn slot_facts(&self) -> Option<crate::trace::SlotFacts> {
        Some(crate::trace::SlotFacts::of::<Self>())
    }

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.env.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.env.drop_swept() };
    }
}

macro_rules! gc_fn {
    ($(#[$docs:meta])* $name:ident: dyn Call $(+ $auto:ident)*) => {
        $(#[$docs])*
        pub struct $name<Args: 'static, Ret: 'static = ()> {
            closure: Gc<dyn Call<Args, Ret> $(+ $auto)*>,
        }

        impl<Args: 'static, Ret: 'static> $name<Args, Ret> {
            /// Moves the environment into the heap, with the function that is called with it: as a closure that captures nothing, in most
            /// cases.
            pub fn new<Env: Trace $(+ $auto)*>(env: Env, code: fn(&Env, Args) -> Ret) -> Self {
                let closure = Gc::new(Closure { env, code });
                $name { closure: closure.unsize::<dyn Call<Args, Ret> $(+ $auto)*>(|p| p) }
            }

            /// Calls the function. Several arguments are a tuple.
            #[inline]
            pub fn call(&self, args: Args) -> Ret {
                self.closure.call(args)
            }

            /// Whether both have the same environment.
            pub fn ptr_eq(this: &Self, other: &Self) -> bool {
                Gc::ptr_eq(&this.closure, &other.closure)
            }
        }

        /// Another handle to the same function and environment.
        impl<Args: 'static, Ret: 'static> Clone for $name<Args, Ret> {
            fn clone(&self) -> Self {
                $name { closure: self.closure.clone() }
            }
        }

        impl<Args: 'static, Ret: 'static> fmt::Debug for $name<Args, Ret> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        // SAFETY: the handle is passed to its own `Trace`.
        unsafe impl<Args: 'static, Ret: 'static> Trace for $name<Args, Ret> {
            type Info = crate::trace::facts::Handle;

            #[inline]
            fn slot_facts(&self) -> Option<crate::trace::SlotFacts> {
                Some(crate::trace::SlotFacts::of::<Self>())
            }

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                self.closure.trace(tracer);
            }

            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract.
                unsafe { self.closure.drop_swept() };
            }
        }
    };
}

gc_fn! {
    /// A function with an environment that the collector can look into, as a value: the garbage-collected world's `Rc<dyn Fn(Args) -> Ret>`.
    ///
    /// What a closure of Rust captures nobody can look into: handles in it count as roots, so that a cycle through it is a leak. Here they are given as a
    /// value that is `Trace`. Two words; a clone is a clone of a handle. For one thread; [`GcSyncFn`] goes between threads.
    ///
    /// ```
    /// use graphgc::{Gc, GcFn, GcRefCell, Trace};
    ///
    /// #[derive(Trace)]
    /// struct Button { label: String, on_click: GcRefCell<Vec<GcFn<u32, String>>> }
    ///
    /// let button = Gc::new(Button { label: "OK".into(), on_click: GcRefCell::default() });
    /// // A cycle: the button owns the function, the function the button.
    /// let clicked = GcFn::new(button.clone(), |button, times| format!("{} was clicked {times} times", button.label));
    /// button.on_click.borrow_mut().push(clicked.clone());
    /// assert_eq!(clicked.call(2), "OK was clicked 2 times");
    /// ```
    GcFn: dyn Call
}

gc_fn! {
    /// A [`GcFn`] that may be sent to, shared between, and called on several threads: the garbage-collected world's `Arc<dyn Fn(Args) -> Ret + Send + Sync>`.
    ///
    /// ```
    /// use graphgc::{Gc, GcMutex, GcSyncFn};
    ///
    /// let count = Gc::new(GcMutex::new(0));
    /// let add = GcSyncFn::new(count.clone(), |count, number| *count.lock() += number);
    /// let other = add.clone();
    /// std::thread::spawn(move || other.call(1)).join().unwrap();
    /// add.call(2);
    /// assert_eq!(*count.lock(), 3);
    /// ```
    GcSyncFn: dyn Call + Send + Sync
}
