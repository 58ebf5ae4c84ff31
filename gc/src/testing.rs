//! Hooks for the project's own tests. Not part of the interface: they change without notice.

pub mod corrupt;

/// Makes the operating system refuse memory, as the heap sees it.
pub mod fault {
    use crate::heap::os::fault;

    /// From the `n`th following request on (1: the next one) all are refused.
    pub fn refuse_from(n: u64) {
        fault::refuse_from(n);
    }

    /// The `n`th following request (1: the next one) is refused, and no other.
    pub fn refuse_nth(n: u64) {
        fault::refuse_nth(n);
    }

    /// Whether the request that [`refuse_nth`] has chosen has not come yet.
    #[must_use = "only asks"]
    pub fn is_to_come() -> bool {
        fault::is_to_come()
    }

    /// Nothing is refused any more.
    pub fn allow() {
        fault::allow();
    }
}

/// Keeps a cycle that is marking from ending, as a pin does, until dropped.
#[must_use = "holds as long as it lives"]
pub struct MarkingHeld(#[expect(dead_code, reason = "held")] crate::sync::epoch::Guard);

impl MarkingHeld {
    /// Holds from now on.
    #[expect(clippy::new_without_default, reason = "an action")]
    pub fn new() -> Self {
        MarkingHeld(crate::mutator::pin::pin())
    }
}

/// Makes the barriers forget to shade (`true`), or shade again. In builds with debug assertions only.
#[cfg(debug_assertions)]
pub fn forget_to_shade(on: bool) {
    crate::collector::grey::fault::skip(on);
}

/// Whether a cycle is marking now.
pub fn is_marking() -> bool {
    crate::mutator::record::WORLD.phase().is_marking()
}

/// Asks for a cycle without waiting for it.
pub fn request_cycle() {
    crate::collector::request();
}

/// Steps that markers have ever taken among ephemerons that wait for their keys.
pub fn ephemeron_work() -> u64 {
    crate::collector::ephemerons::WAITING.work()
}

/// What is wrong with the page heap; nothing, one hopes.
pub fn check_pages() -> Vec<String> {
    crate::heap::HEAP.pages.check()
}
