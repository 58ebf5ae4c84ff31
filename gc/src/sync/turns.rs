//! Loom's atomics, with every order of their accesses explored where a model asks for it.
//!
//! Loom (0.7) remembers one access of each atomic, the last. When a thread loads and then stores, the store hides the load: that another thread's access could have come before the load
//! is never found out, and the schedule is never tried (loom's issues 166 and 392). So, if the model wants it ([`with_turns`]), each atomic has a companion here, which is used before
//! every access: these uses all depend on each other, and loom tries all orders of them.
//!
//! The companion is a condition that nobody waits for. To notify it is a step of its thread, and orders nothing: no access happens before another for it, and no fence synchronises
//! through it, as fences would through one more atomic. So a load still sees every value that it may.
//!
//! `every_order_of_loads_and_stores_is_tried` (`models`) counts outcomes.

pub(crate) use loom::sync::atomic::Ordering;
use loom::sync::{Condvar, atomic};
use std::cell::Cell;

// Std's: loom runs all threads of a model on the one that checks it.
thread_local!(static TURNS: Cell<bool> = const { Cell::new(false) });

/// Runs `f`, in whose models, if `turns` says so, the accesses of each atomic come in every order.
#[cfg(test)]
pub(crate) fn with_turns<R>(turns: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            TURNS.set(self.0);
        }
    }
    let _restore = Restore(TURNS.replace(turns));
    f()
}

macro_rules! turned {
    ($name:ident, $value:ty $(, <$parameter:ident>)?; $($operation:ident),*) => {
        /// See the module's head.
        #[derive(Debug)]
        pub(crate) struct $name$(<$parameter>)? {
            turn: Option<Box<Condvar>>,
            inner: atomic::$name$(<$parameter>)?,
        }

        impl$(<$parameter>)? $name$(<$parameter>)? {
            pub(crate) fn new(value: $value) -> Self {
                Self { turn: TURNS.get().then(Box::default), inner: atomic::$name::new(value) }
            }

            fn taking_turn(&self) -> &atomic::$name$(<$parameter>)? {
                if let Some(turn) = &self.turn {
                    turn.notify_all();
                }
                &self.inner
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.taking_turn().load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.taking_turn().store(value, order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.taking_turn().swap(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.taking_turn().compare_exchange(current, new, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.taking_turn().compare_exchange_weak(current, new, success, failure)
            }

            $(pub(crate) fn $operation(&self, value: $value, order: Ordering) -> $value {
                self.taking_turn().$operation(value, order)
            })*
        }
    };
}

turned!(AtomicBool, bool; fetch_or, fetch_and);
turned!(AtomicU8, u8; fetch_add, fetch_sub, fetch_or, fetch_and, fetch_xor);
turned!(AtomicU16, u16; fetch_add, fetch_sub, fetch_or, fetch_and, fetch_xor);
turned!(AtomicU32, u32; fetch_add, fetch_sub, fetch_or, fetch_and, fetch_xor);
turned!(AtomicU64, u64; fetch_add, fetch_sub, fetch_or, fetch_and, fetch_xor, fetch_max);
turned!(AtomicUsize, usize; fetch_add, fetch_sub, fetch_or, fetch_and, fetch_xor, fetch_max);
turned!(AtomicPtr, *mut T, <T>; );

impl<T> AtomicPtr<T> {
    /// # Safety
    /// Nobody else writes to it meanwhile.
    pub(crate) unsafe fn unsync_load(&self) -> *mut T {
        // SAFETY: by contract.
        unsafe { self.taking_turn().unsync_load() }
    }
}

macro_rules! zero {
    ($($name:ident),*) => { $(impl Default for $name { fn default() -> Self { Self::new(Default::default()) } })* };
}

zero!(AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self::new(std::ptr::null_mut())
    }
}
