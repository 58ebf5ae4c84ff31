//! The part of graphgc's interface that the structures use, on loom's atomics.
//!
//! It orders what graphgc promises to order and no more: loads acquire, stores release, exchanges do both. Nothing is ever freed: that
//! objects stay while somebody can look at them is the collector's promise, which other models check. So a `Gc` is a plain reference,
//! and a cell is an atomic number, together with a list of the objects that it has held, by number.
//!
//! Loom 0.7 remembers of each atomic the last access only (its issues 166 and 392). So it overlooks that a load by one thread and an exchange by another could
//! come in the other order, if the second thread has itself loaded in between, as nearly all lock-free code does before an exchange. Therefore each
//! access begins with one to [`TURN`], which orders nothing, but whose accesses all depend on each other: between any two of them loom
//! tries to switch.

use loom::sync::atomic::{AtomicUsize, Ordering};
use std::{
    marker::PhantomData,
    ops::Deref,
    sync::{Mutex, atomic},
};

loom::lazy_static! {
    static ref TURN: AtomicUsize = AtomicUsize::new(0);
}

fn take_turn() {
    TURN.fetch_add(1, Ordering::Relaxed);
}

/// Nothing is traced here.
pub(crate) trait Trace: 'static {}

impl<T: 'static> Trace for T {}

struct Object<T> {
    /// Never 0, never the same twice: an address would not do, since values without size share theirs.
    number: usize,
    value: T,
}

/// A handle.
pub(crate) struct Gc<T: 'static>(&'static Object<T>);

impl<T> Gc<T> {
    pub(crate) fn new(value: T) -> Self {
        static NUMBERS: atomic::AtomicUsize = atomic::AtomicUsize::new(1);
        let number = NUMBERS.fetch_add(1, atomic::Ordering::Relaxed);
        Gc(Box::leak(Box::new(Object { number, value })))
    }
}

impl<T> Clone for Gc<T> {
    fn clone(&self) -> Self {
        Gc(self.0)
    }
}

/// A pinned scope.
pub(crate) struct Guard(PhantomData<*const ()>);

pub(crate) fn pin() -> Guard {
    Guard(PhantomData)
}

impl Guard {
    pub(crate) fn alloc<T: Trace>(&self, value: T) -> Local<'_, T> {
        Local { object: Gc::new(value).0, pinned: PhantomData }
    }
}

/// A pointer to an object for the length of a pinned scope.
pub(crate) struct Local<'g, T: 'static> {
    object: &'static Object<T>,
    pinned: PhantomData<&'g Guard>,
}

impl<'g, T> Local<'g, T> {
    pub(crate) fn get(this: Self) -> &'g T {
        &this.object.value
    }

    pub(crate) fn as_ptr(this: Self) -> *const T {
        &raw const this.object.value
    }
}

impl<T> Clone for Local<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Local<'_, T> {}

impl<T> Deref for Local<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        Local::get(*self)
    }
}

/// `Gc<T>` or `Option<Gc<T>>`.
pub(crate) trait Edge: Clone + 'static {
    type Local<'g>: Copy;

    /// That of the object; 0 for none.
    fn number(&self) -> usize;

    fn from_local(local: Self::Local<'_>) -> Self;

    fn to_local<'g>(&self) -> Self::Local<'g>;
}

impl<T: 'static> Edge for Gc<T> {
    type Local<'g> = Local<'g, T>;

    fn number(&self) -> usize {
        self.0.number
    }

    fn from_local(local: Local<'_, T>) -> Self {
        Gc(local.object)
    }

    fn to_local<'g>(&self) -> Local<'g, T> {
        Local { object: self.0, pinned: PhantomData }
    }
}

impl<T: 'static> Edge for Option<Gc<T>> {
    type Local<'g> = Option<Local<'g, T>>;

    fn number(&self) -> usize {
        self.as_ref().map_or(0, Edge::number)
    }

    fn from_local(local: Option<Local<'_, T>>) -> Self {
        local.map(Gc::from_local)
    }

    fn to_local<'g>(&self) -> Option<Local<'g, T>> {
        self.as_ref().map(Edge::to_local)
    }
}

/// A mutable edge.
pub(crate) struct GcCell<P: Edge> {
    number: AtomicUsize,
    /// All that the cell has held. Invisible to loom, and no order comes of it.
    held: Mutex<Vec<P>>,
}

impl<P: Edge> GcCell<P> {
    pub(crate) fn new(edge: P) -> Self {
        GcCell { number: AtomicUsize::new(edge.number()), held: Mutex::new(vec![edge]) }
    }

    pub(crate) fn load<'g>(&self, _guard: &'g Guard) -> P::Local<'g> {
        take_turn();
        self.named(self.number.load(Ordering::Acquire))
    }

    pub(crate) fn store(&self, edge: P::Local<'_>, _guard: &Guard) {
        take_turn();
        self.number.store(self.enter(edge), Ordering::Release);
    }

    pub(crate) fn swap<'g>(&self, edge: P::Local<'_>, _guard: &'g Guard) -> P::Local<'g> {
        take_turn();
        self.named(self.number.swap(self.enter(edge), Ordering::AcqRel))
    }

    pub(crate) fn compare_exchange<'g>(
        &self,
        current: P::Local<'_>,
        new: P::Local<'_>,
        _guard: &'g Guard,
    ) -> Result<P::Local<'g>, P::Local<'g>> {
        take_turn();
        let (current, new) = (P::from_local(current).number(), self.enter(new));
        let result = self.number.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
        result.map(|before| self.named(before)).map_err(|now| self.named(now))
    }

    /// Adds `edge` to the list; its number.
    fn enter(&self, edge: P::Local<'_>) -> usize {
        let edge = P::from_local(edge);
        let number = edge.number();
        self.held.lock().unwrap().push(edge);
        number
    }

    fn named<'g>(&self, number: usize) -> P::Local<'g> {
        let held = self.held.lock().unwrap();
        held.iter().find(|edge| edge.number() == number).expect("what the cell leads to was entered").to_local()
    }
}
