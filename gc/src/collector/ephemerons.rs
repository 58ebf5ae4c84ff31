//! Ephemerons, the collector's side: values that are kept only while their keys are, also where a value leads to its own key.
//!
//! An ephemeron (and an entry of a `WeakMap`) is an object with an [`EphemeronWord`] in it: the addresses of a key, which it does not keep, and of a value. A marker that traces
//! one shades the value if the key is marked. Otherwise the word *waits*: it is chained to others in a table by its key's address. Whoever marks an object for which something
//! may wait greys it, even if it holds no handles; the marker that takes a grey object wakes the words that wait for it, and shades their values. So each word is traced once, put in the table
//! at most once and woken at most once: a chain of ephemerons in the worst order costs what one in the best order costs.
//!
//! No wake-up is lost: the one who waits puts the word in the table and then looks at the mark; the one who marks sets the mark and then looks at the chain. All four are in one
//! total order (`SeqCst`), so at least one of them sees the other.
//!
//! At S2 nothing is grey, so what still waits has a white key, and everything that is reached and has a white key waits. Before any span is swept `clear_dead` makes these words
//! forget key and value; weak handles are cleared at the same time. Until then who reads a word looks at the key's mark bit, as for weak handles. What finalizers keep is
//! marked in the same way after that, and cleared in the same way before finalizers see it.
//!
//! A word that is born while marking is black, and its key and value are shaded, so it never waits in that cycle. An object's word is always claimed: it lies directly in an
//! object, never in a cell's content.
//!
//! The table has as many chains as there are words at most, by last cycle's count, and is remade between cycles. Its lock is taken by markers and by the
//! collector, never in an operation.

use super::grey::mark_bit;
use crate::{
    heap::{
        HEAP,
        header::{Header, Object},
    },
    mutator::Operation,
    sync::{AtomicPtr, Mutation, Mutex, Ordering, const_fn, global, lock, weakened},
};
use std::{
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicPtr as Pointer, AtomicUsize as Count},
};

global! {
    /// The words of the process that wait for their keys.
    pub(crate) static WAITING: Waiting = Waiting::new();
}

/// A key that is not kept, and the value that is kept with it. Both null once the key is dead.
pub(crate) struct EphemeronWord {
    key: AtomicPtr<Header>,
    value: AtomicPtr<Header>,
    /// The next that waits in the same chain, itself if it is the last, null if it does not wait. Table's lock.
    next: Pointer<EphemeronWord>,
}

impl EphemeronWord {
    /// The word of an ephemeron about to be born; the caller's count of `value` becomes the word's, and is claimed at birth.
    pub(crate) fn new(key: Object, value: Object) -> Self {
        WAITING.born.fetch_add(1, Ordering::Relaxed);
        EphemeronWord {
            key: AtomicPtr::new(key.as_ptr()),
            value: AtomicPtr::new(value.as_ptr()),
            next: Pointer::new(null_mut()),
        }
    }

    /// Key and value, unless they have been cleared.
    pub(crate) fn targets(&self) -> Option<(Object, Object)> {
        let key = NonNull::new(self.key.load(Ordering::Acquire))?;
        let value = NonNull::new(self.value.load(Ordering::Acquire))?;
        Some((Object::new(key), Object::new(value)))
    }

    /// Whether the key is this one, which the caller keeps alive.
    #[inline]
    pub(crate) fn is_for(&self, key: Object) -> bool {
        // What was read before it was cleared is the address of an object that nobody can keep alive.
        self.key.load(Ordering::Relaxed) == key.as_ptr()
    }

    /// Key and value, unless the key has been found dead; they stay at least until the operation ends.
    pub(crate) fn live_targets(&self, _operation: &Operation) -> Option<(Object, Object)> {
        let targets = self.targets()?;
        let dead = !HEAP.may_sweep() && !is_kept(targets.0) && !weakened(Mutation::EphemeronIgnoresMarks);
        (!dead).then_some(targets)
    }

    /// Whether the key has not been found dead.
    pub(crate) fn is_live(&self) -> bool {
        self.live_targets(&Operation::enter()).is_some()
    }

    /// Key and value, each counted once for the caller.
    pub(crate) fn get(&self) -> Option<(Object, Object)> {
        let operation = Operation::enter();
        let (key, value) = self.live_targets(&operation)?;
        operation.count_up(key);
        operation.count_up(value);
        Some((key, value))
    }

    /// The value, counted once for the caller.
    pub(crate) fn value(&self) -> Option<Object> {
        let operation = Operation::enter();
        let (_, value) = self.live_targets(&operation)?;
        operation.count_up(value);
        Some(value)
    }

    fn clear(&self) {
        self.key.store(null_mut(), Ordering::Release);
        self.value.store(null_mut(), Ordering::Release);
    }
}

/// Whether the cycle whose S2 was last has marked the object, or it was allocated since. Between S2 and the sweep.
fn is_kept(object: Object) -> bool {
    // SAFETY: nothing that was allocated at S2 has been swept since, so the object is in a live arena.
    let (word, mask) = unsafe { mark_bit(object, HEAP.cycle() as usize) };
    word.load(Ordering::Relaxed) & mask != 0
}

/// See the module's head.
pub(crate) struct Waiting {
    /// The chains, or null before there is a word. They are changed between cycles, so whoever marks sees them stand still: no model looks at these two.
    chains: Pointer<AtomicPtr<EphemeronWord>>,
    chain_count: Count,
    /// Held by whoever changes a chain.
    table: Mutex<Table>,
    /// Words made since the last S1.
    born: Count,
    /// Words traced since the last S1.
    traced: Count,
}

struct Table {
    memory: memory::Chains,
    /// Words that wait.
    waiting: usize,
    /// Words put in or passed, ever: the work.
    work: u64,
}

impl Waiting {
    const_fn! {
        fn new() -> Self {
            Waiting {
                chains: Pointer::new(null_mut()),
                chain_count: Count::new(0),
                table: Mutex::new(Table { memory: memory::Chains::none(), waiting: 0, work: 0 }),
                born: Count::new(0),
                traced: Count::new(0),
            }
        }
    }

    /// Before S1: as many chains as there will be words to trace. Words that are born before the world stops are not reckoned with; they make chains a little longer.
    pub(super) fn begin_cycle(&self) {
        let words = self.born.swap(0, Ordering::Relaxed) + self.traced.swap(0, Ordering::Relaxed);
        let (wanted, there) = (memory::chains_for(words), self.chain_count.load(Ordering::Relaxed));
        if words == 0 || (there / 8..=there).contains(&wanted) {
            return;
        }
        // If the OS refuses memory, longer chains do; and if there are none at all, ephemerons keep their values in this cycle.
        if let Some(mut memory) = memory::Chains::with_capacity(wanted) {
            let mut table = lock(&self.table);
            debug_assert!(table.waiting == 0, "an ephemeron waits while nothing is marked");
            self.chains.store(memory.start(), Ordering::Relaxed);
            self.chain_count.store(wanted, Ordering::Relaxed);
            table.memory = memory;
        }
    }

    /// So many words have been traced.
    pub(super) fn traced(&self, words: usize) {
        if words > 0 {
            self.traced.fetch_add(words, Ordering::Relaxed);
        }
    }

    #[inline]
    fn chain(&self, key: Object) -> Option<&AtomicPtr<EphemeronWord>> {
        let chains = self.chains.load(Ordering::Relaxed);
        if chains.is_null() {
            return None;
        }
        let place = hash(key) & (self.chain_count.load(Ordering::Relaxed) - 1);
        // SAFETY: there are so many chains, and they stay while anybody marks.
        Some(unsafe { &*chains.add(place) })
    }

    /// Whether something may wait for the object that the caller has just marked, or is about to trace.
    #[inline]
    pub(crate) fn may_wait_for(&self, object: Object) -> bool {
        self.chain(object).is_some_and(|chain| !look(chain).is_null())
    }

    /// Makes a word, in an object that is being traced, wait for its key. False if there is no table. Afterwards the caller must look at the key's mark.
    pub(super) fn wait(&self, word: &EphemeronWord, key: Object) -> bool {
        let Some(chain) = self.chain(key) else { return false };
        let mut table = lock(&self.table);
        // It may be there already: an object may be traced twice.
        if word.next.load(Ordering::Relaxed).is_null() {
            let this = std::ptr::from_ref(word).cast_mut();
            let first = chain.load(Ordering::Relaxed);
            word.next.store(if first.is_null() { this } else { first }, Ordering::Relaxed);
            put(chain, this);
            table.waiting += 1;
            table.work += 1;
        }
        true
    }

    /// Calls `wake` with the value of every word that waits for `key`, which is marked.
    pub(super) fn wake(&self, key: Object, mut wake: impl FnMut(Object)) {
        let Some(chain) = self.chain(key).filter(|chain| !look(chain).is_null()) else { return };
        let mut woken = self.take(chain, |word| word.is_for(key));
        while let Some(word) = pop(&mut woken) {
            if let Some((_, value)) = word.targets() {
                wake(value);
            }
        }
    }

    /// Takes the words of a chain that `which` says; they stay linked to each other.
    fn take(
        &self,
        chain: &AtomicPtr<EphemeronWord>,
        mut which: impl FnMut(&EphemeronWord) -> bool,
    ) -> *mut EphemeronWord {
        let mut table = lock(&self.table);
        let mut rest = chain.load(Ordering::Relaxed);
        let (mut taken, mut left) = (null_mut(), null_mut());
        while let Some(word) = pop(&mut rest) {
            table.work += 1;
            if which(word) {
                table.waiting -= 1;
                push(&mut taken, word);
            } else {
                push(&mut left, word);
            }
        }
        put(chain, left);
        taken
    }

    /// Words put in or passed, ever.
    pub(crate) fn work(&self) -> u64 {
        lock(&self.table).work
    }

    /// Makes the words that wait forget their keys, which are dead, and values. The collector calls this between S2 and the sweep. Returns how many there were.
    pub(super) fn clear_dead(&self) -> usize {
        let waiting = lock(&self.table).waiting;
        if waiting == 0 {
            return 0;
        }
        let chains = self.chains.load(Ordering::Relaxed);
        for place in 0..self.chain_count.load(Ordering::Relaxed) {
            // SAFETY: there are so many chains, and the collector alone changes that.
            let mut dead = self.take(unsafe { &*chains.add(place) }, |_| true);
            while let Some(word) = pop(&mut dead) {
                debug_assert!(word.targets().is_some_and(|(key, _)| !is_kept(key)), "an ephemeron missed its key");
                word.clear();
            }
        }
        waiting
    }
}

/// Takes the first word off a chain. It waits no more.
fn pop<'a>(first: &mut *mut EphemeronWord) -> Option<&'a EphemeronWord> {
    // SAFETY: what waits lies in a marked object, so it is not freed in this cycle; what is in a chain that was taken has been there.
    let word = unsafe { first.as_ref()? };
    let next = word.next.swap(null_mut(), Ordering::Relaxed);
    *first = if std::ptr::eq(next, word) { null_mut() } else { next };
    Some(word)
}

/// Puts a word in front of a chain that nobody else sees.
fn push(first: &mut *mut EphemeronWord, word: &EphemeronWord) {
    let this = std::ptr::from_ref(word).cast_mut();
    word.next.store(if first.is_null() { this } else { *first }, Ordering::Relaxed);
    *first = this;
}

/// Loom knows no total order of `SeqCst`; there a read-modify-write, which reads what was written last, says the same.
#[inline]
fn look(chain: &AtomicPtr<EphemeronWord>) -> *mut EphemeronWord {
    if cfg!(graphgc_loom) {
        return chain
            .compare_exchange(null_mut(), null_mut(), Ordering::AcqRel, Ordering::Acquire)
            .unwrap_or_else(|there| there);
    }
    chain.load(Ordering::SeqCst)
}

fn put(chain: &AtomicPtr<EphemeronWord>, first: *mut EphemeronWord) {
    if cfg!(graphgc_loom) {
        chain.swap(first, Ordering::AcqRel);
    } else {
        chain.store(first, Ordering::SeqCst);
    }
}

/// Objects are eight bytes apart at least.
pub(crate) fn hash(object: Object) -> usize {
    let mixed = (object.address() as u64 >> 3).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 32) as usize
}

/// Where the chains lie.
#[cfg(not(graphgc_loom))]
mod memory {
    use super::{AtomicPtr, EphemeronWord};
    use crate::heap::os_vec::OsVec;

    /// Empty chains, which are zeros, in memory from the OS.
    pub(super) struct Chains(OsVec<u64>);

    const _: () = assert!(size_of::<AtomicPtr<EphemeronWord>>() <= size_of::<u64>());

    pub(super) fn chains_for(words: usize) -> usize {
        words.next_power_of_two().max(1024)
    }

    impl Chains {
        pub(super) const fn none() -> Self {
            Chains(OsVec::new())
        }

        pub(super) fn with_capacity(chains: usize) -> Option<Self> {
            OsVec::try_zeroed(chains).map(Chains)
        }

        pub(super) fn start(&mut self) -> *mut AtomicPtr<EphemeronWord> {
            self.0.as_mut_ptr().cast()
        }
    }
}

#[cfg(graphgc_loom)]
mod memory {
    use super::{AtomicPtr, EphemeronWord, null_mut};

    /// One chain.
    pub(super) struct Chains(Option<Box<AtomicPtr<EphemeronWord>>>);

    pub(super) fn chains_for(_: usize) -> usize {
        1
    }

    impl Chains {
        pub(super) const fn none() -> Self {
            Chains(None)
        }

        pub(super) fn with_capacity(_: usize) -> Option<Self> {
            Some(Chains(Some(Box::new(AtomicPtr::new(null_mut())))))
        }

        pub(super) fn start(&mut self) -> *mut AtomicPtr<EphemeronWord> {
            &raw mut **self.0.as_mut().expect("there is one")
        }
    }
}
