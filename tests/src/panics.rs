//! Panics that are part of a test: caught, and not shown.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::Once,
};

const EXPECTED: &str = "expected by the test";

/// Panics with a message that is not shown. Pretends to return what is asked for, so that the code around it is as usual.
///
/// # Panics
/// Always.
pub fn panic_quietly<T>() -> T {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&EXPECTED) {
                usual(info);
            }
        }));
    });
    std::panic::panic_any(EXPECTED)
}

/// Whether `body` ended by [`panic_quietly`].
///
/// # Panics
/// If `body` panics in another way.
#[track_caller]
pub fn panics_quietly<R>(body: impl FnOnce() -> R) -> bool {
    let Err(panic) = catch_unwind(AssertUnwindSafe(body)) else { return false };
    assert_eq!(panic.downcast_ref::<&str>(), Some(&EXPECTED), "another panic than the test's");
    true
}

/// Whether `body` panics, and the panic names a line of the caller's file, as it does if the function that panics says `#[track_caller]`.
#[track_caller]
pub fn panics_here<R>(body: impl FnOnce() -> R) -> bool {
    thread_local!(static FILE: Cell<Option<String>> = const { Cell::new(None) });
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            FILE.set(info.location().map(|place| place.file().to_owned()));
            usual(info);
        }));
    });
    FILE.set(None);
    catch_unwind(AssertUnwindSafe(body)).is_err() && FILE.take().as_deref() == Some(Location::caller().file())
}
