//! Edges that go by way of something else: the object of a thin handle, a lazy cell, the environment of a function, and a value that is bound to its
//! thread.
//!
//! The objects of thin handles and functions are none of the program's. A model knows them by ids of their own, since two places may share one, and so
//! knows how many there are.
//!
//! What a lazy cell is to yield counts as a root until it has been made, and nobody gets at it: in a model a guard for writing is held until then. The edge of a
//! bound value is not traced either. A cycle through what counts as a root stays; so bound values and most lazy cells lead to mortals, which hold only each other.
//!
//! A bound value knows its thread, and is used and dropped there only. On one thread there are exactly those whose objects exist. Among several threads they hold
//! nothing: what is dropped when their threads have ended is leaked, and would keep that.

use super::{
    content::{Content, Shape},
    grasp::Grasp,
    lock::Lockable,
    machine::{Birth, Machine},
    model::Access,
    mortal::Mortal,
    node::{Any, EdgeCell, Family, Local, Node, Pinned, Seen, Shared},
    op::{At, DetourOp, EdgeChange, Many, PinnedChange, Route},
    witness::Witness,
};
use crate::payload::{Canary, Leaf, new_id};
use graphgc::{
    Gc, GcCell, GcFn, GcLazy, GcSyncFn, Guard, Thin, ThinGc, ThreadBound, Trace, collect, drop_thread_bound,
};
use std::{
    mem,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread::{self, ThreadId},
};

/// Number of places.
pub(super) const PLACES: usize = 4;
/// The place of the thin handle.
pub(super) const THIN: usize = 0;
/// The place of the lazy cell.
pub(super) const LAZY: usize = 1;
/// The place of the function, which holds what is in its environment.
pub(super) const FUNCTION: usize = 2;
/// The place of the edge in the bound value.
pub(super) const BOUND: usize = 3;

/// Edges that go by way of something else.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Detour<F: Family> {
    leaf: Leaf,
    pub(super) thin: ThinCell<F>,
    lazy: GcLazy<Option<Any<F>>, Maker<F>>,
    function: F::Cell<Option<F::Function>>,
    bound: ThreadBound<Bound<EdgeCell<Mortal<F>>>>,
    #[trace(leaf)]
    home: ThreadId,
}

/// A cell with a thin handle.
pub type ThinCell<F> = GcCell<Option<ThinGc<<F as Family>::Dyn>>>;

/// A thin handle, and the id of the object that it leads by way of.
type ThinEdge<F> = (ThinGc<<F as Family>::Dyn>, u32);

type Maker<F> = Box<dyn FnOnce() -> Option<Any<F>> + Send>;

/// What a lazy cell is to yield, in a closure that may go between threads.
pub trait Promise<F: Family>: Send + 'static {
    /// Holds it.
    fn new(promised: Option<Any<F>>) -> Self;
    /// Yields it.
    fn keep(self) -> Option<Any<F>>;
}

/// Handles to objects of one thread are not `Send`.
impl Promise<Local> for ThreadBound<Bound<Option<Any<Local>>>> {
    fn new(promised: Option<Any<Local>>) -> Self {
        Bound::new(promised)
    }

    fn keep(self) -> Option<Any<Local>> {
        self.into_inner().ok().expect("made on the only thread").content.take()
    }
}

/// So that a ledger can see it without keeping it.
impl Promise<Shared> for Arc<Option<Any<Shared>>> {
    fn new(promised: Option<Any<Shared>>) -> Self {
        Arc::new(promised)
    }

    fn keep(self) -> Option<Any<Shared>> {
        (*self).clone()
    }
}

/// What a function works on.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Environment<F: Family> {
    canary: Canary,
    content: Content<Any<F>>,
}

/// What a function is asked for.
pub enum Ask {
    /// The handle at this index, modulo the number of places.
    Nth(usize),
    /// All handles.
    All,
}

/// The id of a function's environment, and what was asked for.
pub type Answer<F> = (u32, Content<Any<F>>);

fn answer<F: Family>(environment: &Environment<F>, ask: Ask) -> Answer<F> {
    let content = &environment.content;
    let content = match ask {
        Ask::Nth(index) => Content::Option(content.nth(index).cloned()),
        Ask::All => content.clone(),
    };
    (environment.canary.check(), content)
}

/// A function that says what is in its environment.
pub trait Function<F: Family>: Trace + Clone {
    /// With this environment.
    fn new(environment: Environment<F>) -> Self;
    /// Calls it.
    fn ask(&self, ask: Ask) -> Answer<F>;
    /// Whether both are the same.
    fn is(&self, other: &Self) -> bool;
}

macro_rules! function {
    ($name:ident $family:ty) => {
        impl Function<$family> for $name<Ask, Answer<$family>> {
            fn new(environment: Environment<$family>) -> Self {
                $name::new(environment, answer::<$family>)
            }

            fn ask(&self, ask: Ask) -> Answer<$family> {
                self.call(ask)
            }

            fn is(&self, other: &Self) -> bool {
                $name::ptr_eq(self, other)
            }
        }
    };
}

function!(GcFn Local);
function!(GcSyncFn Shared);

/// A value that is bound to its thread: looks whether it is on it, and counts itself there without atomics.
pub struct Bound<T> {
    content: T,
    leaf: Leaf,
    home: ThreadId,
    _token: Rc<()>,
}

thread_local! {
    static TOKEN: Rc<()> = Rc::default();
}

/// Bound values that were dropped on other threads than their own.
static ASTRAY: AtomicU64 = AtomicU64::new(0);

impl<T> Bound<T> {
    fn new(content: T) -> ThreadBound<Self>
    where
        T: 'static,
    {
        let token = TOKEN.with(Rc::clone);
        ThreadBound::new(Bound { content, leaf: Leaf::new(new_id()), home: thread::current().id(), _token: token })
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if self.home != thread::current().id() {
            ASTRAY.fetch_add(1, SeqCst);
        }
    }
}

/// Bound values of this thread that exist.
pub(super) fn bound_values() -> usize {
    TOKEN.with(Rc::strong_count) - 1
}

/// Bound values that an object with this access to its lazy cell has on one thread: that of the cell goes when the cell is made.
pub(super) fn bound_values_of(lazy: Access) -> usize {
    1 + usize::from(lazy != Access::Open)
}

/// Drops the values of this thread that others have dropped. Whether there were any.
pub(super) fn drop_the_bound() -> bool {
    let before = bound_values();
    let dropped = drop_thread_bound();
    assert_eq!(before - bound_values(), dropped, "bound values that were dropped");
    dropped > 0
}

/// No bound value was dropped on another thread than its own.
#[track_caller]
pub(super) fn assert_none_astray() {
    assert_eq!(ASTRAY.load(SeqCst), 0, "bound values dropped on other threads than their own");
}

fn target<F: Family>(thin: &ThinGc<F::Dyn>) -> Any<F> {
    Any::Dyn(Thin::handle(thin).clone())
}

fn same<T: ?Sized>(one: &Option<Gc<T>>, other: &Option<Gc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Gc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

impl<F: Family> Detour<F> {
    /// The id, if the object is whole.
    #[track_caller]
    pub(super) fn check(&self) -> u32 {
        self.bound_here();
        self.leaf.check()
    }

    /// The bound value, which is there on its own thread only.
    #[track_caller]
    fn bound_here(&self) -> Option<&Bound<EdgeCell<Mortal<F>>>> {
        let (found, here) = (self.bound.try_get(), thread::current().id());
        assert_eq!(found.is_some(), self.home == here, "a value bound to {:?} is looked for on {here:?}", self.home);
        if let Some(found) = found {
            found.leaf.check();
            assert_eq!(found.home, here, "a value on another thread than its own");
        }
        found
    }

    /// As [`View::nth`](super::node::View::nth).
    pub(super) fn nth<G: Grasp<F>>(
        &self,
        place: usize,
        index: usize,
        wait: bool,
        grasp: &G,
    ) -> Option<Option<G::Held>> {
        match place {
            THIN => Some(grasp.thin(&self.thin)),
            LAZY => GcLazy::get(&self.lazy).map(|made| made.as_ref().map(|any| grasp.any(any))),
            FUNCTION => self.function.look(wait, |function| {
                let (_, found) = function.as_ref()?.ask(Ask::Nth(index));
                found.nth(0).map(|any| grasp.any(any))
            }),
            _ => Some(self.bound_here().and_then(|bound| grasp.cell(&bound.content))),
        }
    }

    /// All that the function says, unless another thread is exchanging it.
    pub(super) fn read_function(&self) -> Option<Content<Any<F>>> {
        self.function.look(false, |function| all(function.as_ref()).1)
    }
}

/// The function's id and content; without one 0 and nothing.
fn all<F: Family>(function: Option<&F::Function>) -> Answer<F> {
    function.map_or((0, Content::Option(None)), |function| function.ask(Ask::All))
}

impl<F: Family> Machine<F> {
    /// A new object, whose lazy cell has not been made.
    pub(super) fn allocate_detour<B: Birth<F>>(
        &mut self,
        id: u32,
        shape: Shape,
        birth: &B,
        at: At,
        many: Many,
    ) -> B::Held {
        let thin = self.pick(at).and_then(|any| self.thinned(&any));
        let (way, thin) = (thin.as_ref().map(|(_, way)| *way), thin.map(|(thin, _)| thin));
        let mortal = || self.pick_of(many.1).map(Any::Mortal);
        let promised = if many.0 % 4 == 3 { self.pick(many.1) } else { mortal() };
        let promised_id = promised.as_ref().map(Any::check);
        let promise = F::Promise::new(promised);
        let function = (many.0 > 0).then(|| self.new_function(shape, many)).unzip();
        let edge = self.pick_of(at).filter(|_| F::ALONE);
        // Before the promise is in a closure, which nobody looks into.
        self.witness.promised(id, promised_id, &promise);
        let made = move || {
            if id.is_multiple_of(16) {
                collect();
            }
            promise.keep()
        };
        let detour = Detour {
            leaf: Leaf::new(id),
            thin: thin.into(),
            lazy: GcLazy::new(Box::new(made)),
            function: function.1.into(),
            bound: Bound::new(edge.into()),
            home: thread::current().id(),
        };
        self.witness.born(detour.view(), false);
        self.witness.lead(id, THIN, way);
        self.witness.lead(id, FUNCTION, function.0);
        birth.bear(detour)
    }

    /// A function with these in its environment, and the environment's id.
    fn new_function(&self, shape: Shape, many: Many) -> (u32, F::Function) {
        let (way, content) = (new_id(), Content::new(shape, self.pick_many(many)));
        (way, F::Function::new(Environment { canary: Canary::new(way), content }))
    }

    /// A thin handle to the object: if that has one itself, its own; if nobody knows it by a trait, none.
    fn thinned(&self, any: &Any<F>) -> Option<ThinEdge<F>> {
        if let Any::Detour(detour) = any
            && let Some(thin) = detour.thin.get()
        {
            return Some((thin, self.witness.way(detour.check(), THIN)));
        }
        let Any::Dyn(wide) = F::known(any.clone()) else { return None };
        let way = new_id();
        let thin = match way % 3 {
            0 => wide.thin(),
            1 => wide.try_thin().unwrap_or_else(|error| panic!("{error}")),
            _ => Gc::new(Thin::from(wide)),
        };
        Some((thin, way))
    }

    /// A thin cell has changed, and perhaps gave something out.
    fn note_thin(&mut self, id: u32, new: Option<(u32, u32)>, out: Option<Option<u32>>) {
        self.witness.note(id, THIN, |model| {
            let before = super::edges::put(model, 0, new.map(|(id, _)| id));
            assert!(out.is_none_or(|out| out == before), "what came out of the thin cell of object {id}");
        });
        self.witness.lead(id, THIN, new.map(|(_, way)| way));
    }

    pub(super) fn change_thin(&mut self, cell: &ThinCell<F>, id: u32, change: EdgeChange, new: At) {
        let (new, way) = self.pick(new).and_then(|any| self.thinned(&any)).unzip();
        let id_of = |thin: &Option<ThinGc<F::Dyn>>| thin.as_ref().map(|it| target::<F>(it).check());
        let added = id_of(&new).zip(way);
        let current = cell.get();
        let (now, out) = match change {
            EdgeChange::Set => {
                cell.set(new);
                self.note_thin(id, added, None);
                return;
            }
            EdgeChange::Take => (None, cell.take()),
            EdgeChange::Replace => (added, cell.replace(new)),
            EdgeChange::Exchange => match cell.replace_if(&current, new) {
                Ok(out) => (added, out),
                Err(_) => return assert!(!F::ALONE, "nobody else changes the cell"),
            },
            EdgeChange::ExchangeOther => match cell.replace_if(&new, None) {
                Ok(out) => (None, out),
                Err(none) => {
                    assert!(none.is_none(), "the refused edge comes back");
                    return assert!(!F::ALONE || !same(&current, &new), "refused though it is the same edge");
                }
            },
            EdgeChange::Copy | EdgeChange::Drop => {
                let copy = cell.clone().into_inner();
                assert!(!F::ALONE || same(&copy, &current), "a copy is another edge");
                return self.receive(copy.iter().map(target));
            }
        };
        assert!(!F::ALONE || same(&out, &current), "nobody else changes the cell");
        self.note_thin(id, now, Some(id_of(&out)));
        self.receive(out.iter().map(target));
    }

    /// The same under a pin; what was there.
    pub(super) fn change_pinned_thin<'g>(
        &mut self,
        cell: &ThinCell<F>,
        id: u32,
        change: PinnedChange,
        new: Option<Pinned<'g, F>>,
        guard: &'g Guard,
    ) -> Option<Pinned<'g, F>> {
        let new = new.map(Pinned::to_any).and_then(|any| match F::known(any) {
            Any::Dyn(wide) => Some((guard.alloc(Thin::from(wide)), new_id())),
            _ => None,
        });
        let (new, way) = new.unzip();
        let target = |it: graphgc::Local<'g, Thin<F::Dyn>>| Thin::handle(graphgc::Local::get(it)).local(guard);
        let id_of = |thin: Option<graphgc::Local<'g, _>>| thin.map(|it| graphgc::Local::get(target(it)).seen().check());
        let added = id_of(new).zip(way);
        let found = cell.load(guard);
        let (now, out) = match change {
            PinnedChange::Store => {
                cell.store(new, guard);
                (Some(added), found)
            }
            PinnedChange::Clear => {
                cell.store(None, guard);
                (Some(None), found)
            }
            PinnedChange::Swap => (Some(added), cell.swap(new, guard)),
            PinnedChange::Exchange => match cell.compare_exchange(found, new, guard) {
                Ok(out) => (Some(added), out),
                Err(out) => {
                    assert!(!F::ALONE, "nobody else changes the cell");
                    (None, out)
                }
            },
            PinnedChange::ExchangeOther => match cell.compare_exchange(new, None, guard) {
                Ok(out) => (Some(None), out),
                // A new handle is in no cell.
                Err(out) => (None, out),
            },
            PinnedChange::Set => {
                cell.set(new.map(graphgc::Local::to_gc));
                (Some(added), found)
            }
            PinnedChange::Take => (Some(None), cell.take().map(|thin| thin.local(guard))),
        };
        assert!(!F::ALONE || id_of(out) == id_of(found), "nobody else changes the cell");
        if let Some(now) = now {
            self.note_thin(id, now, Some(id_of(out)));
        }
        out.map(|out| Pinned::Dyn(target(out)))
    }

    pub(super) fn execute_detour(&mut self, at: At, op: DetourOp) {
        let Some(detour) = self.pick_of::<Detour<F>>(at) else { return };
        let id = detour.check();
        match op {
            DetourOp::Force => {
                let made = GcLazy::force(&detour.lazy).clone();
                self.witness.set_access(id, LAZY, Access::Open);
                self.witness.met(id, LAZY, 0, made.as_ref().map(Any::check));
                self.receive(made);
            }
            DetourOp::Call(index) => {
                let called = detour.function.look(true, |function| {
                    function.as_ref().map(|function| function.ask(Ask::Nth(usize::from(index))))
                });
                assert!(called.is_some() || !F::ALONE, "the function of object {id} cannot be called");
                let (way, found) = called.flatten().unzip();
                let found = found.into_iter().flat_map(Content::into_elements).next();
                self.witness.met(id, FUNCTION, usize::from(index), found.as_ref().map(Any::check));
                assert!(!F::ALONE || way.unwrap_or(0) == self.witness.way(id, FUNCTION), "another function");
                self.roots.extend(found);
            }
            DetourOp::Exchange(shape, many) => {
                let (way, function) = self.new_function(shape, many);
                self.exchange_function(&detour, Some(way), Some(function));
            }
            DetourOp::Share(other) => {
                let Some(other) = self.pick_of::<Detour<F>>(other) else { return };
                let function = other.function.look(true, Clone::clone).flatten();
                let copy = function.clone();
                assert!(copy.iter().zip(&function).all(|(copy, function)| copy.is(function)), "a copy is another");
                let way = function.is_some().then(|| self.witness.way(other.check(), FUNCTION));
                self.exchange_function(&detour, way, copy);
            }
            DetourOp::Empty => self.exchange_function(&detour, None, None),
            DetourOp::Bound(change, new) => {
                let new = self.pick_of::<Mortal<F>>(new).filter(|_| F::ALONE);
                let Some(bound) = detour.bound_here() else { return };
                let out = self.change_cell(&bound.content, id, BOUND, 0, change, new);
                self.receive(out.map(Any::Mortal));
            }
        }
    }

    fn exchange_function(&mut self, detour: &Detour<F>, way: Option<u32>, new: Option<F::Function>) {
        let id = detour.check();
        let model = all::<F>(new.as_ref()).1.model();
        let Some(old) = detour.function.change(Route::Guard, |function| mem::replace(function, new)) else {
            return assert!(!F::ALONE, "the function of object {id} cannot be exchanged");
        };
        let (old_way, out) = all::<F>(old.as_ref());
        assert!(!F::ALONE || old_way == self.witness.way(id, FUNCTION), "another function");
        self.witness.note(id, FUNCTION, |place| {
            let before = mem::replace(place, model);
            assert_eq!(out.ids(), before.ids(), "what the old function of object {id} says");
        });
        self.witness.lead(id, FUNCTION, way);
        self.receive(out.into_elements());
    }
}
