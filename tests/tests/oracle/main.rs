//! Random programs on one thread against plain reachability: after every collection exactly the objects that the model says are
//! unreachable have been dropped.
//!
//! A program allocates, links, unlinks and moves handles in and out of cells by every route that safe code has; a model beside it
//! notes, for each place in each object, which objects the handles there lead to. Every object that the program meets on its way is looked
//! at (its canaries, its identity). In every other program a second thread asks for one cycle after the other, so that the collector works
//! all the time while the program changes the graph under it.

mod allocate;
mod cells;
mod mutate;
mod reach;

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
