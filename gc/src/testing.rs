//! Hooks for the project's own tests. Not part of the interface: they change without notice.

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

    /// Nothing is refused any more.
    pub fn allow() {
        fault::allow();
    }
}

/// What is wrong with the page heap; nothing, one hopes.
pub fn check_pages() -> Vec<String> {
    crate::heap::HEAP.pages.check()
}
