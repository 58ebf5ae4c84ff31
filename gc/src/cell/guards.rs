//! Guards: a right to a cell's content, and where in the content it leads. One macro for the guards of all cells.

/// Defines a guard that reads (`Reading`, `Borrowed`) or writes (`Writing`, `BorrowedMut`) a value of type `T` in a cell.
macro_rules! guard {
    ($(#[$docs:meta])* $name:ident, reading, maps to $mapped:ident) => {
        guard!(@define $(#[$docs])* $name, crate::cell::lock_cell::Reading<'a>, *const T);
        guard!(@map_shared $name, $mapped);
    };
    ($(#[$docs:meta])* $name:ident, borrowed, maps to $mapped:ident) => {
        guard!(@define $(#[$docs])* $name, crate::cell::borrow::Borrowed<'a>, *const T);
        guard!(@map_shared $name, $mapped);
    };
    ($(#[$docs:meta])* $name:ident, writing, maps to $mapped:ident) => {
        guard!(@write $(#[$docs])* $name, crate::cell::lock_cell::Writing<'a>, $mapped);
    };
    ($(#[$docs:meta])* $name:ident, borrowed mutably, maps to $mapped:ident) => {
        guard!(@write $(#[$docs])* $name, crate::cell::borrow::BorrowedMut<'a>, $mapped);
    };
    (@write $(#[$docs:meta])* $name:ident, $right:ty, $mapped:ident) => {
        guard!(@define $(#[$docs])* $name, $right, *mut T);
        guard!(@map_mut $name, $mapped);

        impl<T: ?Sized> std::ops::DerefMut for $name<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: the right to write is ours alone, and `&mut self` keeps this guard's references apart.
                unsafe { &mut *self.value }
            }
        }
    };
    (@define $(#[$docs:meta])* $name:ident, $right:ty, $pointer:ty) => {
        $(#[$docs])*
        #[must_use = "the cell is given up as soon as the guard is dropped"]
        pub struct $name<'a, T: ?Sized> {
            value: $pointer,
            right: $right,
            /// What the guard gives access to, for variance and auto traits.
            content: std::marker::PhantomData<&'a mut T>,
        }

        // SAFETY: never so, as nothing has the bound: it says why.
        unsafe impl<'never, T: ?Sized> Send for $name<'_, T> where Self: crate::handle::tied::LeavesItsThread<'never> {}

        impl<T: ?Sized> std::ops::Deref for $name<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                // SAFETY: the right keeps writers out (or is the writer's own) while the guard lives.
                unsafe { &*self.value }
            }
        }

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + std::fmt::Display> std::fmt::Display for $name<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
    (@map_shared $name:ident, $mapped:ident) => {
        impl<'a, T: ?Sized> $name<'a, T> {
            /// A guard of a part of the content.
            ///
            /// An associated function, so that it hides no method of the content's.
            pub fn map<U: ?Sized>(this: Self, part: impl FnOnce(&T) -> &U) -> $mapped<'a, U> {
                let value: *const U = part(&this);
                $mapped { value, right: this.right, content: std::marker::PhantomData }
            }

            /// A guard of a part of the content, if there is one.
            ///
            /// # Errors
            /// Gives the guard back if `part` finds nothing.
            pub fn filter_map<U: ?Sized>(
                this: Self,
                part: impl FnOnce(&T) -> Option<&U>,
            ) -> Result<$mapped<'a, U>, Self> {
                match part(&this).map(std::ptr::from_ref) {
                    Some(value) => Ok($mapped { value, right: this.right, content: std::marker::PhantomData }),
                    None => Err(this),
                }
            }
        }
    };
    (@map_mut $name:ident, $mapped:ident) => {
        impl<'a, T: ?Sized> $name<'a, T> {
            /// A guard of a part of the content.
            ///
            /// An associated function, so that it hides no method of the content's.
            pub fn map<U: ?Sized>(mut this: Self, part: impl FnOnce(&mut T) -> &mut U) -> $mapped<'a, U> {
                let value: *mut U = part(&mut this);
                $mapped { value, right: this.right, content: std::marker::PhantomData }
            }

            /// A guard of a part of the content, if there is one.
            ///
            /// # Errors
            /// Gives the guard back if `part` finds nothing.
            pub fn filter_map<U: ?Sized>(
                mut this: Self,
                part: impl FnOnce(&mut T) -> Option<&mut U>,
            ) -> Result<$mapped<'a, U>, Self> {
                match part(&mut this).map(std::ptr::from_mut) {
                    Some(value) => Ok($mapped { value, right: this.right, content: std::marker::PhantomData }),
                    None => Err(this),
                }
            }
        }
    };
}

pub(crate) use guard;
