//! AddressSanitizer sees a use of memory that our heap has freed, if it is told (`--cfg graphgc_asan`). Without it there is nothing to test.

#![cfg(graphgc_asan)]

use graphgc::{Gc, Outcome, Trace, collect};
use graphgc_tests::{
    payload::{Leaf, new_id},
    process::{is_child, run_test_alone},
};

/// In a process of its own, uses a pointer that `body` returns and that leads to freed memory, and sees that this is reported.
#[track_caller]
fn is_reported<T>(test: &str, body: impl FnOnce() -> *const T) {
    if is_child() {
        let dangling = body().cast::<u8>();
        eprintln!("using {dangling:p}");
        // SAFETY: none; the address is mapped, and the process does not get further.
        let byte = unsafe { std::ptr::read_volatile(dangling) };
        panic!("a freed byte could be read: {byte}");
    }
    let output = run_test_alone(test, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("using 0x"), "{}\n{said}", output.status);
    assert!(said.contains("AddressSanitizer: use-after-poison"), "{said}");
}

/// Makes an object, frees it and returns where its payload was. A neighbour keeps the span in use.
fn freed<T: Trace>(make: impl Fn() -> T) -> *const T {
    let (neighbour, object) = (Gc::new(make()), Gc::new(make()));
    let payload = Gc::as_ptr(&object);
    // SAFETY: the object is alive.
    _ = unsafe { std::ptr::read_volatile(payload.cast::<u8>()) };
    drop(object);
    assert_eq!(collect().outcome, Outcome::Settled);
    std::mem::forget(neighbour);
    payload
}

#[test]
fn plain_slot() {
    is_reported("plain_slot", || freed(|| [1u64; 5]));
}

#[test]
fn slot_whose_value_freed_memory() {
    is_reported("slot_whose_value_freed_memory", || freed(|| String::from("text")));
}

#[test]
fn slot_whose_value_was_dropped_by_the_dropper() {
    is_reported("slot_whose_value_was_dropped_by_the_dropper", || freed(|| Leaf::new(new_id())));
}

#[test]
fn large_object() {
    is_reported("large_object", || freed(|| [1u64; 10_000]));
}

#[test]
fn span_that_was_given_back() {
    is_reported("span_that_was_given_back", || {
        let object = Gc::new([1u8; 3000]);
        let payload = Gc::as_ptr(&object);
        drop(object);
        assert_eq!(collect().outcome, Outcome::Settled);
        payload
    });
}

#[test]
fn slot_that_is_nobodys_yet() {
    is_reported("slot_that_is_nobodys_yet", || {
        let object = Gc::new([1u64; 5]);
        // Slots of 48 bytes, taken one after the other.
        let next = Gc::as_ptr(&object).cast::<u8>().wrapping_add(48);
        std::mem::forget(object);
        next
    });
}
