//! Random programs on one thread against plain reachability: after every collection exactly the objects that the model says are
//! unreachable have been dropped.
//!
//! A program allocates, links, unlinks and moves handles in and out of cells by every route that safe code has; a model beside it
//! notes, for each place in each object, which objects the handles there lead to. Every object that the program meets on its way is looked
//! at (its canaries, its identity). In every other program a second thread asks for one cycle after the other, so that the collector works
//! all the time while the program changes the graph under it.

use graphgc::{
    Config, Gc, GcCell, GcMutex, GcMutexGuard, GcRefCell, GcRwLock, GcRwLockWriteGuard, Outcome, Ref, RefMut, Trace,
    collect, stats,
};
use graphgc_tests::{
    payload::{Canary, Leaf, corrupt_drops, drops_of, new_id},
    random::{Random, Replay, seeds},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

const OPERATIONS: usize = 100_000;
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Roots that the program holds at most.
const MOST_ROOTS: usize = 48;
/// Elements of an ordinary vector at most.
const MOST_ELEMENTS: usize = 10;
/// Keys of maps.
const KEYS: usize = 8;
/// Handles of a wide object: more than the collector treats in one go.
const WIDE: usize = 1500;

/// A handle to an object of any type.
#[derive(Clone, Trace)]
enum Any {
    Plain(Gc<Plain>),
    Frees(Gc<Frees>),
    User(Gc<User>),
    Large(Gc<Large>),
    LargePlain(Gc<LargePlain>),
    Aligned(Gc<Aligned>),
    Wide(Gc<Wide>),
}

/// Nothing to drop when it dies.
#[derive(Trace)]
struct Plain {
    canary: Canary,
    fixed: Option<Any>,
    next: GcCell<Option<Gc<Plain>>>,
    always: Option<GcCell<Gc<Plain>>>,
    user: GcCell<Option<Gc<User>>>,
    tail: Canary,
}

/// Owns memory of std's containers, but nothing that runs users' code.
#[derive(Trace)]
struct Frees {
    canary: Canary,
    list: GcRefCell<Vec<Any>>,
    nested: GcRefCell<GcRefCell<Vec<Any>>>,
    cells: GcRefCell<Vec<GcCell<Option<Gc<Plain>>>>>,
    map: GcRefCell<HashMap<usize, Any>>,
    tree: GcRefCell<BTreeMap<usize, Any>>,
    option: GcRefCell<Option<Any>>,
    fixed: Vec<Any>,
    boxed: Option<Box<Any>>,
}

/// Has a user's drop.
#[derive(Trace)]
struct User {
    leaf: Leaf,
    mutex: GcMutex<Vec<Any>>,
    lock: GcRwLock<VecDeque<Any>>,
    cell: GcCell<Option<Gc<User>>>,
    #[trace(skip)]
    skipped: GcRefCell<Vec<Any>>,
    #[trace(skip)]
    skipped_fixed: Option<Any>,
    #[trace(skip)]
    skipped_cell: GcCell<Option<Gc<User>>>,
}

/// Larger than any size class.
#[derive(Trace)]
struct Large {
    leaf: Leaf,
    filler: [u64; 5000],
    next: GcCell<Option<Gc<Large>>>,
    list: GcRefCell<Vec<Any>>,
    tail: Canary,
}

/// As above, with nothing to drop.
#[derive(Trace)]
struct LargePlain {
    canary: Canary,
    filler: [u64; 5000],
    next: GcCell<Option<Gc<Plain>>>,
    fixed: Option<Any>,
    tail: Canary,
}

/// Needs more alignment than slots have by themselves.
#[derive(Trace)]
#[repr(align(512))]
struct Aligned {
    leaf: Leaf,
    next: GcCell<Option<Gc<Aligned>>>,
    option: GcRefCell<Option<Any>>,
}

/// Holds more handles than the collector treats in one go.
#[derive(Trace)]
struct Wide {
    canary: Canary,
    fixed: Vec<Any>,
    list: GcRefCell<Vec<Any>>,
    cells: Box<[GcCell<Option<Gc<Plain>>>]>,
}

/// What the typed edges need to know of their target's type.
trait Node: Trace + Sized {
    fn any(this: Gc<Self>) -> Any;
    fn of(any: &Any) -> Option<&Gc<Self>>;
    /// The id, if all canaries are well.
    fn check(&self) -> u32;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Plain,
    Frees,
    User,
    Large,
    LargePlain,
    Aligned,
    Wide,
}

macro_rules! node {
    ($name:ident, |$this:ident| $check:expr) => {
        impl Node for $name {
            fn any(this: Gc<Self>) -> Any {
                Any::$name(this)
            }
            fn of(any: &Any) -> Option<&Gc<Self>> {
                if let Any::$name(handle) = any { Some(handle) } else { None }
            }
            fn check(&self) -> u32 {
                let $this = self;
                $check
            }
        }
    };
}

node!(Plain, |it| same(it.canary.check(), it.tail.check()));
node!(Frees, |it| it.canary.check());
node!(User, |it| it.leaf.check());
node!(Large, |it| {
    let id = same(it.leaf.check(), it.tail.check());
    assert!(it.filler[0] == u64::from(id) && it.filler[4999] == u64::from(id));
    id
});
node!(LargePlain, |it| {
    let id = same(it.canary.check(), it.tail.check());
    assert!(it.filler[0] == u64::from(id) && it.filler[4999] == u64::from(id));
    id
});
node!(Aligned, |it| {
    assert_eq!(std::ptr::from_ref(it).addr() % 512, 0);
    it.leaf.check()
});
node!(Wide, |it| it.canary.check());

#[track_caller]
fn same(one: u32, other: u32) -> u32 {
    assert_eq!(one, other, "two ends of one object differ");
    one
}

impl Any {
    #[track_caller]
    fn check(&self) -> u32 {
        match self {
            Any::Plain(it) => it.check(),
            Any::Frees(it) => it.check(),
            Any::User(it) => it.check(),
            Any::Large(it) => it.check(),
            Any::LargePlain(it) => it.check(),
            Any::Aligned(it) => it.check(),
            Any::Wide(it) => it.check(),
        }
    }
}

/// Whether the handles in a place are found by tracing, and who may still get at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Open,
    /// Not traced: its handles are roots while their owner exists.
    Skipped,
    /// A guard for reading has been forgotten.
    ReadHeld,
    /// A guard for writing is held or has been forgotten: nobody gets in, and its handles are roots while their owner exists.
    WriteHeld,
}

#[derive(Clone, Debug)]
struct Place {
    edges: Vec<Option<u32>>,
    access: Access,
}

struct Modelled {
    kind: Kind,
    places: Vec<Place>,
    /// A guard of the outer of two nested cells has been forgotten.
    outer: Access,
}

/// All objects that exist, found by their ids.
struct Objects {
    first: u32,
    by_id: Vec<Option<Modelled>>,
    ids: Vec<u32>,
}

impl Objects {
    fn new() -> Self {
        Objects { first: new_id(), by_id: Vec::new(), ids: Vec::new() }
    }

    fn index(&self, id: u32) -> usize {
        (id - self.first) as usize
    }

    fn insert(&mut self, id: u32, object: Modelled) {
        let index = self.index(id);
        self.by_id.resize_with(index + 1, || None);
        self.by_id[index] = Some(object);
        self.ids.push(id);
    }

    fn contains(&self, id: u32) -> bool {
        id >= self.first && self.by_id.get(self.index(id)).is_some_and(Option::is_some)
    }

    #[track_caller]
    fn get(&self, id: u32) -> &Modelled {
        self.by_id[self.index(id)].as_ref().expect("a reachable object is in the model")
    }

    #[track_caller]
    fn get_mut(&mut self, id: u32) -> &mut Modelled {
        let index = self.index(id);
        self.by_id[index].as_mut().expect("a reachable object is in the model")
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Modelled)> {
        self.ids.iter().map(|id| (*id, self.get(*id)))
    }

    /// Removes what is not kept, and returns it.
    fn retain(&mut self, mut kept: impl FnMut(u32) -> bool) -> Vec<(u32, Kind)> {
        let (kept, removed) = mem::take(&mut self.ids).into_iter().partition(|id| kept(*id));
        self.ids = kept;
        let take = |id: u32| (id, self.by_id[(id - self.first) as usize].take().expect("in the model").kind);
        Vec::into_iter(removed).map(take).collect()
    }
}

/// The program's state and the model of it.
struct World {
    random: Random,
    objects: Objects,
    roots: Vec<Any>,
    /// Objects that the program holds for the moment beside its roots.
    held: Vec<u32>,
    /// Objects whose handles have been forgotten.
    forgotten: Vec<u32>,
    /// Objects that the statistics counted before we began.
    base: u64,
    collections: usize,
}

fn open(edges: Vec<Option<u32>>) -> Place {
    Place { edges, access: Access::Open }
}

fn skipped(edges: Vec<Option<u32>>) -> Place {
    Place { edges, access: Access::Skipped }
}

fn ids(handles: &[Any]) -> Vec<Option<u32>> {
    handles.iter().map(|handle| Some(handle.check())).collect()
}

fn id_of(handle: &Option<Any>) -> Vec<Option<u32>> {
    vec![handle.as_ref().map(Any::check)]
}

impl World {
    fn place(&mut self, id: u32, place: usize) -> &mut Place {
        &mut self.objects.get_mut(id).places[place]
    }

    fn edges(&mut self, id: u32, place: usize) -> &mut Vec<Option<u32>> {
        &mut self.place(id, place).edges
    }

    /// Any object that the program can reach: a root, or what a few random steps from it lead to.
    fn pick(&mut self) -> Option<Any> {
        if self.roots.is_empty() {
            return None;
        }
        let index = self.random.below(self.roots.len());
        let mut here = self.roots[index].clone();
        for _ in 0..self.random.below(6) {
            match self.step(&here) {
                Some(next) => here = next,
                None => break,
            }
        }
        self.known(&here);
        Some(here)
    }

    /// The object is alive, and the model says so, too.
    #[track_caller]
    fn known(&self, handle: &Any) -> u32 {
        let id = handle.check();
        assert!(self.objects.contains(id), "object {id} is reachable but not in the model");
        id
    }

    fn pick_of<T: Node>(&mut self) -> Option<Gc<T>> {
        (0..4).find_map(|_| self.pick().and_then(|any| T::of(&any).cloned()))
    }

    fn pick_many(&mut self, most: usize) -> Vec<Any> {
        (0..self.random.below(most + 1)).filter_map(|_| self.pick()).collect()
    }

    /// Follows a random edge of the object, comparing what is there with the model.
    fn step(&mut self, from: &Any) -> Option<Any> {
        let id = self.known(from);
        let place = self.random.below(self.objects.get(id).places.len());
        let expected = self.objects.get(id).places[place].edges.clone();
        let access = self.objects.get(id).places[place].access;
        let outer = self.objects.get(id).outer;
        if access == Access::WriteHeld || outer == Access::WriteHeld || expected.is_empty() {
            return None;
        }
        let index = self.random.below(expected.len());
        let found = match (from, place) {
            (Any::Plain(it), 0) => it.fixed.clone(),
            (Any::Plain(it), 1) => it.next.get().map(Any::Plain),
            (Any::Plain(it), 2) => it.always.as_ref().map(|cell| Any::Plain(cell.get())),
            (Any::Plain(it), 3) => it.user.get().map(Any::User),
            (Any::Frees(it), 0) => it.list.borrow().get(index).cloned(),
            (Any::Frees(it), 1) => it.nested.borrow().borrow().get(index).cloned(),
            (Any::Frees(it), 2) => it.cells.borrow()[index].get().map(Any::Plain),
            (Any::Frees(it), 3) => it.map.borrow().get(&index).cloned(),
            (Any::Frees(it), 4) => it.tree.borrow().get(&index).cloned(),
            (Any::Frees(it), 5) => Ref::filter_map(it.option.borrow(), Option::as_ref).ok().map(|found| found.clone()),
            (Any::Frees(it), 6) => it.fixed.get(index).cloned(),
            (Any::Frees(it), 7) => it.boxed.as_deref().cloned(),
            (Any::User(it), 0) => match access {
                Access::Open => it.mutex.lock().get(index).cloned(),
                _ => return None,
            },
            (Any::User(it), 1) => it.lock.read().get(index).cloned(),
            (Any::User(it), 2) => it.cell.get().map(Any::User),
            (Any::User(it), 3) => it.skipped.borrow().get(index).cloned(),
            (Any::User(it), 4) => it.skipped_fixed.clone(),
            (Any::User(it), 5) => it.skipped_cell.get().map(Any::User),
            (Any::Large(it), 0) => it.next.get().map(Any::Large),
            (Any::Large(it), 1) => it.list.borrow().get(index).cloned(),
            (Any::LargePlain(it), 0) => it.next.get().map(Any::Plain),
            (Any::LargePlain(it), 1) => it.fixed.clone(),
            (Any::Aligned(it), 0) => it.next.get().map(Any::Aligned),
            (Any::Aligned(it), 1) => it.option.borrow().clone(),
            (Any::Wide(it), 0) => it.fixed.get(index).cloned(),
            (Any::Wide(it), 1) => it.list.borrow().get(index).cloned(),
            (Any::Wide(it), 2) => it.cells[index].get().map(Any::Plain),
            _ => unreachable!("no such place"),
        };
        let found_id = found.as_ref().map(Any::check);
        assert_eq!(
            found_id,
            expected[index],
            "edge {index} of place {place} of object {id} ({:?})",
            self.objects.get(id).kind
        );
        found
    }

    /// Takes handles that the program has got hold of: some become roots, the others are dropped.
    fn receive(&mut self, handles: impl IntoIterator<Item = Any>) {
        for handle in handles {
            self.known(&handle);
            if self.random.one_in(3) {
                self.roots.push(handle);
            }
        }
    }

    fn add(&mut self, handle: Any, kind: Kind, places: Vec<Place>) {
        let id = handle.check();
        self.objects.insert(id, Modelled { kind, places, outer: Access::Open });
        self.roots.push(handle);
    }

    fn allocate(&mut self) {
        let id = new_id();
        let fixed = if self.random.one_in(2) { self.pick() } else { None };
        match self.random.below(1000) {
            0..450 => {
                let (next, always, user) = (self.pick_of::<Plain>(), self.pick_of::<Plain>(), self.pick_of::<User>());
                let places = vec![
                    open(id_of(&fixed)),
                    open(vec![next.as_ref().map(|it| it.check())]),
                    open(vec![always.as_ref().map(|it| it.check())]),
                    open(vec![user.as_ref().map(|it| it.check())]),
                ];
                let always = always.map(GcCell::new);
                let (canary, tail) = (Canary::new(id), Canary::new(id));
                let plain = Plain { canary, fixed, next: GcCell::new(next), always, user: user.into(), tail };
                self.add(Any::Plain(Gc::new(plain)), Kind::Plain, places);
            }
            450..700 => self.allocate_frees(id, fixed),
            700..950 => self.allocate_user(id, fixed),
            950..962 => {
                let (next, list) = (self.pick_of::<Large>(), self.pick_many(3));
                let places = vec![open(vec![next.as_ref().map(|it| it.check())]), open(ids(&list))];
                let filler = [u64::from(id); 5000];
                let (leaf, tail) = (Leaf::new(id), Canary::new(id));
                let large = Large { leaf, filler, next: next.into(), list: list.into(), tail };
                self.add(Any::Large(Gc::new(large)), Kind::Large, places);
            }
            962..975 => {
                let next = self.pick_of::<Plain>();
                let places = vec![open(vec![next.as_ref().map(|it| it.check())]), open(id_of(&fixed))];
                let filler = [u64::from(id); 5000];
                let (canary, tail) = (Canary::new(id), Canary::new(id));
                let large = LargePlain { canary, filler, next: next.into(), fixed, tail };
                self.add(Any::LargePlain(Gc::new(large)), Kind::LargePlain, places);
            }
            975..998 => {
                let next = self.pick_of::<Aligned>();
                let places = vec![open(vec![next.as_ref().map(|it| it.check())]), open(id_of(&fixed))];
                let aligned = Aligned { leaf: Leaf::new(id), next: next.into(), option: fixed.into() };
                self.add(Any::Aligned(Gc::new(aligned)), Kind::Aligned, places);
            }
            _ => self.allocate_wide(id),
        }
    }

    fn allocate_frees(&mut self, id: u32, boxed: Option<Any>) {
        let list = self.pick_many(3);
        let nested = self.pick_many(3);
        let cells: Vec<_> = (0..self.random.below(4)).map(|_| self.pick_of::<Plain>()).collect();
        let map: HashMap<_, _> = (0..KEYS).filter_map(|key| Some((key, self.pick_rarely()?))).collect();
        let tree: BTreeMap<_, _> = (0..KEYS).filter_map(|key| Some((key, self.pick_rarely()?))).collect();
        let option = self.pick_rarely();
        let fixed = self.pick_many(3);
        let places = vec![
            open(ids(&list)),
            open(ids(&nested)),
            open(cells.iter().map(|cell| cell.as_ref().map(|it| it.check())).collect()),
            open((0..KEYS).map(|key| map.get(&key).map(Any::check)).collect()),
            open((0..KEYS).map(|key| tree.get(&key).map(Any::check)).collect()),
            open(id_of(&option)),
            open(ids(&fixed)),
            open(id_of(&boxed)),
        ];
        let frees = Frees {
            canary: Canary::new(id),
            list: list.into(),
            nested: GcRefCell::new(nested.into()),
            cells: cells.into_iter().map(GcCell::new).collect::<Vec<_>>().into(),
            map: map.into(),
            tree: tree.into(),
            option: option.into(),
            fixed,
            boxed: boxed.map(Box::new),
        };
        // Guards forgotten before the cells move into the heap.
        let mut access = [Access::Open; 2];
        match self.random.below(2000) {
            0 => {
                mem::forget(frees.list.borrow());
                access[0] = Access::ReadHeld;
            }
            1 => {
                mem::forget(frees.list.borrow_mut());
                access[0] = Access::WriteHeld;
            }
            2 => {
                mem::forget(frees.nested.borrow().borrow_mut());
                access[1] = Access::WriteHeld;
            }
            _ => {}
        }
        self.add(Any::Frees(Gc::new(frees)), Kind::Frees, places);
        self.place(id, 0).access = access[0];
        self.place(id, 1).access = access[1];
    }

    fn pick_rarely(&mut self) -> Option<Any> {
        if self.random.one_in(4) { self.pick() } else { None }
    }

    fn allocate_user(&mut self, id: u32, skipped_fixed: Option<Any>) {
        let mutex = self.pick_many(3);
        let lock: VecDeque<_> = self.pick_many(3).into();
        let cell = self.pick_of::<User>();
        let in_skipped = if self.random.one_in(150) { self.pick_many(2) } else { Vec::new() };
        let skipped_fixed = skipped_fixed.filter(|_| self.random.one_in(100));
        let skipped_cell = self.pick_of::<User>().filter(|_| self.random.one_in(150));
        let places = vec![
            open(ids(&mutex)),
            open(lock.iter().map(|it| Some(it.check())).collect()),
            open(vec![cell.as_ref().map(|it| it.check())]),
            skipped(ids(&in_skipped)),
            skipped(id_of(&skipped_fixed)),
            skipped(vec![skipped_cell.as_ref().map(|it| it.check())]),
        ];
        let user = User {
            leaf: Leaf::new(id),
            mutex: mutex.into(),
            lock: lock.into(),
            cell: cell.into(),
            skipped: in_skipped.into(),
            skipped_fixed,
            skipped_cell: skipped_cell.into(),
        };
        self.add(Any::User(Gc::new(user)), Kind::User, places);
    }

    fn allocate_wide(&mut self, id: u32) {
        let some: Vec<Any> = (0..8).filter_map(|_| self.pick()).collect();
        let plain: Vec<_> = (0..8).map(|_| self.pick_of::<Plain>()).collect();
        let length = if self.random.one_in(2) { WIDE } else { 3 };
        let fixed: Vec<Any> = some.iter().cycle().take(length).cloned().collect();
        let list: Vec<Any> = some.iter().rev().cycle().take(WIDE + 3 - length).cloned().collect();
        let cells: Vec<_> = plain.iter().cycle().take(length).cloned().collect();
        let places = vec![
            open(ids(&fixed)),
            open(ids(&list)),
            open(cells.iter().map(|cell| cell.as_ref().map(|it| it.check())).collect()),
        ];
        let cells = cells.into_iter().map(GcCell::new).collect();
        let wide = Wide { canary: Canary::new(id), fixed, list: list.into(), cells };
        self.add(Any::Wide(Gc::new(wide)), Kind::Wide, places);
    }

    /// Changes something somewhere.
    fn mutate(&mut self) {
        let Some(object) = self.pick() else { return };
        let id = self.known(&object);
        match &object {
            Any::Plain(it) => match self.random.below(4) {
                0 => self.change_cell(&it.next, id, 1, 0),
                1 => self.change_always(it, id),
                2 => self.change_cell(&it.user, id, 3, 0),
                _ => self.change_cell(&it.next, id, 1, 0),
            },
            Any::Frees(it) => match self.random.below(6) {
                0 => self.change_list(&it.list, id, 0),
                1 => self.change_nested(it, id),
                2 => self.change_cells(it, id),
                3 => self.change_maps(it, id),
                4 => self.change_option(&it.option, id, 5),
                _ => self.change_list(&it.list, id, 0),
            },
            Any::User(it) => match self.random.below(6) {
                0 | 1 => self.change_mutex(it, id),
                2 | 3 => self.change_lock(it, id),
                4 => self.change_cell(&it.cell, id, 2, 0),
                _ if self.random.one_in(50) => self.change_list(&it.skipped, id, 3),
                _ if self.random.one_in(50) => self.change_cell(&it.skipped_cell, id, 5, 0),
                _ => {
                    self.edges(id, 3).clear();
                    self.edges(id, 5)[0] = None;
                    let out = it.skipped.take().into_iter().chain(it.skipped_cell.take().map(Any::User));
                    self.receive(out);
                }
            },
            Any::Large(it) => match self.random.below(2) {
                0 => self.change_cell(&it.next, id, 0, 0),
                _ => self.change_list(&it.list, id, 1),
            },
            Any::LargePlain(it) => self.change_cell(&it.next, id, 0, 0),
            Any::Aligned(it) => match self.random.below(2) {
                0 => self.change_cell(&it.next, id, 0, 0),
                _ => self.change_option(&it.option, id, 1),
            },
            Any::Wide(it) => match self.random.below(2) {
                0 => self.change_list(&it.list, id, 1),
                _ => {
                    let index = self.random.below(it.cells.len());
                    self.change_cell(&it.cells[index], id, 2, index);
                }
            },
        }
    }

    fn change_cell<T: Node>(&mut self, cell: &GcCell<Option<Gc<T>>>, id: u32, place: usize, index: usize) {
        let new = if self.random.one_in(4) { None } else { self.pick_of::<T>() };
        let new_id = new.as_ref().map(|it| it.check());
        let old_id = self.edges(id, place)[index];
        let mut now = new_id;
        let out = match self.random.below(8) {
            0 | 1 => {
                cell.set(new);
                None
            }
            2 => cell.replace(new),
            3 => {
                now = None;
                cell.take()
            }
            4 => {
                let current = cell.get();
                cell.compare_exchange(&current, new).unwrap_or_else(|_| panic!("nobody else changes the cell"))
            }
            5 => {
                let other = self.pick_of::<T>();
                if other.as_ref().map(|it| it.check()) == old_id {
                    cell.compare_exchange(&other, new).unwrap_or_else(|_| panic!("the same edge"))
                } else {
                    now = old_id;
                    let refused = cell.compare_exchange(&other, new).err().expect("another edge");
                    assert_eq!(refused.as_ref().map(|it| it.check()), new_id, "the refused edge comes back");
                    refused
                }
            }
            6 => {
                now = old_id;
                let copy = cell.clone();
                copy.set(new);
                let back = copy.replace(cell.get());
                assert_eq!(back.as_ref().map(|it| it.check()), new_id);
                copy.into_inner()
            }
            _ => {
                now = old_id;
                let _dropped_as_a_cell = cell.clone();
                cell.get()
            }
        };
        self.edges(id, place)[index] = now;
        self.receive(out.map(T::any));
    }

    fn change_always(&mut self, it: &Plain, id: u32) {
        let (Some(cell), Some(new)) = (&it.always, self.pick_of::<Plain>()) else { return };
        let new_id = new.check();
        let out = match self.random.below(3) {
            0 => {
                cell.set(new);
                None
            }
            1 => Some(cell.replace(new)),
            _ => {
                Some(cell.compare_exchange(&cell.get(), new).unwrap_or_else(|_| panic!("nobody else changes the cell")))
            }
        };
        self.edges(id, 2)[0] = Some(new_id);
        self.receive(out.map(Any::Plain));
    }

    /// Changes a vector to which the program has exclusive access. What comes out, comes out.
    fn change_vec(&mut self, real: &mut Vec<Any>, id: u32, place: usize, new: Vec<Any>) -> Vec<Any> {
        let index = if real.is_empty() { 0 } else { self.random.below(real.len()) };
        let which = self.random.below(14);
        let length = self.random.below(MOST_ELEMENTS);
        let model = self.edges(id, place);
        assert_eq!(ids(real), *model, "place {place} of object {id}");
        let new_ids = ids(&new);
        match which {
            0..=3 => {
                real.extend(new);
                model.extend(new_ids);
                if real.len() > MOST_ELEMENTS && real.len() < WIDE {
                    model.truncate(length);
                    return real.split_off(length);
                }
                Vec::new()
            }
            4 => {
                model.pop();
                real.pop().into_iter().collect()
            }
            5 if !real.is_empty() => {
                model.swap_remove(index);
                vec![real.swap_remove(index)]
            }
            6 if !real.is_empty() => {
                model.remove(index);
                vec![real.remove(index)]
            }
            7 => {
                model.drain(index..);
                real.drain(index..).collect()
            }
            8 => {
                let mut number = 0;
                real.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                number = 0;
                model.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                Vec::new()
            }
            9 => {
                *model = new_ids;
                mem::replace(real, new)
            }
            10 => {
                model.clear();
                mem::take(real)
            }
            11 => {
                let mut new = new;
                *model = new_ids;
                mem::swap(real, &mut new);
                new
            }
            12 => {
                model.clear();
                real.clear();
                Vec::new()
            }
            _ => {
                model.reverse();
                real.reverse();
                real.first().cloned().into_iter().collect()
            }
        }
    }

    /// A write guard is held while the collector runs: the place's handles are roots.
    fn collect_while_held(&mut self, id: u32, place: usize, held: &[Any]) {
        self.held = held.iter().map(Any::check).collect();
        let before = mem::replace(&mut self.place(id, place).access, Access::WriteHeld);
        self.collect_and_compare();
        self.place(id, place).access = before;
        self.held.clear();
    }

    /// Whether a place may be opened for writing; checks that a place that may not be is refused.
    fn writable(&mut self, cell: &GcRefCell<Vec<Any>>, id: u32, place: usize) -> bool {
        match self.place(id, place).access {
            Access::Open | Access::Skipped => true,
            Access::ReadHeld => {
                assert!(cell.try_borrow_mut().is_err());
                let found = ids(&cell.borrow());
                assert_eq!(found, *self.edges(id, place));
                false
            }
            Access::WriteHeld => {
                assert!(cell.try_borrow_mut().is_err() && cell.try_borrow().is_err());
                false
            }
        }
    }

    fn change_list(&mut self, cell: &GcRefCell<Vec<Any>>, id: u32, place: usize) {
        let new = self.pick_many(4);
        let other = self.pick_of::<Frees>();
        if !self.writable(cell, id, place) {
            return;
        }
        let out = match self.random.below(16) {
            0..=3 => self.change_vec(&mut cell.borrow_mut(), id, place, new),
            4 => self.change_vec(&mut RefMut::map(cell.borrow_mut(), |list| list), id, place, new),
            5 => {
                *self.edges(id, place) = ids(&new);
                cell.replace(new)
            }
            6 => {
                self.edges(id, place).clear();
                cell.take()
            }
            7 => {
                let Some(other) = other else { return };
                let other_id = other.check();
                if other_id == id || !self.writable(&other.list, other_id, 0) {
                    return;
                }
                cell.swap(&other.list);
                let mine = mem::take(self.edges(id, place));
                let theirs = mem::replace(self.edges(other_id, 0), mine);
                *self.edges(id, place) = theirs;
                Vec::new()
            }
            8 => {
                let mut copy = cell.clone();
                copy.get_mut().extend(new);
                copy.borrow_mut().pop();
                copy.into_inner()
            }
            9 => {
                let guard = cell.borrow();
                assert_eq!(ids(&guard), *self.edges(id, place));
                assert!(cell.try_borrow_mut().is_err());
                if self.random.one_in(20) {
                    self.collect_and_compare();
                }
                let second = Ref::clone(&guard);
                drop(guard);
                second.iter().take(5).cloned().collect()
            }
            10 => {
                let mut guard = cell.borrow_mut();
                assert!(cell.try_borrow().is_err());
                if self.random.one_in(20) {
                    self.collect_while_held(id, place, &[]);
                }
                drop(other);
                let out = self.change_vec(&mut guard, id, place, new);
                if self.random.one_in(20) {
                    self.collect_while_held(id, place, &out);
                }
                out
            }
            11 if self.random.one_in(60) && self.place(id, place).access == Access::Open => {
                mem::forget(cell.borrow());
                self.place(id, place).access = Access::ReadHeld;
                Vec::new()
            }
            12 if self.random.one_in(1500) && self.place(id, place).access == Access::Open => {
                mem::forget(cell.borrow_mut());
                self.place(id, place).access = Access::WriteHeld;
                Vec::new()
            }
            _ => self.change_vec(&mut cell.borrow_mut(), id, place, new),
        };
        self.receive(out);
    }

    fn change_nested(&mut self, it: &Frees, id: u32) {
        let outer = self.objects.get(id).outer;
        let new = self.pick_many(4);
        let other = self.pick_of::<Frees>();
        if outer == Access::WriteHeld {
            assert!(it.nested.try_borrow().is_err());
            return;
        }
        if outer == Access::ReadHeld {
            assert!(it.nested.try_borrow_mut().is_err());
            return self.change_list(&it.nested.borrow(), id, 1);
        }
        let out = match self.random.below(9) {
            0..=2 => return self.change_list(&it.nested.borrow(), id, 1),
            // From here on guards that were forgotten in the inner cell do not matter.
            3 => self.change_vec(it.nested.borrow_mut().get_mut(), id, 1, new),
            4 => {
                *self.place(id, 1) = open(ids(&new));
                it.nested.replace(GcRefCell::new(new)).into_inner()
            }
            5 => {
                *self.place(id, 1) = open(Vec::new());
                let content = mem::take(it.nested.borrow_mut().get_mut());
                assert!(it.nested.take().into_inner().is_empty());
                content
            }
            6 => {
                let Some(other) = other else { return };
                let other_id = other.check();
                if other_id == id || self.objects.get(other_id).outer != Access::Open {
                    return;
                }
                mem::swap(&mut *it.nested.borrow_mut(), &mut *other.nested.borrow_mut());
                let mine = mem::replace(self.place(id, 1), open(Vec::new()));
                let theirs = mem::replace(self.place(other_id, 1), mine);
                *self.place(id, 1) = theirs;
                Vec::new()
            }
            7 if self.random.one_in(40) => {
                mem::forget(it.nested.borrow());
                self.objects.get_mut(id).outer = Access::ReadHeld;
                Vec::new()
            }
            8 if self.random.one_in(800) => {
                mem::forget(it.nested.borrow_mut());
                self.objects.get_mut(id).outer = Access::WriteHeld;
                self.place(id, 1).access = Access::WriteHeld;
                Vec::new()
            }
            _ => {
                let mut copy =
                    GcRefCell::new(it.nested.try_borrow().unwrap().try_borrow().map_or(vec![], |list| list.clone()));
                copy.get_mut().extend(new);
                copy.into_inner()
            }
        };
        self.receive(out);
    }

    fn change_cells(&mut self, it: &Frees, id: u32) {
        let new = self.pick_of::<Plain>();
        let new_id = new.as_ref().map(|it| it.check());
        let length = self.edges(id, 2).len();
        let out = match self.random.below(8) {
            0 | 1 if length < MOST_ELEMENTS => {
                it.cells.borrow_mut().push(GcCell::new(new));
                self.edges(id, 2).push(new_id);
                None
            }
            2 => {
                self.edges(id, 2).pop();
                it.cells.borrow_mut().pop().and_then(GcCell::into_inner)
            }
            3 | 4 if length > 0 => {
                let index = self.random.below(length);
                return self.change_cell(&it.cells.borrow()[index], id, 2, index);
            }
            5 if length > 0 => {
                let index = self.random.below(length);
                self.edges(id, 2)[index] = new_id;
                let mut cells = it.cells.borrow_mut();
                if self.random.one_in(2) {
                    cells[index].replace(new)
                } else {
                    mem::replace(&mut cells[index], GcCell::new(new)).into_inner()
                }
            }
            6 if length > 1 => {
                it.cells.borrow_mut().swap(0, length - 1);
                self.edges(id, 2).swap(0, length - 1);
                None
            }
            7 => {
                // The cells as they are, in and out.
                let cells = it.cells.take();
                it.cells.replace(cells.into_iter().rev().collect());
                self.edges(id, 2).reverse();
                None
            }
            _ => None,
        };
        self.receive(out.map(Any::Plain));
    }

    fn change_maps(&mut self, it: &Frees, id: u32) {
        let new = self.pick();
        let new_id = new.as_ref().map(Any::check);
        let key = self.random.below(KEYS);
        let mut now = new_id;
        let (place, out) = match self.random.below(8) {
            0 | 1 => (3, put(&mut it.map.borrow_mut(), key, new)),
            2 => {
                (4, new.map_or_else(|| it.tree.borrow_mut().remove(&key), |new| it.tree.borrow_mut().insert(key, new)))
            }
            3 => {
                now = None;
                (3, it.map.borrow_mut().remove(&key))
            }
            4 => {
                now = None;
                (4, it.tree.borrow_mut().remove(&key))
            }
            5 => {
                it.map.borrow_mut().retain(|found, _| *found != key);
                now = None;
                (3, None)
            }
            6 => {
                // All of one map into the other.
                let map = it.map.take();
                let tree = it.tree.replace(map.into_iter().collect());
                it.map.replace(tree.into_iter().collect());
                let map = mem::take(self.edges(id, 3));
                let tree = mem::replace(self.edges(id, 4), map);
                *self.edges(id, 3) = tree;
                return;
            }
            _ => {
                let entry = RefMut::filter_map(it.map.borrow_mut(), |map| map.get_mut(&key));
                match (entry, new) {
                    (Ok(mut entry), Some(new)) => (3, Some(mem::replace(&mut *entry, new))),
                    _ => return,
                }
            }
        };
        self.edges(id, place)[key] = now;
        self.receive(out);
    }

    fn change_option(&mut self, cell: &GcRefCell<Option<Any>>, id: u32, place: usize) {
        let new = self.pick();
        let new_id = new.as_ref().map(Any::check);
        let mut now = new_id;
        let out = match self.random.below(5) {
            0 => mem::replace(&mut *cell.borrow_mut(), new),
            1 => {
                now = None;
                cell.borrow_mut().take()
            }
            2 => cell.replace(new),
            3 => {
                *cell.borrow_mut() = new;
                None
            }
            _ => {
                let mut guard = cell.borrow_mut();
                let before = guard.take();
                if let Some(new) = new {
                    let _ = guard.get_or_insert(new);
                }
                before
            }
        };
        self.edges(id, place)[0] = now;
        self.receive(out);
    }

    fn change_mutex(&mut self, it: &User, id: u32) {
        let new = self.pick_many(4);
        if self.place(id, 0).access != Access::Open {
            assert!(it.mutex.try_lock().is_none());
            return;
        }
        let out = match self.random.below(8) {
            0 | 1 => self.change_vec(&mut it.mutex.lock(), id, 0, new),
            2 => self.change_vec(&mut it.mutex.try_lock().expect("nobody has it"), id, 0, new),
            3 => self.change_vec(&mut GcMutexGuard::map(it.mutex.lock(), |list| list), id, 0, new),
            4 => {
                let last = GcMutexGuard::filter_map(it.mutex.lock(), |list| list.last_mut());
                match (last, new.into_iter().next()) {
                    (Ok(mut last), Some(new)) => {
                        *self.edges(id, 0).last_mut().unwrap() = Some(new.check());
                        vec![mem::replace(&mut *last, new)]
                    }
                    _ => Vec::new(),
                }
            }
            5 if self.random.one_in(20) => {
                let mut guard = it.mutex.lock();
                self.collect_while_held(id, 0, &[]);
                self.change_vec(&mut guard, id, 0, new)
            }
            6 if self.random.one_in(1500) => {
                mem::forget(it.mutex.lock());
                self.place(id, 0).access = Access::WriteHeld;
                Vec::new()
            }
            _ => {
                *self.edges(id, 0) = ids(&new);
                mem::replace(&mut *it.mutex.lock(), new)
            }
        };
        self.receive(out);
    }

    fn change_lock(&mut self, it: &User, id: u32) {
        let new = self.pick();
        match self.place(id, 1).access {
            Access::Open | Access::Skipped => {}
            Access::ReadHeld => {
                assert!(it.lock.try_write().is_none() && it.lock.try_read().is_some());
                return;
            }
            Access::WriteHeld => {
                assert!(it.lock.try_write().is_none() && it.lock.try_read().is_none());
                return;
            }
        }
        let mut out = None;
        match self.random.below(10) {
            0 | 1 => {
                let mut guard = it.lock.write();
                let model = self.edges(id, 1);
                if let Some(new) = new {
                    model.push(Some(new.check()));
                    guard.push_back(new);
                }
                if guard.len() > MOST_ELEMENTS {
                    model.remove(0);
                    out = guard.pop_front();
                }
                let guard = GcRwLockWriteGuard::downgrade(guard);
                assert!(it.lock.try_write().is_none() && it.lock.try_read().is_some());
                assert_eq!(guard.iter().map(|it| Some(it.check())).collect::<Vec<_>>(), *self.edges(id, 1));
                if self.random.one_in(20) {
                    self.held.extend(out.iter().map(Any::check));
                    self.collect_and_compare();
                    self.held.clear();
                }
            }
            2 => {
                if let Some(new) = new {
                    self.edges(id, 1).insert(0, Some(new.check()));
                    it.lock.try_write().expect("nobody has it").push_front(new);
                }
                if self.edges(id, 1).len() > MOST_ELEMENTS {
                    self.edges(id, 1).truncate(2);
                    it.lock.write().truncate(2);
                }
            }
            3 => {
                self.edges(id, 1).pop();
                out = it.lock.write().pop_back();
            }
            4 => {
                let last = GcRwLockWriteGuard::filter_map(it.lock.write(), VecDeque::back_mut);
                if let (Ok(mut last), Some(new)) = (last, new) {
                    *self.edges(id, 1).last_mut().unwrap() = Some(new.check());
                    out = Some(mem::replace(&mut *last, new));
                }
            }
            5 => {
                let length = self.edges(id, 1).len();
                self.edges(id, 1).rotate_left(length / 2);
                it.lock.write().rotate_left(length / 2);
            }
            6 => {
                self.edges(id, 1).clear();
                let all = mem::take(&mut *it.lock.write());
                self.receive(all);
            }
            7 if self.random.one_in(30) => {
                mem::forget(it.lock.read());
                self.place(id, 1).access = Access::ReadHeld;
            }
            8 if self.random.one_in(1500) => {
                mem::forget(it.lock.write());
                self.place(id, 1).access = Access::WriteHeld;
            }
            _ => {
                let found: Vec<_> = it.lock.read().iter().map(|it| Some(it.check())).collect();
                assert_eq!(found, *self.edges(id, 1));
            }
        }
        self.receive(out);
    }

    fn change_roots(&mut self) {
        if self.roots.is_empty() {
            return;
        }
        let index = self.random.below(self.roots.len());
        match self.random.below(12) {
            0..=4 => drop(self.roots.swap_remove(index)),
            5 => self.roots.push(self.roots[index].clone()),
            6 => self.roots.truncate(index),
            7 if self.random.one_in(1000) => {
                let root = self.roots.swap_remove(index);
                self.forgotten.push(root.check());
                mem::forget(root);
            }
            _ => {
                let picked = self.pick();
                self.roots.extend(picked);
            }
        }
    }

    /// What the model says is dead goes from the model, and is returned.
    fn predict(&mut self) -> Vec<(u32, Kind)> {
        let mut dead = Vec::new();
        loop {
            let mut reached = vec![false; self.objects.by_id.len()];
            let mut grey: Vec<u32> = self.roots.iter().map(Any::check).collect();
            grey.extend(self.forgotten.iter().chain(&self.held));
            // An object that exists holds what its untraced places lead to, reachable or not.
            for (_, object) in self.objects.iter() {
                let untraced =
                    object.places.iter().filter(|it| matches!(it.access, Access::Skipped | Access::WriteHeld));
                grey.extend(untraced.flat_map(|place| place.edges.iter().flatten()));
            }
            while let Some(id) = grey.pop() {
                let index = self.objects.index(id);
                if !mem::replace(&mut reached[index], true) {
                    grey.extend(self.objects.get(id).places.iter().flat_map(|place| place.edges.iter().flatten()));
                }
            }
            let first = self.objects.first;
            let removed = self.objects.retain(|id| reached[(id - first) as usize]);
            if removed.is_empty() {
                return dead;
            }
            dead.extend(removed);
        }
    }

    fn collect_and_compare(&mut self) {
        self.collections += 1;
        let dead = self.predict();
        while collect().outcome != Outcome::Settled {}
        for (id, kind) in dead {
            if has_leaf(kind) {
                assert_eq!(drops_of(id), 1, "object {id} ({kind:?}) is unreachable: times dropped");
            }
        }
        for (id, object) in self.objects.iter() {
            if has_leaf(object.kind) {
                assert_eq!(drops_of(id), 0, "object {id} ({:?}) is reachable: times dropped", object.kind);
            }
        }
        assert_eq!(corrupt_drops(), 0, "drops of what was no live leaf");
        let live = stats().live_objects;
        assert_eq!(live, self.base + self.objects.ids.len() as u64, "objects that exist, beside the model's");
    }

    fn run(&mut self, operations: usize) {
        for _ in 0..operations {
            match self.random.below(100) {
                0..30 => self.allocate(),
                30..75 => self.mutate(),
                _ => self.change_roots(),
            }
            while self.roots.len() > MOST_ROOTS {
                let index = self.random.below(self.roots.len());
                self.roots.swap_remove(index);
            }
            if self.random.one_in(1000) {
                self.collect_and_compare();
            }
        }
        self.roots.clear();
        self.collect_and_compare();
    }
}

fn put(map: &mut HashMap<usize, Any>, key: usize, value: Option<Any>) -> Option<Any> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

fn has_leaf(kind: Kind) -> bool {
    matches!(kind, Kind::User | Kind::Large | Kind::Aligned)
}

/// Runs something however a scope is left.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[test]
fn random_programs_lose_and_keep_what_reachability_says() {
    Config::new().min_heap(64 << 10).growth(10).install().unwrap();
    for seed in seeds(&SEEDS) {
        let _replay = Replay::new(seed);
        collect();
        let mut world = World {
            random: Random::new(seed),
            objects: Objects::new(),
            roots: Vec::new(),
            held: Vec::new(),
            forgotten: Vec::new(),
            base: stats().live_objects,
            collections: 0,
        };
        let cycles = stats().cycles;
        let tireless = AtomicBool::new(seed % 2 == 1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while tireless.load(Relaxed) {
                    collect();
                }
            });
            let _end = OnDrop(|| tireless.store(false, Relaxed));
            world.run(OPERATIONS);
        });
        let (left, asked, cycles) = (world.objects.ids.len(), world.collections, stats().cycles - cycles);
        println!("seed {seed}: {asked} collections asked for, {cycles} cycles, {left} objects forgotten");
        assert!(asked > 50, "the program hardly collected");
    }
}
