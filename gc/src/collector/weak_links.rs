//! Weak handles, the collector's side: one small object, a *link*, for each object that has ever been downgraded.
//!
//! A weak handle is a handle to the link, an ordinary object without handles, and the link knows the target's address. All links whose targets live are in one table, chained
//! through the links themselves by the target's address, so that there is one link for each target. Being in the table keeps a link.
//!
//! After S2, before any span is swept, the collector goes through the table (`clear_dead`): links of white targets forget them and leave. Until then an upgrade must
//! not believe a link (`Heap::may_sweep` says so), and looks at the target's mark bit itself. Then the collector waits until it has seen every thread outside an operation: whoever read an address before
//! it was cleared is done with it by then, having found it white or not. From there on a link that is not null leads to a live object.
//!
//! Reading the address and counting the target are one operation, so no S2 falls between them; an upgrade while marking shades, like every handle that is noted.
//!
//! No thread waits for a shard's lock in an operation, and the collector takes it with the world running. So does the verifier, which holds all of them while it looks (`HeldLinks`).

use super::grey::set_mark;
use crate::{
    heap::{
        HEAP,
        arena::Arena,
        header::{Header, Object},
        os_vec::OsVec,
    },
    mutator::Operation,
    sync::{AtomicPtr, Mutation, Mutex, MutexGuard, Ordering, const_fn, global, lock, weakened},
    trace::{
        Trace, Tracer,
        facts::{Facts, Info},
    },
};
use std::ptr::{NonNull, null_mut};

const SHARDS: usize = if cfg!(graphgc_loom) { 1 } else { 64 };

global! {
    /// The links of the process.
    pub(crate) static WEAK_LINKS: WeakLinks = WeakLinks::new();
}

/// What the weak handles to one object point at.
pub(crate) struct WeakLink {
    /// Null before the target exists, and when it is gone.
    target: AtomicPtr<Header>,
    /// The next link in the chain. Shard's lock; not a part of any model.
    next: std::sync::atomic::AtomicPtr<Header>,
}

/// Info of a link: the collector drops none.
pub(crate) enum LinkInfo {}

impl Info for LinkInfo {
    const FACTS: Facts = Facts::PLAIN;
    type Behind = Self;
}

// SAFETY: there are no handles in it, and nothing to drop; the table knows of its link to the target.
unsafe impl Trace for WeakLink {
    type Info = LinkInfo;

    fn trace(&self, _: &mut Tracer<'_>) {}

    unsafe fn drop_swept(&mut self) {}
}

impl WeakLink {
    /// A link to `target`, in no table yet.
    pub(crate) fn new(target: Option<Object>) -> Self {
        let target = target.map_or(null_mut(), Object::as_ptr);
        WeakLink { target: AtomicPtr::new(target), next: std::sync::atomic::AtomicPtr::new(null_mut()) }
    }

    fn target(&self) -> Option<Object> {
        NonNull::new(self.target.load(Ordering::Acquire)).map(Object::new)
    }

    /// The target, which stays at least until the operation ends, unless the collector has found it dead.
    #[inline]
    pub(crate) fn live_target(&self, _operation: &Operation) -> Option<Object> {
        let target = self.target()?;
        if !HEAP.may_sweep() && is_white(target) && !weakened(Mutation::UpgradeIgnoresMarks) {
            return None;
        }
        Some(target)
    }

    fn next(&self) -> Option<Object> {
        NonNull::new(self.next.load(std::sync::atomic::Ordering::Relaxed)).map(Object::new)
    }

    fn set_next(&self, next: Option<Object>) {
        self.next.store(next.map_or(null_mut(), Object::as_ptr), std::sync::atomic::Ordering::Relaxed);
    }
}

/// Whether the cycle whose S2 was last has found the object dead. In a span that is fresh since then the bit is that of the allocation.
fn is_white(object: Object) -> bool {
    // SAFETY: the caller knows that nothing that was allocated at S2 has been swept since, so the object is in a live arena.
    unsafe {
        let bit = Arena::bit_of(object.as_ptr().cast());
        bit.word(HEAP.cycle() as usize).load(Ordering::Relaxed) & bit.mask == 0
    }
}

/// Sees to it that the sweep does not free the link; whether it would have.
///
/// # Safety
/// As for [`link`], and this is between S2 and the sweep.
unsafe fn keep(object: Object) -> bool {
    // SAFETY: nothing that was allocated at S2 has been swept since, so that S2's bitmap takes marks still.
    !weakened(Mutation::LinksAreNotKept) && unsafe { set_mark(object, HEAP.cycle() as usize) }
}

/// # Safety
/// `object` is a link that is in the table, or that the caller has a handle to, for as long as the reference is used.
unsafe fn link<'a>(object: Object) -> &'a WeakLink {
    // SAFETY: by contract.
    unsafe { object.payload(align_of::<WeakLink>()).cast().as_ref() }
}

/// See the module's head.
pub(crate) struct WeakLinks {
    shards: [Mutex<Shard>; SHARDS],
}

/// Chains of links; as many as a power of two.
struct Shard {
    chains: OsVec<Option<Object>>,
    links: usize,
}

impl WeakLinks {
    const_fn! {
        fn new() -> Self {
            WeakLinks { shards: shards() }
        }
    }

    /// The link of `target`, counted once for the caller, if it has one. Something keeps the target alive.
    pub(crate) fn find(&self, target: Object) -> Option<Object> {
        let shard = lock(self.shard(target));
        let found = shard.find(target)?;
        // In the table, hence kept, as long as we hold the lock.
        Operation::enter().count_up(found);
        Some(found)
    }

    /// Puts a link in for its target, or says which one is there already, counted once for the caller. Something keeps target and link alive.
    pub(crate) fn insert(&self, target: Object, new: Object) -> Result<(), Object> {
        let mut shard = lock(self.shard(target));
        if let Some(found) = shard.find(target).filter(|_| !weakened(Mutation::InsertWithoutLook)) {
            Operation::enter().count_up(found);
            return Err(found);
        }
        shard.insert(target, new);
        Ok(())
    }

    /// A link that was made before its target: from now on it leads there. Something keeps both alive, and the target has no other link.
    pub(crate) fn connect(&self, new: Object, target: Object) {
        let mut shard = lock(self.shard(target));
        // SAFETY: the caller has a handle to it.
        unsafe { link(new) }.target.store(target.as_ptr(), Ordering::Release);
        shard.insert(target, new);
    }

    fn shard(&self, target: Object) -> &Mutex<Shard> {
        &self.shards[shard_index(target)]
    }

    /// Keeps the table as it is until the result is dropped. The caller is in no operation and has not stopped the world yet.
    pub(crate) fn hold(&self) -> HeldLinks<'_> {
        HeldLinks(std::array::from_fn(|index| lock(&self.shards[index])))
    }

    /// Damages the table for tests; see [`Shard::damage`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn damage(&self, target: Object, damage: LinkDamage) {
        // SAFETY: by contract.
        unsafe { lock(self.shard(target)).damage(target, damage) };
    }

    /// Keeps the links of live targets, and clears those of white ones. The collector calls this between S2 and the sweep. Returns how many it has cleared, and the bytes of
    /// links that were not marked before.
    pub(super) fn clear_dead(&self) -> (usize, usize) {
        let (mut cleared, mut kept) = (0, 0);
        for shard in &self.shards {
            lock(shard).retain(|object| {
                // SAFETY: it is in the table. Nothing that was allocated at S2 has been swept since.
                let (it, marked) = unsafe { (link(object), keep(object)) };
                kept += usize::from(marked);
                let dead = it.target().is_none_or(is_white);
                if dead {
                    it.target.store(null_mut(), Ordering::Release);
                    cleared += 1;
                }
                !dead
            });
        }
        (cleared, kept * crate::trace::type_info::Describe::<WeakLink>::SLOT_BYTES as usize)
    }
}

/// What tests can do to a link.
#[derive(Clone, Copy, Debug)]
pub enum LinkDamage {
    /// It leads to this address.
    Elsewhere(usize),
    /// Behind it in its chain it comes again.
    InARing,
    /// The target itself is in its place.
    IsNoLink,
    /// Its chain begins behind it.
    Lost,
}

/// What is wrong with the table, or a link in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LinkFlaw {
    /// It is no link.
    NoLink,
    /// It leads to this address, where there is no object.
    Dangling(usize),
    /// It lies where one looks for the links of others than this target.
    Misplaced(usize),
    /// There is another link to this target.
    Double(usize),
    /// A shard has not as many links as it says.
    Number(usize),
}

/// The table, which nobody can change.
pub(crate) struct HeldLinks<'a>([MutexGuard<'a, Shard>; SHARDS]);

impl HeldLinks<'_> {
    /// Calls `flaw` with the address of each link that is not in order; `is_link` and `is_object` know what is at an address.
    ///
    /// # Safety
    /// `is_link` is true of links only.
    pub(crate) unsafe fn check(
        &self,
        is_link: impl Fn(Object) -> bool,
        is_object: impl Fn(Object) -> bool,
        mut flaw: impl FnMut(usize, LinkFlaw),
    ) {
        for (index, shard) in self.0.iter().enumerate() {
            let mut found = 0;
            for (place, first) in shard.chains.iter().enumerate() {
                let mut rest = *first;
                while let Some(object) = rest.filter(|_| found <= shard.links) {
                    found += 1;
                    if !is_link(object) {
                        flaw(object.address(), LinkFlaw::NoLink);
                        break;
                    }
                    // SAFETY: by contract.
                    let it = unsafe { link(object) };
                    if let Some(it) = shard.flaw_of(object, it.target(), (index, place), &is_object) {
                        flaw(object.address(), it);
                    }
                    rest = it.next();
                }
            }
            if found != shard.links {
                flaw(0, LinkFlaw::Number(shard.links));
            }
        }
    }
}

impl Shard {
    /// What is wrong with a link to `target`, found at `here`; those before it in its chain are links.
    fn flaw_of(
        &self,
        link: Object,
        target: Option<Object>,
        here: (usize, usize),
        is_object: impl Fn(Object) -> bool,
    ) -> Option<LinkFlaw> {
        let Some(target) = target.filter(|&target| is_object(target)) else {
            return Some(LinkFlaw::Dangling(target.map_or(0, Object::address)));
        };
        if (shard_index(target), self.place(target)) != here {
            Some(LinkFlaw::Misplaced(target.address()))
        } else if self.find(target) != Some(link) {
            Some(LinkFlaw::Double(target.address()))
        } else {
            None
        }
    }
}

impl Shard {
    const EMPTY: Shard = Shard { chains: OsVec::new(), links: 0 };

    fn place(&self, target: Object) -> usize {
        hash(target) & (self.chains.len() - 1)
    }

    fn find(&self, target: Object) -> Option<Object> {
        if self.chains.is_empty() {
            return None;
        }
        // SAFETY: links in the table are kept.
        let mut chain = std::iter::successors(self.chains[self.place(target)], |it| unsafe { link(*it) }.next());
        // SAFETY: as above.
        chain.find(|it| unsafe { link(*it) }.target() == Some(target))
    }

    fn insert(&mut self, target: Object, new: Object) {
        if self.links == self.chains.len() {
            self.grow();
        }
        let place = self.place(target);
        // SAFETY: the caller has a handle to it.
        unsafe { link(new) }.set_next(self.chains[place]);
        self.chains[place] = Some(new);
        self.links += 1;
    }

    /// Damages the table for tests, as far as it concerns the link of `target`.
    ///
    /// # Safety
    /// `target` has a link. The process ends soon.
    unsafe fn damage(&mut self, target: Object, damage: LinkDamage) {
        let object = self.find(target).expect("it has a link");
        // SAFETY: it is in the table.
        let it = unsafe { link(object) };
        let place = self.place(target);
        match damage {
            LinkDamage::Elsewhere(address) => {
                it.target.store(std::ptr::with_exposed_provenance_mut(address), Ordering::Relaxed);
            }
            LinkDamage::InARing => it.set_next(Some(object)),
            LinkDamage::IsNoLink => self.chains[place] = Some(target),
            LinkDamage::Lost => self.chains[place] = it.next(),
        }
    }

    /// Twice as many chains.
    #[cold]
    fn grow(&mut self) {
        let mut old = std::mem::replace(self, Shard::EMPTY);
        let chains = (old.chains.len() * 2).max(16);
        (0..chains).for_each(|_| self.chains.push(None));
        for first in old.chains.iter_mut() {
            while let Some(object) = *first {
                // SAFETY: links in the table are kept.
                let it = unsafe { link(object) };
                *first = it.next();
                let place = self.place(it.target().expect("the table holds links with targets only"));
                it.set_next(self.chains[place]);
                self.chains[place] = Some(object);
            }
        }
        self.links = old.links;
    }

    /// Keeps the links that `keep` says, and forgets the others.
    fn retain(&mut self, mut keep: impl FnMut(Object) -> bool) {
        for first in self.chains.iter_mut() {
            let mut rest = first.take();
            while let Some(object) = rest {
                // SAFETY: links in the table are kept, and the cycle that drops one from it does not free it.
                let it = unsafe { link(object) };
                rest = it.next();
                if keep(object) {
                    it.set_next(*first);
                    *first = Some(object);
                } else {
                    self.links -= 1;
                }
            }
        }
    }
}

fn shard_index(target: Object) -> usize {
    hash(target) >> 32 & (SHARDS - 1)
}

/// Objects are eight bytes apart at least.
fn hash(object: Object) -> usize {
    let mixed = (object.address() as u64 >> 3).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29) as usize
}

#[cfg(not(graphgc_loom))]
const fn shards() -> [Mutex<Shard>; SHARDS] {
    [const { Mutex::new(Shard::EMPTY) }; SHARDS]
}

#[cfg(graphgc_loom)]
fn shards() -> [Mutex<Shard>; SHARDS] {
    std::array::from_fn(|_| Mutex::new(Shard::EMPTY))
}
