//! The objects of random programs, for one thread and for several: the two families differ in the cells that they use.

use super::{
    bundle::Bundle,
    content::{Content, Element, KEYS},
    detour::{self, Answer, Ask, Bound, Detour, Function, Promise, ThinCell},
    grasp::{Counted, Grasp},
    local_mortal::LocalMortal,
    lock::{CellRef, Lockable},
    model::Model,
    mortal::Mortal,
    op::Kind,
    threads::Ledger,
    vectors::EdgeVec,
    weak::Keeper,
    witness::Witness,
};
use crate::payload::{Canary, Leaf};
use graphgc::{
    Gc, GcCell, GcFn, GcMutex, GcOnceCell, GcRefCell, GcRefVec, GcRwLock, GcSyncFn, GcVec, Guard, ThreadBound, Trace,
};
use std::{cmp::Ordering, ops::Deref, panic::resume_unwind, sync::Arc};

/// What differs between programs on one thread and on several.
pub trait Family: Clone + 'static {
    /// Nobody else uses the objects: nothing changes by itself, and a guard may be forgotten anywhere.
    const ALONE: bool;
    /// A cell for any content.
    type Cell<T: Trace + Default>: Lockable<T>;
    /// Owner of the fields that are not traced.
    type Untraced: Trace + Deref<Target = Untraced<Self>>;
    /// A vector of edges.
    type Edges: EdgeVec<Plain<Self>>;
    /// What a lazy cell is to yield.
    type Promise: Promise<Self>;
    /// A function with an environment.
    type Function: Function<Self>;
    /// What knows which objects must exist.
    type Witness: Witness<Self>;
    /// Objects that are known by a trait.
    type Dyn: Seen<Self> + ?Sized;
    /// Moves the fields to their owner.
    fn own(untraced: Untraced<Self>) -> Self::Untraced;
    /// The same object known by a trait.
    fn known(any: Any<Self>) -> Any<Self>;
}

macro_rules! known {
    ($any:ident: $dyn:ty, $($name:ident)*) => {
        match $any {
            $(Any::$name(it) => Any::Dyn(it.unsize::<$dyn>(|p| p)),)*
            other => other,
        }
    };
}

/// Objects of one thread.
#[derive(Clone)]
pub struct Local;

impl Family for Local {
    const ALONE: bool = true;
    type Cell<T: Trace + Default> = GcRefCell<T>;
    type Edges = GcRefVec<Gc<Plain<Self>>>;
    type Untraced = Box<Untraced<Self>>;
    type Dyn = dyn Seen<Self>;
    type Promise = ThreadBound<Bound<Option<Any<Self>>>>;
    type Function = GcFn<Ask, Answer<Self>>;
    type Witness = Model;

    fn own(untraced: Untraced<Self>) -> Self::Untraced {
        Box::new(untraced)
    }

    fn known(any: Any<Self>) -> Any<Self> {
        known!(any: dyn Seen<Self>, Plain Frees Mixed User Large LargePlain Aligned Bomb Wide Keeper Bundle Detour LocalMortal)
    }
}

/// Objects that threads share.
#[derive(Clone)]
pub struct Shared;

impl Family for Shared {
    const ALONE: bool = false;
    type Cell<T: Trace + Default> = GcRwLock<T>;
    type Edges = GcVec<Gc<Plain<Self>>>;
    /// So that a ledger can see what they hold without keeping the object alive.
    type Untraced = Arc<Untraced<Self>>;
    type Dyn = dyn Seen<Self> + Send + Sync;
    type Promise = Arc<Option<Any<Self>>>;
    type Function = GcSyncFn<Ask, Answer<Self>>;
    type Witness = Ledger;

    fn own(untraced: Untraced<Self>) -> Self::Untraced {
        Arc::new(untraced)
    }

    fn known(any: Any<Self>) -> Any<Self> {
        known!(any: dyn Seen<Self> + Send + Sync, Plain Frees Mixed User Large LargePlain Aligned Bomb Wide Keeper Bundle Detour LocalMortal)
    }
}

/// A single edge that may be empty.
pub type EdgeCell<T> = GcCell<Option<Gc<T>>>;

/// A handle to an object of any type.
#[derive(Trace)]
#[trace(bound = "F: Family")]
#[expect(missing_docs, reason = "named as the types")]
pub enum Any<F: Family> {
    Plain(Gc<Plain<F>>),
    Frees(Gc<Frees<F>>),
    Mixed(Gc<Mixed<F>>),
    User(Gc<User<F>>),
    Large(Gc<Large<F>>),
    LargePlain(Gc<LargePlain<F>>),
    Aligned(Gc<Aligned<F>>),
    Bomb(Gc<Bomb<F>>),
    Wide(Gc<Wide<F>>),
    Mortal(Gc<Mortal<F>>),
    Keeper(Gc<Keeper<F>>),
    Bundle(Gc<Bundle<F>>),
    Detour(Gc<Detour<F>>),
    LocalMortal(Gc<LocalMortal<F>>),
    Slice(Gc<[Part<F>]>),
    /// An object of one of the types above, known by a trait.
    Dyn(Gc<F::Dyn>),
}

/// An object that may be of any type.
pub trait Seen<F: Family>: Trace {
    /// The value as one of any type.
    fn seen(&self) -> View<'_, F>;
}

impl<F: Family, T: Node<F>> Seen<F> for T {
    fn seen(&self) -> View<'_, F> {
        self.view()
    }
}

/// Nothing to drop when it dies.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Plain<F: Family> {
    pub(super) canary: Canary,
    pub(super) fixed: Option<Any<F>>,
    pub(super) next: EdgeCell<Plain<F>>,
    pub(super) always: Option<GcCell<Gc<Plain<F>>>>,
    pub(super) user: EdgeCell<User<F>>,
    pub(super) tail: Canary,
}

/// Owns memory of std's containers, but nothing that runs users' code.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Frees<F: Family> {
    pub(super) canary: Canary,
    pub(super) content: F::Cell<Content<Gc<Plain<F>>>>,
    pub(super) fixed: Vec<Gc<User<F>>>,
    pub(super) other: Option<Gc<Plain<F>>>,
}

/// Containers of elements of a type that derives `Trace`, whose drop nobody knows.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Mixed<F: Family> {
    pub(super) canary: Canary,
    pub(super) content: F::Cell<Content<Any<F>>>,
    pub(super) nested: F::Cell<F::Cell<Content<Any<F>>>>,
    pub(super) cells: F::Cell<Vec<EdgeCell<Plain<F>>>>,
    pub(super) fixed: Content<Any<F>>,
    pub(super) boxed: Option<Box<Any<F>>>,
    /// A guard of `content` was forgotten before the object moved into the heap.
    pub(super) leaked: bool,
}

/// Has a user's drop.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct User<F: Family> {
    pub(super) leaf: Leaf,
    pub(super) mutex: GcMutex<Content<Any<F>>>,
    pub(super) lock: GcRwLock<Content<Any<F>>>,
    pub(super) cell: EdgeCell<User<F>>,
    #[trace(skip)]
    pub(super) untraced: F::Untraced,
}

/// Fields of `User` that are not traced.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Untraced<F: Family> {
    pub(super) content: F::Cell<Content<Any<F>>>,
    pub(super) fixed: Option<Any<F>>,
    pub(super) cell: EdgeCell<User<F>>,
}

pub(super) const FILLER: usize = 5000;

/// Larger than any size class.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Large<F: Family> {
    pub(super) leaf: Leaf,
    pub(super) filler: [u64; FILLER],
    pub(super) next: EdgeCell<Large<F>>,
    pub(super) content: F::Cell<Content<Any<F>>>,
    pub(super) tail: Canary,
}

/// As above, with nothing to drop.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct LargePlain<F: Family> {
    pub(super) canary: Canary,
    pub(super) filler: [u64; FILLER],
    pub(super) next: EdgeCell<Plain<F>>,
    pub(super) fixed: Option<Any<F>>,
    pub(super) tail: Canary,
}

/// Needs more alignment than slots have by themselves.
#[derive(Trace)]
#[trace(bound = "F: Family")]
#[repr(align(512))]
pub struct Aligned<F: Family> {
    pub(super) leaf: Leaf,
    pub(super) next: EdgeCell<Aligned<F>>,
    pub(super) content: F::Cell<Content<Any<F>>>,
    pub(super) once: GcOnceCell<Any<F>>,
}

/// Its drop panics.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Bomb<F: Family> {
    pub(super) leaf: Leaf,
    pub(super) next: EdgeCell<User<F>>,
    pub(super) content: F::Cell<Content<Any<F>>>,
    pub(super) fuse: Fuse,
}

/// A leaf whose drop panics.
#[derive(Trace)]
#[trace(leaf)]
pub struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        // Quietly: without a hook.
        resume_unwind(Box::new("a drop that panics"));
    }
}

/// Holds more handles than the collector treats in one go.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Wide<F: Family> {
    pub(super) canary: Canary,
    pub(super) fixed: Vec<Any<F>>,
    pub(super) content: F::Cell<Content<Any<F>>>,
    pub(super) cells: Box<[EdgeCell<Plain<F>>]>,
}

/// An element of an object that is a slice. All have the id of the object, and the first has its leaf.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Part<F: Family> {
    pub(super) canary: Canary,
    pub(super) leaf: Option<Leaf>,
    pub(super) fixed: Option<Any<F>>,
    pub(super) next: EdgeCell<Plain<F>>,
}

/// A value, wherever it is.
#[expect(missing_docs, reason = "named as the types")]
pub enum View<'a, F: Family> {
    Plain(&'a Plain<F>),
    Frees(&'a Frees<F>),
    Mixed(&'a Mixed<F>),
    User(&'a User<F>),
    Large(&'a Large<F>),
    LargePlain(&'a LargePlain<F>),
    Aligned(&'a Aligned<F>),
    Bomb(&'a Bomb<F>),
    Wide(&'a Wide<F>),
    Mortal(&'a Mortal<F>),
    Keeper(&'a Keeper<F>),
    Bundle(&'a Bundle<F>),
    Detour(&'a Detour<F>),
    LocalMortal(&'a LocalMortal<F>),
    Slice(&'a [Part<F>]),
}

/// An object of any type under a pin.
#[expect(missing_docs, reason = "named as the types")]
pub enum Pinned<'g, F: Family> {
    Plain(graphgc::Local<'g, Plain<F>>),
    Frees(graphgc::Local<'g, Frees<F>>),
    Mixed(graphgc::Local<'g, Mixed<F>>),
    User(graphgc::Local<'g, User<F>>),
    Large(graphgc::Local<'g, Large<F>>),
    LargePlain(graphgc::Local<'g, LargePlain<F>>),
    Aligned(graphgc::Local<'g, Aligned<F>>),
    Bomb(graphgc::Local<'g, Bomb<F>>),
    Wide(graphgc::Local<'g, Wide<F>>),
    Mortal(graphgc::Local<'g, Mortal<F>>),
    Keeper(graphgc::Local<'g, Keeper<F>>),
    Bundle(graphgc::Local<'g, Bundle<F>>),
    Detour(graphgc::Local<'g, Detour<F>>),
    LocalMortal(graphgc::Local<'g, LocalMortal<F>>),
    Slice(graphgc::Local<'g, [Part<F>]>),
    Dyn(graphgc::Local<'g, F::Dyn>),
}

impl<F: Family> Clone for Pinned<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Pinned<'_, F> {}

/// A cell with a single edge.
#[expect(missing_docs, reason = "named as the types that the edge leads to")]
pub enum EdgeRef<'a, F: Family> {
    Plain(&'a EdgeCell<Plain<F>>),
    User(&'a EdgeCell<User<F>>),
    Large(&'a EdgeCell<Large<F>>),
    Aligned(&'a EdgeCell<Aligned<F>>),
    Mortal(&'a EdgeCell<Mortal<F>>),
    Keeper(&'a EdgeCell<Keeper<F>>),
    LocalMortal(&'a EdgeCell<LocalMortal<F>>),
    /// By way of a thin handle's own object.
    Thin(&'a ThinCell<F>),
    /// Never empty.
    Always(&'a GcCell<Gc<Plain<F>>>),
}

impl<F: Family> Clone for View<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for View<'_, F> {}

/// The types of objects.
pub trait Node<F: Family>: Trace + Sized {
    /// The handle as one of any type.
    fn any(this: Gc<Self>) -> Any<F>;
    /// The handle, if it leads to this type.
    fn of(any: &Any<F>) -> Option<&Gc<Self>>;
    /// The object under a pin as one of any type.
    fn pinned(this: graphgc::Local<'_, Self>) -> Pinned<'_, F>;
    /// The object under a pin, if it is of this type.
    fn of_pinned<'g>(pinned: &Pinned<'g, F>) -> Option<graphgc::Local<'g, Self>>;
    /// The value as one of any type.
    fn view(&self) -> View<'_, F>;
}

macro_rules! nodes {
    ($($name:ident)*) => {
        $(impl<F: Family> Node<F> for $name<F> {
            fn any(this: Gc<Self>) -> Any<F> {
                Any::$name(this)
            }
            fn of(any: &Any<F>) -> Option<&Gc<Self>> {
                if let Any::$name(handle) = any { Some(handle) } else { None }
            }
            fn pinned(this: graphgc::Local<'_, Self>) -> Pinned<'_, F> {
                Pinned::$name(this)
            }
            fn of_pinned<'g>(pinned: &Pinned<'g, F>) -> Option<graphgc::Local<'g, Self>> {
                if let Pinned::$name(local) = pinned { Some(*local) } else { None }
            }
            fn view(&self) -> View<'_, F> {
                View::$name(self)
            }
        })*

        impl<F: Family> Clone for Any<F> {
            fn clone(&self) -> Self {
                match self {
                    $(Any::$name(it) => Any::$name(it.clone()),)*
                    Any::Slice(it) => Any::Slice(it.clone()),
                    Any::Dyn(it) => Any::Dyn(it.clone()),
                }
            }
        }

        impl<F: Family> Any<F> {
            /// What the handle leads to.
            pub fn view(&self) -> View<'_, F> {
                match self {
                    $(Any::$name(it) => View::$name(it),)*
                    Any::Slice(it) => View::Slice(it),
                    Any::Dyn(it) => it.seen(),
                }
            }

            /// The object under a pin.
            pub fn pinned<'g>(&self, guard: &'g Guard) -> Pinned<'g, F> {
                match self {
                    $(Any::$name(it) => Pinned::$name(it.local(guard)),)*
                    Any::Slice(it) => Pinned::Slice(it.local(guard)),
                    Any::Dyn(it) => Pinned::Dyn(it.local(guard)),
                }
            }
        }

        impl<'g, F: Family> Pinned<'g, F> {
            /// The object.
            pub fn view(self) -> View<'g, F> {
                match self {
                    $(Pinned::$name(it) => View::$name(graphgc::Local::get(it)),)*
                    Pinned::Slice(it) => View::Slice(graphgc::Local::get(it)),
                    Pinned::Dyn(it) => graphgc::Local::get(it).seen(),
                }
            }

            /// A handle to it.
            pub fn to_any(self) -> Any<F> {
                match self {
                    $(Pinned::$name(it) => Any::$name(it.to_gc()),)*
                    Pinned::Slice(it) => Any::Slice(it.to_gc()),
                    Pinned::Dyn(it) => Any::Dyn(it.to_gc()),
                }
            }
        }
    };
}

nodes!(Plain Frees Mixed User Large LargePlain Aligned Bomb Wide Mortal Keeper Bundle Detour LocalMortal);

#[track_caller]
fn same(one: u32, other: u32) -> u32 {
    assert_eq!(one, other, "two ends of one object differ");
    one
}

impl<F: Family> Any<F> {
    /// The id, if all canaries are well.
    #[track_caller]
    pub fn check(&self) -> u32 {
        self.view().check()
    }
}

macro_rules! ordered_by_id {
    ($name:ident) => {
        impl<F: Family> PartialEq for $name<F> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl<F: Family> Eq for $name<F> {}

        impl<F: Family> PartialOrd for $name<F> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<F: Family> Ord for $name<F> {
            fn cmp(&self, other: &Self) -> Ordering {
                self.view().check().cmp(&other.view().check())
            }
        }
    };
}

ordered_by_id!(Any);
ordered_by_id!(Plain);

impl<F: Family> Element for Gc<Plain<F>> {
    fn id(&self) -> u32 {
        self.view().check()
    }
}

impl<F: Family> Element for Any<F> {
    #[track_caller]
    fn id(&self) -> u32 {
        self.check()
    }
}

/// What a place holds, or that it cannot be read for the moment.
type Found<T> = Option<T>;

impl<'a, F: Family> View<'a, F> {
    /// The id, if all canaries are well.
    #[track_caller]
    pub fn check(self) -> u32 {
        let filled = |filler: &[u64; FILLER], id: u32| {
            assert!(filler[0] == u64::from(id) && filler[FILLER - 1] == u64::from(id), "object {id} is overwritten");
            id
        };
        match self {
            View::Plain(it) => same(it.canary.check(), it.tail.check()),
            View::Frees(it) => it.canary.check(),
            View::Mixed(it) => it.canary.check(),
            View::User(it) => it.leaf.check(),
            View::Large(it) => filled(&it.filler, same(it.leaf.check(), it.tail.check())),
            View::LargePlain(it) => filled(&it.filler, same(it.canary.check(), it.tail.check())),
            View::Aligned(it) => {
                assert_eq!(std::ptr::from_ref(it).addr() % 512, 0);
                it.leaf.check()
            }
            View::Bomb(it) => it.leaf.check(),
            View::Wide(it) => it.canary.check(),
            View::Mortal(it) => it.check(),
            View::Keeper(it) => it.leaf.check(),
            View::Bundle(it) => it.canary.check(),
            View::Detour(it) => it.check(),
            View::LocalMortal(it) => it.check(),
            View::Slice(it) => {
                let id = it[0].leaf.as_ref().expect("the first part has the leaf").check();
                it.iter().fold(id, |id, part| same(id, part.canary.check()))
            }
        }
    }

    /// The type.
    pub fn kind(self) -> Kind {
        match self {
            View::Plain(_) => Kind::Plain,
            View::Frees(_) => Kind::Frees,
            View::Mixed(_) => Kind::Mixed,
            View::User(_) => Kind::User,
            View::Large(_) => Kind::Large,
            View::LargePlain(_) => Kind::LargePlain,
            View::Aligned(_) => Kind::Aligned,
            View::Bomb(_) => Kind::Bomb,
            View::Wide(_) => Kind::Wide,
            View::Mortal(_) => Kind::Mortal,
            View::Keeper(_) => Kind::Keeper,
            View::Bundle(_) => Kind::Bundle,
            View::Detour(_) => Kind::Detour,
            View::LocalMortal(_) => Kind::LocalMortal,
            View::Slice(_) => Kind::Slice,
        }
    }

    /// Number of places that hold handles.
    pub fn places(self) -> usize {
        match self {
            View::Plain(_) | View::Bundle(_) => 4,
            View::Mixed(_) => 5,
            View::User(_) => 6,
            View::Frees(_) | View::Wide(_) | View::Aligned(_) => 3,
            View::Detour(_) => detour::PLACES,
            View::Keeper(_) => 1,
            View::Large(_) | View::LargePlain(_) | View::Bomb(_) => 2,
            View::Slice(_) | View::Mortal(_) | View::LocalMortal(_) => 2,
        }
    }

    /// The edge at this index in a place, held as `grasp` does. Waits for other threads if told so.
    pub fn nth<G: Grasp<F>>(self, place: usize, index: usize, wait: bool, grasp: &G) -> Found<Option<G::Held>> {
        let of = |content: &Content<Any<F>>| content.nth(index).map(|any| grasp.any(any));
        let slot = |cells: &[EdgeCell<Plain<F>>]| cells.get(index % cells.len().max(1)).and_then(|it| grasp.cell(it));
        let of_list = |list: &[Gc<Plain<F>>]| list.get(index % list.len().max(1)).map(|handle| grasp.handle(handle));
        if let Some(lock) = self.lock_at(place) {
            return lock.read(wait, of);
        }
        Some(match (self, place) {
            (View::Plain(it), 0) => it.fixed.as_ref().map(|any| grasp.any(any)),
            (View::Plain(it), 1) => grasp.cell(&it.next),
            (View::Plain(it), 2) => it.always.as_ref().map(|cell| grasp.full(cell)),
            (View::Plain(it), _) => grasp.cell(&it.user),
            (View::Frees(it), 0) => {
                return it.content.look(wait, |content| content.nth(index).map(|handle| grasp.handle(handle)));
            }
            (View::Frees(it), 1) => it.fixed.get(index % it.fixed.len().max(1)).map(|handle| grasp.handle(handle)),
            (View::Frees(it), _) => it.other.as_ref().map(|handle| grasp.handle(handle)),
            (View::Mixed(it), 1) => return it.nested.look(wait, |inner| inner.look(wait, of)).flatten(),
            (View::Mixed(it), 2) => return it.cells.look(wait, |cells| slot(cells)),
            (View::Mixed(it), 3) => of(&it.fixed),
            (View::Mixed(it), _) => it.boxed.as_deref().map(|any| grasp.any(any)),
            (View::User(it), 2) => grasp.cell(&it.cell),
            (View::User(it), 4) => it.untraced.fixed.as_ref().map(|any| grasp.any(any)),
            (View::User(it), _) => grasp.cell(&it.untraced.cell),
            (View::Large(it), _) => grasp.cell(&it.next),
            (View::LargePlain(it), 0) => grasp.cell(&it.next),
            (View::LargePlain(it), _) => it.fixed.as_ref().map(|any| grasp.any(any)),
            (View::Aligned(it), 0) => grasp.cell(&it.next),
            (View::Aligned(it), _) => it.once.get().map(|any| grasp.any(any)),
            (View::Bomb(it), _) => grasp.cell(&it.next),
            (View::Wide(it), 0) => it.fixed.get(index % it.fixed.len().max(1)).map(|any| grasp.any(any)),
            (View::Wide(it), _) => slot(&it.cells),
            (View::Mortal(it), 0) => grasp.cell(&it.next),
            (View::Mortal(it), _) => grasp.cell(&it.other),
            (View::LocalMortal(it), 0) => grasp.cell(&it.next),
            (View::LocalMortal(it), _) => grasp.cell(&it.other),
            (View::Keeper(it), _) => grasp.cell(&it.next),
            (View::Detour(it), _) => return it.nth(place, index, wait, grasp),
            (View::Bundle(it), 0) => return it.list.look(wait, of_list),
            (View::Bundle(it), 3) => return it.own.look(wait, of_list),
            (View::Bundle(it), 1) => {
                let map = if wait { it.map.read() } else { it.map.try_read()? };
                map.get(&((index % usize::from(KEYS)) as u8)).map(|handle| grasp.handle(handle))
            }
            (View::Bundle(it), _) => {
                let set = if wait { it.set.read() } else { it.set.try_read()? };
                let mut sorted: Vec<_> = set.iter().collect();
                sorted.sort_by_key(|one| one.view().check());
                sorted.get(index % set.len().max(1)).map(|handle| grasp.handle(*handle))
            }
            (View::Slice(it), 0) => it[index % it.len()].fixed.as_ref().map(|any| grasp.any(any)),
            (View::Slice(it), _) => grasp.cell(&it[index % it.len()].next),
        })
    }

    /// All that a place holds; never waits.
    pub fn read(self, place: usize) -> Found<Content<Any<F>>> {
        let slots = |cells: &[EdgeCell<Plain<F>>]| Content::Slots(cells.iter().map(|it| Counted.cell(it)).collect());
        if let Some(lock) = self.lock_at(place) {
            return lock.read(false, Content::clone);
        }
        match (self, place) {
            (View::Frees(it), 0) => it.content.look(false, |content| content.clone().map(Any::Plain)),
            (View::Frees(it), 1) => Some(Content::List(it.fixed.iter().cloned().map(Any::User).collect())),
            (View::Mixed(it), 1) => it.nested.look(false, |inner| inner.look(false, Content::clone)).flatten(),
            (View::Mixed(it), 2) => it.cells.look(false, |cells| slots(cells)),
            (View::Mixed(it), 3) => Some(it.fixed.clone()),
            (View::Wide(it), 0) => Some(Content::List(it.fixed.clone())),
            (View::Wide(it), 2) => Some(slots(&it.cells)),
            (View::Slice(it), 0) => Some(Content::Slots(it.iter().map(|part| part.fixed.clone()).collect())),
            (View::Slice(it), _) => Some(Content::Slots(it.iter().map(|part| Counted.cell(&part.next)).collect())),
            (View::Bundle(it), _) => it.read(place),
            (View::Detour(it), detour::FUNCTION) => it.read_function(),
            _ => self.nth(place, 0, false, &Counted).map(Content::Option),
        }
    }

    /// The lock-type cell at this place.
    pub fn lock_at(self, place: usize) -> Option<CellRef<'a, F>> {
        Some(match (self, place) {
            (View::Mixed(it), 0) => CellRef::Cell(&it.content),
            (View::User(it), 0) => CellRef::Mutex(&it.mutex),
            (View::User(it), 1) => CellRef::Lock(&it.lock),
            (View::User(it), 3) => CellRef::Cell(&it.untraced.content),
            (View::Large(it), 1) => CellRef::Cell(&it.content),
            (View::Aligned(it), 1) => CellRef::Cell(&it.content),
            (View::Bomb(it), 1) => CellRef::Cell(&it.content),
            (View::Wide(it), 1) => CellRef::Cell(&it.content),
            _ => return None,
        })
    }

    /// One of the cells with a single edge that are neither in a lock-type cell nor untraced, with its place and its index there.
    pub fn some_edge(self, number: u8) -> Option<(usize, usize, EdgeRef<'a, F>)> {
        Some(match self {
            View::Plain(it) => match number % 3 {
                0 => (1, 0, EdgeRef::Plain(&it.next)),
                1 => (3, 0, EdgeRef::User(&it.user)),
                _ => (2, 0, EdgeRef::Always(it.always.as_ref()?)),
            },
            View::User(it) => (2, 0, EdgeRef::User(&it.cell)),
            View::Large(it) => (0, 0, EdgeRef::Large(&it.next)),
            View::LargePlain(it) => (0, 0, EdgeRef::Plain(&it.next)),
            View::Aligned(it) => (0, 0, EdgeRef::Aligned(&it.next)),
            View::Bomb(it) => (0, 0, EdgeRef::User(&it.next)),
            View::Wide(it) => {
                let index = usize::from(number) % it.cells.len().max(1);
                (2, index, EdgeRef::Plain(it.cells.get(index)?))
            }
            View::Mortal(it) => match number % 2 {
                0 => (0, 0, EdgeRef::Mortal(&it.next)),
                _ => (1, 0, EdgeRef::Mortal(&it.other)),
            },
            View::LocalMortal(it) => match number % 2 {
                0 => (0, 0, EdgeRef::LocalMortal(&it.next)),
                _ => (1, 0, EdgeRef::Plain(&it.other)),
            },
            View::Keeper(it) => (0, 0, EdgeRef::Keeper(&it.next)),
            View::Detour(it) => (detour::THIN, 0, EdgeRef::Thin(&it.thin)),
            View::Slice(it) => {
                let index = usize::from(number) % it.len();
                (1, index, EdgeRef::Plain(&it[index].next))
            }
            View::Frees(_) | View::Mixed(_) | View::Bundle(_) => return None,
        })
    }

    /// One of the traced lock-type cells, with its place.
    pub fn some_lock(self, number: u8) -> Option<(usize, CellRef<'a, F>)> {
        let traced = |place: &usize| !(matches!(self, View::User(_)) && *place == 3);
        let mut locks: Vec<_> =
            (0..self.places()).filter(traced).filter_map(|place| Some((place, self.lock_at(place)?))).collect();
        if locks.is_empty() { None } else { Some(locks.swap_remove(usize::from(number) % locks.len())) }
    }
}

/// Whether the drop of such an object is counted.
pub fn has_leaf(kind: Kind) -> bool {
    use Kind::{Aligned, Bomb, Detour, Keeper, Large, LocalMortal, Mortal, Slice, User};
    matches!(kind, User | Large | Aligned | Bomb | Slice | Mortal | LocalMortal | Keeper | Detour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphgc::__private::{DropKind, facts_of};

    /// Else the sweeping of some kind of span would be tested by no program.
    fn every_kind_of_drop<F: Family>() {
        assert!(matches!(facts_of::<Plain<F>>().drop, DropKind::None));
        assert!(matches!(facts_of::<LargePlain<F>>().drop, DropKind::None));
        assert!(matches!(facts_of::<Frees<F>>().drop, DropKind::Frees));
        assert!(matches!(facts_of::<Bundle<F>>().drop, DropKind::Frees));
        assert!(matches!(facts_of::<Mixed<F>>().drop, DropKind::User));
        assert!(matches!(facts_of::<User<F>>().drop, DropKind::User));
        assert!(matches!(facts_of::<Large<F>>().drop, DropKind::User));
        assert!(matches!(facts_of::<Aligned<F>>().drop, DropKind::User));
        assert!(matches!(facts_of::<Bomb<F>>().drop, DropKind::User));
        assert!(matches!(facts_of::<Keeper<F>>().drop, DropKind::User));
    }

    #[test]
    fn there_are_objects_of_every_kind_of_drop() {
        every_kind_of_drop::<Local>();
        every_kind_of_drop::<Shared>();
    }
}
