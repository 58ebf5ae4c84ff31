//! Random programs on several threads that share one graph. While they run every object that is met is looked at; when all have ended the
//! real graph is walked from the handles they still hold, and after a collection exactly what that walk met has not been
//! dropped.

use graphgc::{
    Config, Gc, GcCell, GcMutex, GcMutexGuard, GcRwLock, GcRwLockReadGuard, GcRwLockWriteGuard, Outcome, Trace,
    collect, stats,
};
use graphgc_tests::{
    payload::{Canary, Leaf, corrupt_drops, drops_of, new_id},
    random::{Random, Replay, seeds},
};
use std::{
    collections::{BTreeMap, HashSet},
    mem,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

const OPERATIONS: usize = 12_000;
const SEEDS: [u64; 3] = [1, 2, 3];
const MOST_ROOTS: usize = 24;
const MOST_ELEMENTS: usize = 8;
const WIDE: usize = 1500;

#[derive(Clone, Trace)]
enum Any {
    Plain(Gc<Plain>),
    Shared(Gc<Shared>),
    Large(Gc<Large>),
    Wide(Gc<Wide>),
}

/// Nothing to drop when it dies.
#[derive(Trace)]
struct Plain {
    canary: Canary,
    next: GcCell<Option<Gc<Plain>>>,
    always: Option<GcCell<Gc<Plain>>>,
    shared: GcCell<Option<Gc<Shared>>>,
    fixed: Option<Any>,
    tail: Canary,
}

/// Locks of all sorts, and a user's drop.
#[derive(Trace)]
struct Shared {
    leaf: Leaf,
    mutex: GcMutex<Vec<Any>>,
    lock: GcRwLock<BTreeMap<usize, Any>>,
    nested: GcMutex<GcRwLock<Vec<Any>>>,
    cells: GcRwLock<Vec<GcCell<Option<Gc<Shared>>>>>,
    cell: GcCell<Option<Gc<Shared>>>,
}

/// A span of its own.
#[derive(Trace)]
struct Large {
    leaf: Leaf,
    filler: [u64; 5000],
    next: GcCell<Option<Gc<Large>>>,
    mutex: GcMutex<Option<Any>>,
    tail: Canary,
}

/// More handles than the collector treats in one go, among them many behind a lock.
#[derive(Trace)]
struct Wide {
    leaf: Leaf,
    fixed: Vec<Any>,
    lock: GcRwLock<Vec<Any>>,
    cells: Vec<GcCell<Option<Gc<Plain>>>>,
}

impl Any {
    #[track_caller]
    fn check(&self) -> u32 {
        match self {
            Any::Plain(it) => same(it.canary.check(), it.tail.check()),
            Any::Shared(it) => it.leaf.check(),
            Any::Large(it) => {
                assert_eq!(it.filler[4999], it.filler[0]);
                same(it.leaf.check(), it.tail.check())
            }
            Any::Wide(it) => it.leaf.check(),
        }
    }

    fn has_leaf(&self) -> bool {
        !matches!(self, Any::Plain(_))
    }

    /// All edges, read through the ordinary ways.
    fn edges(&self) -> Vec<Any> {
        match self {
            Any::Plain(it) => {
                let next = it.next.get().into_iter().chain(it.always.as_ref().map(GcCell::get)).map(Any::Plain);
                next.chain(it.shared.get().map(Any::Shared)).chain(it.fixed.clone()).collect()
            }
            Any::Shared(it) => {
                let mut edges = it.mutex.lock().clone();
                edges.extend(it.lock.read().values().cloned());
                edges.extend(it.nested.lock().read().iter().cloned());
                edges.extend(it.cells.read().iter().filter_map(GcCell::get).map(Any::Shared));
                edges.extend(it.cell.get().map(Any::Shared));
                edges
            }
            Any::Large(it) => it.next.get().map(Any::Large).into_iter().chain(it.mutex.lock().clone()).collect(),
            Any::Wide(it) => {
                let mut edges = it.fixed.clone();
                edges.extend(it.lock.read().iter().cloned());
                edges.extend(it.cells.iter().filter_map(GcCell::get).map(Any::Plain));
                edges
            }
        }
    }
}

#[track_caller]
fn same(one: u32, other: u32) -> u32 {
    assert_eq!(one, other, "two ends of one object differ");
    one
}

/// What the threads share beside the graph itself: content outside the heap, hence counted.
struct Hub {
    mutex: GcMutex<Vec<Any>>,
    lock: GcRwLock<Vec<Any>>,
    cell: GcCell<Option<Gc<Shared>>>,
    std: Mutex<Vec<Any>>,
}

/// One thread's program.
struct Program<'a> {
    random: Random,
    roots: Vec<Any>,
    hub: &'a Hub,
    /// Ids of what it has allocated: with a leaf, and without.
    leaves: Vec<u32>,
    plain: u64,
}

impl Program<'_> {
    fn pick(&mut self) -> Option<Any> {
        if self.roots.is_empty() || self.random.one_in(16) {
            let fetched = self.fetch();
            self.roots.extend(fetched);
        }
        if self.roots.is_empty() {
            return None;
        }
        let mut here = self.roots[self.random.below(self.roots.len())].clone();
        for _ in 0..self.random.below(5) {
            here.check();
            match self.step(&here) {
                Some(next) => here = next,
                None => break,
            }
        }
        here.check();
        Some(here)
    }

    fn step(&mut self, from: &Any) -> Option<Any> {
        let index = self.random.below(MOST_ELEMENTS);
        match from {
            Any::Plain(it) => match index % 4 {
                0 => it.next.get().map(Any::Plain),
                1 => it.always.as_ref().map(|cell| Any::Plain(cell.get())),
                2 => it.shared.get().map(Any::Shared),
                _ => it.fixed.clone(),
            },
            Any::Shared(it) => match self.random.below(7) {
                0 => it.mutex.lock().get(index).cloned(),
                1 => it.mutex.try_lock().and_then(|list| list.get(index).cloned()),
                2 => it.lock.read().get(&index).cloned(),
                3 => it.lock.try_read().and_then(|map| map.get(&index).cloned()),
                4 => it.nested.lock().read().get(index).cloned(),
                5 => it.cells.read().get(index).and_then(GcCell::get).map(Any::Shared),
                _ => it.cell.get().map(Any::Shared),
            },
            Any::Large(it) => match index % 2 {
                0 => it.next.get().map(Any::Large),
                _ => GcMutexGuard::filter_map(it.mutex.lock(), Option::as_mut).ok().map(|edge| edge.clone()),
            },
            Any::Wide(it) => {
                let index = self.random.below(WIDE);
                match index % 3 {
                    0 => it.fixed.get(index).cloned(),
                    1 => {
                        GcRwLockReadGuard::filter_map(it.lock.read(), |list| list.get(index)).ok().map(|it| it.clone())
                    }
                    _ => it.cells.get(index).and_then(GcCell::get).map(Any::Plain),
                }
            }
        }
    }

    /// Something that another thread has left in the hub.
    fn fetch(&mut self) -> Option<Any> {
        match self.random.below(5) {
            0 => self.hub.mutex.lock().pop(),
            1 => self.hub.lock.write().pop(),
            2 => self.hub.lock.read().first().cloned(),
            3 => self.hub.std.lock().unwrap().pop(),
            _ => self.hub.cell.get().map(Any::Shared),
        }
    }

    fn leave(&mut self, handle: Any) {
        match self.random.below(4) {
            0 => push_bounded(&mut self.hub.mutex.lock(), handle),
            1 => push_bounded(&mut self.hub.lock.write(), handle),
            2 => push_bounded(&mut self.hub.std.lock().unwrap(), handle),
            _ => {
                if let Any::Shared(handle) = handle {
                    self.hub.cell.set(Some(handle));
                }
            }
        }
    }

    fn pick_plain(&mut self) -> Option<Gc<Plain>> {
        (0..3).find_map(|_| if let Some(Any::Plain(it)) = self.pick() { Some(it) } else { None })
    }

    fn pick_shared(&mut self) -> Option<Gc<Shared>> {
        (0..3).find_map(|_| if let Some(Any::Shared(it)) = self.pick() { Some(it) } else { None })
    }

    fn pick_many(&mut self) -> Vec<Any> {
        (0..self.random.below(4)).filter_map(|_| self.pick()).collect()
    }

    fn allocate(&mut self) {
        let id = new_id();
        let which = self.random.below(1000);
        if which >= 500 {
            self.leaves.push(id);
        } else {
            self.plain += 1;
        }
        let new = match which {
            0..500 => Any::Plain(Gc::new(Plain {
                canary: Canary::new(id),
                next: self.pick_plain().into(),
                always: self.pick_plain().map(GcCell::new),
                shared: self.pick_shared().into(),
                fixed: self.pick(),
                tail: Canary::new(id),
            })),
            500..985 => Any::Shared(Gc::new(Shared {
                leaf: Leaf::new(id),
                mutex: self.pick_many().into(),
                lock: GcRwLock::new(self.pick_many().into_iter().enumerate().collect()),
                nested: GcMutex::new(self.pick_many().into()),
                cells: GcRwLock::new((0..3).map(|_| self.pick_shared().into()).collect()),
                cell: self.pick_shared().into(),
            })),
            985..996 => Any::Large(Gc::new(Large {
                leaf: Leaf::new(id),
                filler: [u64::from(id); 5000],
                next: GcCell::new(None),
                mutex: self.pick().into(),
                tail: Canary::new(id),
            })),
            _ => {
                let some: Vec<Any> = (0..8).filter_map(|_| self.pick()).collect();
                let plain = [self.pick_plain(), self.pick_plain()];
                Any::Wide(Gc::new(Wide {
                    leaf: Leaf::new(id),
                    fixed: some.iter().cycle().take(WIDE).cloned().collect(),
                    lock: GcRwLock::new(some.iter().rev().cycle().take(WIDE).cloned().collect()),
                    cells: plain.iter().cycle().take(WIDE).map(|it| it.clone().into()).collect(),
                }))
            }
        };
        self.roots.push(new);
    }

    fn mutate(&mut self) {
        let (Some(object), Some(new)) = (self.pick(), self.pick()) else { return };
        let out = match &object {
            Any::Plain(it) => {
                let plain = self.pick_plain();
                match self.random.below(6) {
                    0 => {
                        it.next.set(plain);
                        None
                    }
                    1 => it.next.take().map(Any::Plain),
                    2 => it.always.as_ref().zip(plain).map(|(cell, new)| Any::Plain(cell.replace(new))),
                    3 => {
                        it.shared.set(self.pick_shared());
                        None
                    }
                    4 => {
                        let current = it.next.get();
                        match it.next.replace_if(&current, plain) {
                            Ok(before) => {
                                assert_eq!(before.as_ref().map(Gc::as_ptr), current.as_ref().map(Gc::as_ptr));
                                before.map(Any::Plain)
                            }
                            Err(refused) => refused.map(Any::Plain),
                        }
                    }
                    _ => it.next.replace(plain).map(Any::Plain),
                }
            }
            Any::Shared(it) => self.mutate_shared(it, new),
            Any::Large(it) => {
                if let (Any::Large(new), true) = (&new, self.random.one_in(2)) {
                    it.next.replace(Some(new.clone())).map(Any::Large)
                } else {
                    it.mutex.lock().replace(new)
                }
            }
            Any::Wide(it) => match self.random.below(4) {
                0 => {
                    let mut list = it.lock.write();
                    list.push(new);
                    (list.len() > WIDE + 10).then(|| list.swap_remove(7))
                }
                1 => it.lock.write().pop(),
                _ => {
                    let index = self.random.below(it.cells.len());
                    it.cells[index].replace(self.pick_plain()).map(Any::Plain)
                }
            },
        };
        if let Some(out) = out {
            out.check();
            if self.random.one_in(2) {
                self.roots.push(out);
            }
        }
    }

    fn mutate_shared(&mut self, it: &Gc<Shared>, new: Any) -> Option<Any> {
        let other = self.pick_shared();
        match self.random.below(16) {
            0 | 1 => {
                push_bounded(&mut it.mutex.lock(), new);
                None
            }
            2 => it.mutex.lock().pop(),
            3 => {
                let mut list = it.mutex.try_lock()?;
                list.retain(|_| self.random.one_in(2));
                list.pop()
            }
            4 => {
                let taken = mem::take(&mut *it.mutex.lock());
                taken.into_iter().next()
            }
            5 => GcMutexGuard::filter_map(it.mutex.lock(), |list| list.first_mut())
                .ok()
                .map(|mut it| mem::replace(&mut *it, new)),
            6 => it.lock.write().insert(self.random.below(MOST_ELEMENTS), new),
            7 => it.lock.write().remove(&self.random.below(MOST_ELEMENTS)),
            8 => {
                let mut map = it.lock.try_write()?;
                map.insert(0, new);
                let map = GcRwLockWriteGuard::downgrade(map);
                map.values().last().cloned()
            }
            9 => {
                push_bounded(&mut it.nested.lock().write(), new);
                None
            }
            10 => {
                let mut nested = it.nested.lock();
                push_bounded(nested.get_mut(), new);
                nested.get_mut().pop()
            }
            11 => {
                let out = mem::replace(&mut *it.nested.lock(), GcRwLock::new(vec![new]));
                out.into_inner().pop()
            }
            12 => {
                let mut cells = it.cells.write();
                cells.push(GcCell::new(other));
                (cells.len() > MOST_ELEMENTS).then(|| cells.swap_remove(0).into_inner())?.map(Any::Shared)
            }
            13 => {
                let cells = it.cells.read();
                let cell = cells.get(self.random.below(MOST_ELEMENTS))?;
                cell.replace(other).map(Any::Shared)
            }
            14 => {
                let cells = mem::take(&mut *it.cells.write());
                cells.into_iter().find_map(GcCell::into_inner).map(Any::Shared)
            }
            _ => it.cell.replace(other).map(Any::Shared),
        }
    }

    fn run(&mut self) {
        for _ in 0..OPERATIONS {
            match self.random.below(100) {
                0..25 => self.allocate(),
                25..70 => self.mutate(),
                70..75 => {
                    if let Some(picked) = self.pick() {
                        self.leave(picked);
                    }
                }
                75..80 => {
                    let fetched = self.fetch();
                    self.roots.extend(fetched);
                }
                _ if self.roots.is_empty() => {}
                _ => {
                    let index = self.random.below(self.roots.len());
                    self.roots.swap_remove(index);
                }
            }
            while self.roots.len() > MOST_ROOTS {
                let index = self.random.below(self.roots.len());
                self.roots.swap_remove(index);
            }
            if self.random.one_in(5000) {
                collect();
            }
        }
    }
}

fn push_bounded(list: &mut Vec<Any>, handle: Any) {
    list.push(handle);
    if list.len() > MOST_ELEMENTS {
        list.remove(0);
    }
}

/// The ids of everything that the handles lead to, by walking the graph itself: with a leaf, and without.
fn reachable(roots: impl IntoIterator<Item = Any>) -> (HashSet<u32>, HashSet<u32>) {
    let (mut leaves, mut plain) = (HashSet::new(), HashSet::new());
    let mut grey: Vec<Any> = roots.into_iter().collect();
    while let Some(object) = grey.pop() {
        let reached = if object.has_leaf() { &mut leaves } else { &mut plain };
        if reached.insert(object.check()) {
            grey.extend(object.edges());
        }
    }
    (leaves, plain)
}

/// Runs something however a scope is left.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[test]
fn random_programs_on_many_threads_lose_and_keep_what_reachability_says() {
    Config::new().min_heap(64 << 10).growth(25).workers(2).install().unwrap();
    for seed in seeds(&SEEDS) {
        let _replay = Replay::new(seed);
        while collect().outcome != Outcome::Settled {}
        let base = stats().live_objects;
        let hub = Hub { mutex: vec![].into(), lock: vec![].into(), cell: None.into(), std: vec![].into() };
        let mut all_leaves = Vec::new();
        let mut roots: Vec<Vec<Any>> = Vec::new();
        // Each round goes on with the graph that the one before has left.
        for (round, count) in [2, 8, 4, 1].into_iter().enumerate() {
            let running = AtomicBool::new(true);
            let ended: Vec<_> = thread::scope(|scope| {
                let _end = OnDrop(|| running.store(false, Relaxed));
                // One cycle after the other, so that threads and collector meet all the time.
                scope.spawn(|| {
                    while running.load(Relaxed) {
                        collect();
                    }
                });
                let programs: Vec<_> = (0..count)
                    .map(|number| {
                        let (roots, hub) = (roots.pop().unwrap_or_default(), &hub);
                        let random = Random::new(seed * 1000 + round as u64 * 100 + number);
                        scope.spawn(move || {
                            let mut program = Program { random, roots, hub, leaves: Vec::new(), plain: 0 };
                            program.run();
                            (program.roots, program.leaves, program.plain)
                        })
                    })
                    .collect();
                programs.into_iter().map(|thread| thread.join().expect("a program failed")).collect()
            });
            let mut plain = 0;
            for (left, leaves, number) in ended {
                roots.push(left);
                all_leaves.extend(leaves);
                plain += number;
            }
            compare(&hub, &roots, &all_leaves, base);
            let cycles = stats().cycles;
            println!(
                "seed {seed}: {count} threads, {} objects with leaves so far, {plain} without, {cycles} cycles",
                all_leaves.len()
            );
        }
        drop((hub, roots));
        while collect().outcome != Outcome::Settled {}
        assert_eq!(stats().live_objects, base, "nothing is left");
        assert!(all_leaves.iter().all(|id| drops_of(*id) == 1), "all leaves are dropped once");
    }
}

fn compare(hub: &Hub, roots: &[Vec<Any>], all_leaves: &[u32], base: u64) {
    let mut held: Vec<Any> = roots.iter().flatten().cloned().collect();
    held.extend(hub.mutex.lock().iter().cloned());
    held.extend(hub.lock.read().iter().cloned());
    held.extend(hub.std.lock().unwrap().iter().cloned());
    held.extend(hub.cell.get().map(Any::Shared));
    let (leaves, plain) = reachable(held);
    while collect().outcome != Outcome::Settled {}
    for id in all_leaves {
        let expected = u8::from(!leaves.contains(id));
        assert_eq!(drops_of(*id), expected, "object {id}, reachable: {}; times dropped", leaves.contains(id));
    }
    assert_eq!(corrupt_drops(), 0, "drops of what was no live leaf");
    assert_eq!(stats().live_objects, base + (leaves.len() + plain.len()) as u64, "objects that exist");
}
