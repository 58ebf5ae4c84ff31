//! The operating system: address space, memory, and a barrier in every thread of the process. All platform code is
//! here.
//!
//! Memory comes in two steps. `reserve` takes address space, which costs nothing; `commit` makes part of it
//! accessible, reading as zero, and costs memory once it is touched. `discard` gives the memory of a committed range
//! back but keeps it accessible, with any content. `release` undoes `reserve`.
//!
//! Lengths and addresses may be multiples of the heap's 8 KiB pages although the OS has larger ones: `commit` and
//! `release` round outwards, `discard` rounds inwards. So two ranges that share one page of the OS must belong to
//! one reservation.
//!
//! The barrier is one half of an asymmetric fence. If [`register_barrier`] says true, the frequent side needs only a
//! compiler fence, and [`heavy_barrier`] on the rare side acts as a sequentially consistent fence of every thread. If
//! it says false, both sides must fence, and `heavy_barrier` is such a fence. Tools that follow each access
//! (ThreadSanitizer, loom, Miri) do not understand the former, so there it is always false.

#[cfg(graphgc_loom)]
#[path = "modelled.rs"]
pub(crate) mod platform;
#[cfg(all(unix, not(graphgc_loom)))]
#[path = "unix.rs"]
mod platform;
#[cfg(all(windows, not(graphgc_loom)))]
#[path = "windows.rs"]
mod platform;

use crate::sync::{Ordering, fence};
use std::{ffi::CStr, io::Write, ptr::NonNull};

/// Ends the process, since going on would not be safe. Not by `eprintln`: that panics if nobody reads the message, and whoever
/// catches the panic goes on.
#[cold]
pub(crate) fn end_process(why: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "graphgc: {why}");
    std::process::abort()
}

/// Address space of `size` bytes, aligned to `align` (a power of two), that must not be accessed yet. `None` if the
/// OS refuses.
pub(crate) fn reserve(size: usize, align: usize) -> Option<NonNull<u8>> {
    debug_assert!(size > 0 && align.is_power_of_two());
    if fault::refuses() {
        return None;
    }
    let start = platform::reserve(size, align)?;
    // Heads of arenas, spans and objects are found by address.
    start.as_ptr().expose_provenance();
    Some(start)
}

/// Makes part of a reservation readable and writable; what was not accessible before reads as zero. Says whether the
/// OS did it. What has been committed already stays as it is.
pub(crate) fn commit(ptr: NonNull<u8>, len: usize) -> bool {
    !fault::refuses() && platform::commit(ptr, len)
}

/// Gives the memory of a committed range back. The range stays accessible and holds anything.
///
/// # Safety
/// Nobody needs the content of the range or accesses it during the call.
pub(crate) unsafe fn discard(ptr: NonNull<u8>, len: usize) {
    // SAFETY: by contract.
    unsafe { platform::discard(ptr, len) }
}

/// Gives a whole reservation back, `ptr` and `len` as of [`reserve`].
///
/// # Safety
/// Nobody accesses the range any more.
pub(crate) unsafe fn release(ptr: NonNull<u8>, len: usize) {
    // SAFETY: by contract.
    unsafe { platform::release(ptr, len) }
}

/// What the OS is to back a committed range with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backing {
    /// The largest pages it has for where the range is touched first.
    Large,
    /// What it has now: pages that have been given back come one by one when they are touched.
    AsItIs,
}

/// Says what to back a range with, where the OS can be told. Nothing depends on it but speed.
pub(crate) fn back(ptr: NonNull<u8>, len: usize, backing: Backing) {
    platform::back(ptr, len, backing);
}

/// Has a committed range hold memory, its content as it is, where the OS can do that without an access of ours.
pub(crate) fn touch(ptr: NonNull<u8>, len: usize) {
    platform::touch(ptr, len);
}

/// Names a range in the OS's own account of the process (`/proc/self/maps`), where it can.
pub(crate) fn name(ptr: NonNull<u8>, len: usize, name: &'static CStr) {
    platform::name(ptr, len, name);
}

/// Whether [`heavy_barrier`] reaches every thread by itself from now on; see the module's head.
pub(crate) fn register_barrier() -> bool {
    let can = !cfg!(any(graphgc_tsan, graphgc_loom, miri)) && platform::register_barrier();
    registered::set(can);
    can
}

/// A sequentially consistent fence: in all threads of the process if [`register_barrier`] said true, in this one
/// otherwise.
pub(crate) fn heavy_barrier() {
    fence(Ordering::SeqCst);
    if registered::get() {
        platform::heavy_barrier();
    }
}

/// Whether the platform's barrier is in use. Not part of any protocol, hence not from `crate::sync`.
mod registered {
    use std::sync::atomic::{AtomicBool, Ordering};

    static REGISTERED: AtomicBool = AtomicBool::new(false);

    pub(super) fn set(value: bool) {
        REGISTERED.store(value, Ordering::Relaxed);
    }

    pub(super) fn get() -> bool {
        REGISTERED.load(Ordering::Relaxed)
    }
}

/// Makes the OS look as if it refused, for tests.
///
/// The switch is global, so tests that use it must not run beside others in one process. In this crate's own unit
/// tests, which run side by side, it is each thread's own instead.
///
/// Its state is one word: 0 refuses nothing; otherwise the low bits count the calls down to the first that is refused
/// (1: the next one), and the top bit says that this one is the only one.
pub(crate) mod fault {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const ONCE: u64 = 1 << 63;

    #[cfg(not(test))]
    fn with_state<R>(f: impl FnOnce(&AtomicU64) -> R) -> R {
        static STATE: AtomicU64 = AtomicU64::new(0);
        f(&STATE)
    }

    #[cfg(test)]
    fn with_state<R>(f: impl FnOnce(&AtomicU64) -> R) -> R {
        thread_local!(static STATE: AtomicU64 = const { AtomicU64::new(0) });
        STATE.with(f)
    }

    /// From the `n`th following `reserve` or `commit` on (1: the next one), all are refused.
    pub(crate) fn refuse_from(n: u64) {
        with_state(|state| state.store(n.clamp(1, !ONCE), Relaxed));
    }

    /// The `n`th following `reserve` or `commit` (1: the next one) is refused, and no other.
    pub(crate) fn refuse_nth(n: u64) {
        with_state(|state| state.store(n.clamp(1, !ONCE) | ONCE, Relaxed));
    }

    /// Nothing is refused any more.
    pub(crate) fn allow() {
        with_state(|state| state.store(0, Relaxed));
    }

    /// Whether the call that [`refuse_nth`] has chosen is still to come.
    pub(crate) fn is_to_come() -> bool {
        with_state(|state| state.load(Relaxed) != 0)
    }

    /// Whether this call is to be refused; counts it.
    #[inline]
    pub(super) fn refuses() -> bool {
        with_state(|state| state.load(Relaxed) != 0 && count_down(state))
    }

    #[cold]
    fn count_down(state: &AtomicU64) -> bool {
        let next = |seen| match seen {
            0 => None,
            1 => Some(1),
            _ if seen == 1 | ONCE => Some(0),
            _ => Some(seen - 1),
        };
        state.fetch_update(Relaxed, Relaxed, next).is_ok_and(|seen| seen & !ONCE == 1)
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn bytes<'a>(ptr: NonNull<u8>, len: usize) -> &'a mut [u8] {
        // SAFETY: the tests pass ranges that they have committed and use no other way.
        unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr(), len) }
    }

    #[test]
    fn reservations_are_aligned() {
        for align in [1, 128, 8 << 10, MIB, 64 * MIB] {
            for size in [8 << 10, 24 << 10, 3 * MIB] {
                let ptr = reserve(size, align).unwrap();
                assert_eq!(ptr.addr().get() % align, 0);
                // SAFETY: nothing else knows the range.
                unsafe { release(ptr, size) };
            }
        }
    }

    #[test]
    fn what_the_os_is_told_changes_no_content() {
        let ptr = reserve(8 * MIB, 2 * MIB).unwrap();
        assert!(commit(ptr, 6 * MIB));
        bytes(ptr, MIB).fill(7);
        back(ptr, 4 * MIB, Backing::Large);
        touch(ptr, 6 * MIB);
        back(ptr, 2 * MIB, Backing::AsItIs);
        let content = bytes(ptr, 6 * MIB);
        assert!(content[..MIB].iter().all(|byte| *byte == 7) && content[MIB..].iter().all(|byte| *byte == 0));
        // SAFETY: nothing else knows the range.
        unsafe { release(ptr, 8 * MIB) };
    }

    #[test]
    fn committed_memory_is_zero_and_ours() {
        let ptr = reserve(4 * MIB, MIB).unwrap();
        assert!(commit(ptr, 8 << 10));
        assert!(bytes(ptr, 8 << 10).iter().all(|byte| *byte == 0));
        bytes(ptr, 8 << 10).fill(7);
        assert!(commit(ptr, MIB), "again, and further");
        assert!(bytes(ptr, 8 << 10).iter().all(|byte| *byte == 7));
        assert!(bytes(ptr, MIB)[8 << 10..].iter().all(|byte| *byte == 0));
        // SAFETY: nobody needs the content.
        unsafe { discard(ptr, MIB) };
        bytes(ptr, MIB).fill(9);
        assert!(bytes(ptr, MIB).iter().all(|byte| *byte == 9));
        // SAFETY: nothing else knows the range.
        unsafe { release(ptr, 4 * MIB) };
    }

    #[test]
    fn an_impossible_reservation_is_refused() {
        assert_eq!(reserve(usize::MAX / 2, 64 * MIB), None);
        assert_eq!(reserve(usize::MAX - 5, 64 * MIB), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn discarded_memory_leaves_the_process() {
        let ptr = reserve(MIB, MIB).unwrap();
        assert!(commit(ptr, MIB));
        bytes(ptr, MIB).fill(1);
        // SAFETY: nobody needs the content.
        unsafe { discard(ptr, MIB) };
        assert!(bytes(ptr, MIB).iter().all(|byte| *byte == 0), "Linux gives fresh pages");
        // SAFETY: nothing else knows the range.
        unsafe { release(ptr, MIB) };
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_show_in_maps() {
        let ptr = reserve(MIB, MIB).unwrap();
        name(ptr, MIB, c"graphgc test name");
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = format!("{:x}-", ptr.addr());
        let line = maps.lines().find(|line| line.trim_start_matches('0').starts_with(&start)).unwrap();
        if platform::can_name(ptr, MIB) {
            assert!(line.ends_with("[anon:graphgc test name]"), "{line}");
        }
        // SAFETY: nothing else knows the range.
        unsafe { release(ptr, MIB) };
    }

    #[test]
    fn barrier_works_registered_or_not() {
        heavy_barrier();
        let first = register_barrier();
        assert_eq!(register_barrier(), first);
        heavy_barrier();
    }

    #[test]
    fn faults_hit_the_calls_they_should() {
        let ptr = reserve(MIB, MIB).unwrap();
        let outcomes = || [(); 4].map(|()| commit(ptr, 8 << 10));
        assert_eq!(outcomes(), [true; 4]);
        fault::refuse_nth(2);
        assert_eq!(outcomes(), [true, false, true, true]);
        fault::refuse_from(3);
        assert_eq!(outcomes(), [true, true, false, false]);
        assert_eq!(reserve(MIB, MIB), None);
        fault::allow();
        assert_eq!(outcomes(), [true; 4]);
        // SAFETY: nothing else knows the range.
        unsafe { release(ptr, MIB) };
    }
}
