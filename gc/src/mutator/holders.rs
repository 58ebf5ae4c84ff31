//! Who holds pins: for statistics, for warnings, and so that a thread that is pinned is not made to wait for itself: it waits when its last pin is
//! gone.
//!
//! Every thread that pins has a [`Holder`], in a list that only grows; a holder whose thread has ended without an open pin goes to the
//! next thread that needs one. Its own thread alone writes the depth, with plain stores, so that pinning pays two of
//! them for all this. Pinning reads no clock, which would cost more than the pin: a pin's age counts from when somebody first
//! noticed it, and the collector looks at R, the earliest moment at which a pin is in anybody's way.
//!
//! Nothing here keeps an object alive: that is `pin`'s work alone.

use super::pin;
use crate::{collector, sync::lock_std};
use std::{
    cell::Cell,
    ptr::{null, null_mut},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// The pins of one thread, as others may see them.
pub(crate) struct Holder {
    /// Open guards, nested ones included.
    depth: AtomicUsize,
    /// Counts the outermost guards, so that two that follow each other are not taken for one.
    serial: AtomicU64,
    /// What its thread does once the last guard is gone: [`GIVE_BACK`], [`CATCH_UP`].
    duties: AtomicU8,
    in_use: AtomicBool,
    thread: Mutex<Option<Thread>>,
    noticed: Mutex<Noticed>,
    next: AtomicPtr<Holder>,
}

/// The thread's own data is gone: the holder goes to another.
const GIVE_BACK: u8 = 1;
/// The thread has allocated so much under its pin that it lets the collector catch up.
const CATCH_UP: u8 = 2;

/// What an observer has seen of a holder's outermost guard.
struct Noticed {
    serial: u64,
    since: Option<Instant>,
    warned: bool,
}

static HOLDERS: AtomicPtr<Holder> = AtomicPtr::new(null_mut());

thread_local! {
    /// The thread's holder, null before its first pin. Has no destructor, so it can be read at any time.
    static HOLDER: Cell<*const Holder> = const { Cell::new(null()) };
}

/// The calling thread ends. Whether it holds guards still: then the last one gives back the holder and what belongs to it; now, if there is none.
pub(super) fn outlive_thread() -> bool {
    let Some(holder) = mine() else { return false };
    let is_pinned = holder.is_open();
    if is_pinned {
        holder.owe(GIVE_BACK);
    } else {
        holder.give_back();
    }
    is_pinned
}

/// The calling thread's holder, if it has one.
#[inline]
fn mine() -> Option<&'static Holder> {
    // SAFETY: holders are never freed.
    unsafe { HOLDER.get().as_ref() }
}

/// Whether the calling thread holds a pin.
pub(crate) fn is_pinned() -> bool {
    mine().is_some_and(Holder::is_open)
}

/// If the calling thread holds a pin, has it [wait](collector::after_pin) when that is gone; whether it holds one.
pub(crate) fn catch_up_after_pin() -> bool {
    mine().filter(|holder| holder.is_open()).map(|holder| holder.owe(CATCH_UP)).is_some()
}

impl Holder {
    /// The calling thread's, with one guard more.
    #[inline]
    pub(crate) fn open() -> &'static Holder {
        let holder = mine().unwrap_or_else(Holder::first);
        let depth = holder.depth.load(Ordering::Relaxed);
        if depth == 0 {
            holder.renew();
        }
        holder.depth.store(depth + 1, Ordering::Release);
        holder
    }

    /// Whether its thread, which asks, has an open guard.
    fn is_open(&self) -> bool {
        self.depth.load(Ordering::Relaxed) > 0
    }

    /// The only guard, which was closed, is open again.
    pub(crate) fn reopen(&self) {
        self.renew();
        self.depth.store(1, Ordering::Release);
    }

    /// One guard less. Whether it was the last, and there are duties: once it is gone, by the epoch's account, too, they are to be [done](Self::do_duties).
    #[inline]
    pub(crate) fn close(&self) -> bool {
        let depth = self.depth.load(Ordering::Relaxed) - 1;
        self.depth.store(depth, Ordering::Release);
        depth == 0 && self.duties.load(Ordering::Relaxed) != 0
    }

    /// Whether the thread is to wait before its only guard is pinned anew.
    #[inline]
    pub(crate) fn must_catch_up(&self) -> bool {
        self.duties.load(Ordering::Relaxed) & CATCH_UP != 0 && self.depth.load(Ordering::Relaxed) == 1
    }

    /// Does what the thread owes, which has closed its last guard. From then on the holder may be another thread's.
    #[cold]
    pub(crate) fn do_duties(&self) {
        let duties = self.duties.load(Ordering::Relaxed);
        self.duties.store(0, Ordering::Relaxed);
        if duties & GIVE_BACK != 0 {
            self.give_back();
            pin::give_up_handle();
        }
        if duties & CATCH_UP != 0 {
            collector::after_pin();
        }
    }

    /// Waits for the collector, as the thread owes it, which is not pinned now.
    #[cold]
    pub(crate) fn catch_up(&self) {
        self.duties.store(self.duties.load(Ordering::Relaxed) & !CATCH_UP, Ordering::Relaxed);
        collector::after_pin();
    }

    fn owe(&self, duty: u8) {
        // Its own thread alone writes it.
        self.duties.store(self.duties.load(Ordering::Relaxed) | duty, Ordering::Relaxed);
    }

    /// A guard is about to be pinned anew, and is another outermost one if the thread has no other.
    #[inline]
    pub(crate) fn repin(&self) {
        if self.depth.load(Ordering::Relaxed) == 1 {
            self.renew();
        }
    }

    #[inline]
    fn renew(&self) {
        self.serial.store(self.serial.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    #[cold]
    fn first() -> &'static Holder {
        let holder = Holder::take_free().unwrap_or_else(Holder::add);
        // Outside the lock: it may run a user's allocator.
        let before = lock_std(&holder.thread).replace(thread::current());
        drop(before);
        HOLDER.set(holder);
        if pin::has_ended() {
            holder.owe(GIVE_BACK);
        }
        holder
    }

    fn take_free() -> Option<&'static Holder> {
        let take = |holder: &&Holder| {
            holder.in_use.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        holders().find(take)
    }

    fn add() -> &'static Holder {
        let holder = Box::leak(Box::new(Holder {
            depth: AtomicUsize::new(0),
            serial: AtomicU64::new(0),
            duties: AtomicU8::new(0),
            in_use: AtomicBool::new(true),
            thread: Mutex::new(None),
            noticed: Mutex::new(Noticed { serial: 0, since: None, warned: false }),
            next: AtomicPtr::new(null_mut()),
        }));
        let mut first = HOLDERS.load(Ordering::Relaxed);
        loop {
            holder.next.store(first, Ordering::Relaxed);
            match HOLDERS.compare_exchange_weak(first, holder, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return holder,
                Err(now) => first = now,
            }
        }
    }

    /// The thread needs it no more.
    fn give_back(&self) {
        HOLDER.set(null());
        self.in_use.store(false, Ordering::Release);
    }

    /// How long its outermost guard is known to have been open; `None` if it has none.
    fn notice(&self) -> Option<Duration> {
        if self.depth.load(Ordering::Acquire) == 0 {
            return None;
        }
        let serial = self.serial.load(Ordering::Relaxed);
        let mut noticed = lock_std(&self.noticed);
        if noticed.serial != serial || noticed.since.is_none() {
            *noticed = Noticed { serial, since: Some(Instant::now()), warned: false };
        }
        noticed.since.map(|since| since.elapsed())
    }

    /// Whether a warning of this guard is due for the first time.
    fn must_warn(&self) -> bool {
        !std::mem::replace(&mut lock_std(&self.noticed).warned, true)
    }

    fn describe(&self, age: Duration) -> HeldPin {
        let thread = lock_std(&self.thread).clone();
        HeldPin { thread: thread.and_then(|thread| thread.name().map(Into::into)), age }
    }
}

fn holders() -> impl Iterator<Item = &'static Holder> {
    let get = |pointer: &AtomicPtr<Holder>| {
        // SAFETY: holders are never freed; acquire: they were filled in before they were put in the list.
        unsafe { pointer.load(Ordering::Acquire).as_ref() }
    };
    std::iter::successors(get(&HOLDERS), move |holder| get(&holder.next))
}

/// A pin that some thread holds.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HeldPin {
    /// The name of the thread that holds it, if it has one.
    pub thread: Option<String>,
    /// How long it is known to have been held. Pinning reads no clock, so this counts from when the collector, or a call of
    /// [`stats`](crate::stats), first met it.
    pub age: Duration,
}

/// Guards that are open now, nested ones included.
pub(crate) fn open_pins() -> usize {
    holders().map(|holder| holder.depth.load(Ordering::Relaxed)).sum()
}

/// Notes the pins that nobody has met yet. The collector calls this at R: whoever holds it up is older than all that come later.
pub(crate) fn notice_pins() {
    holders().for_each(|holder| {
        holder.notice();
    });
}

/// Everything done under the guards that have been closed happens before what follows.
///
/// The epochs say that the guards are gone, and order it so with fences. Those are theirs; this is what the collector itself relies on, with
/// acquire loads for the release stores of each holder, when a guard is closed or pinned anew.
pub(crate) fn acquire_closed_pins() {
    holders().for_each(|holder| {
        holder.depth.load(Ordering::Acquire);
        holder.serial.load(Ordering::Acquire);
    });
}

/// One outermost guard.
#[derive(Clone, Copy)]
pub(crate) struct OpenPin {
    holder: &'static Holder,
    serial: u64,
}

impl OpenPin {
    /// Whether it is open still.
    pub(crate) fn is_held(&self) -> bool {
        let depth = self.holder.depth.load(Ordering::Acquire);
        depth > 0 && self.holder.serial.load(Ordering::Relaxed) == self.serial
    }
}

/// The pin that is known to have been held longest, and for how long.
fn oldest() -> Option<(OpenPin, Duration)> {
    let held = |holder: &'static Holder| {
        let pin = OpenPin { holder, serial: holder.serial.load(Ordering::Relaxed) };
        Some((pin, holder.notice()?))
    };
    holders().filter_map(held).max_by_key(|(_, age)| *age)
}

/// The pin that is known to have been held longest, for people.
pub(crate) fn oldest_pin() -> Option<HeldPin> {
    oldest().map(|(pin, age)| pin.holder.describe(age))
}

/// The pin that is known to have been held longest, if that is at least `age`.
pub(crate) fn pin_held_for(age: Duration) -> Option<OpenPin> {
    oldest().filter(|(_, held)| *held >= age).map(|(pin, _)| pin)
}

/// Calls `warn` for each pin that is known to have been held for `after`, once for each.
pub(crate) fn warn_of_old_pins(after: Duration, mut warn: impl FnMut(&HeldPin)) {
    for holder in holders() {
        if let Some(age) = holder.notice()
            && age >= after
            && holder.must_warn()
        {
            warn(&holder.describe(age));
        }
    }
}
