//! Finalizers: each runs once, what it sees and brings back is whole, and nobody waits for it.

use graphgc::{
    Finalize, Gc, GcCell, GcMap, GcMutex, GcRefCell, GcSet, GcVec, LocalFinalize, Outcome, Trace, collect, pin,
    run_finalizers, stats,
};
use graphgc_tests::{
    heap::{alone, settle},
    panics::panic_quietly,
    payload::{Canary, Leaf, drops_of, new_id},
};
use std::{
    hash::{Hash, Hasher},
    sync::{
        Mutex,
        atomic::{
            AtomicBool, AtomicU32, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Waits until the finalizer thread has nothing to do.
fn finalized() {
    wait_until(|| stats().finalizers_pending == 0 && stats().cleanups_pending == 0);
}

#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for too long");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Collects until the finalizable are dropped, too.
fn settle_all() {
    settle();
    finalized();
    settle();
}

/// An object whose finalizer does what the test says, with a whole graph behind it.
#[derive(Trace)]
#[trace(finalize)]
struct Node {
    leaf: Leaf,
    next: GcCell<Option<Gc<Node>>>,
    more: GcMutex<Vec<Gc<Node>>>,
    plain: Gc<Canary>,
    #[trace(leaf)]
    then: fn(&Node),
    finalized: AtomicU32,
}

impl Finalize for Node {
    fn finalize(&self) {
        self.check();
        self.finalized.fetch_add(1, SeqCst);
        (self.then)(self);
    }
}

impl Node {
    fn new(then: fn(&Node)) -> Gc<Self> {
        let id = new_id();
        Gc::new(Node {
            leaf: Leaf::new(id),
            next: None.into(),
            more: vec![].into(),
            plain: Gc::new(Canary::new(id)),
            then,
            finalized: AtomicU32::new(0),
        })
    }

    /// A node that leads to itself, so that its finalizer can bring it back.
    fn cyclic(then: fn(&Node)) -> Gc<Self> {
        let node = Node::new(then);
        node.next.set(Some(node.clone()));
        node
    }

    /// The node and what it owns are alive.
    #[track_caller]
    fn check(&self) -> u32 {
        assert_eq!(drops_of(self.leaf.check()), 0, "a part was dropped");
        assert_eq!(self.plain.check(), self.leaf.check());
        self.leaf.check()
    }

    fn times(&self) -> u32 {
        self.finalized.load(SeqCst)
    }
}

static SAVED: Mutex<Vec<Gc<Node>>> = Mutex::new(Vec::new());

fn save(node: &Node) {
    SAVED.lock().unwrap().extend(node.next.get());
}

fn saved() -> Vec<Gc<Node>> {
    std::mem::take(&mut SAVED.lock().unwrap())
}

#[test]
fn finalized_once_then_dropped() {
    let _alone = alone();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let ids: Vec<u32> = (0..5000)
        .map(|_| {
            Node::new(|_| {
                RUNS.fetch_add(1, SeqCst);
            })
            .check()
        })
        .collect();
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) <= 1));
    settle_all();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
    assert_eq!(RUNS.load(SeqCst), 5000);
}

/// Others freed what a resurrected object refers to, and left the object to read it.
#[test]
fn a_resurrected_object_is_whole() {
    let _alone = alone();
    let ids: Vec<u32> = (0..100)
        .map(|_| {
            let node = Node::cyclic(save);
            // A graph behind it: other finalizable objects, plain ones, counted and claimed content.
            let (a, b) = (Node::new(|_| ()), Node::new(|_| ()));
            a.more.lock().push(b.clone());
            b.next.set(Some(node.clone()));
            node.more.lock().extend([a, b]);
            node.check()
        })
        .collect();
    settle();
    finalized();
    let nodes = saved();
    assert_eq!(nodes.len(), 100);
    // What was dropped by mistake is written over.
    let noise: Vec<Gc<Node>> = (0..1000).map(|_| Node::new(|_| ())).collect();
    settle();
    for node in &nodes {
        assert!(ids.contains(&node.check()));
        assert_eq!(node.times(), 1);
        let more = node.more.lock();
        assert_eq!((more[0].times(), more[1].times()), (1, 1));
        more.iter().for_each(|other| _ = other.check());
        assert!(Gc::ptr_eq(&more[1].next.get().unwrap(), node));
        assert!(Gc::ptr_eq(&more[0].more.lock()[0], &more[1]));
    }
    assert_eq!(graphgc::verify(), []);
    drop((nodes, noise));
    settle_all();
    assert!(saved().is_empty(), "nothing is finalized twice");
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

#[test]
fn all_of_a_cycle_are_finalized_and_find_the_others_whole() {
    let _alone = alone();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    fn look_around(node: &Node) {
        let mut other = node.next.get().unwrap();
        for _ in 0..10 {
            other.check();
            other = other.next.get().unwrap();
        }
        RUNS.fetch_add(1, SeqCst);
    }
    let nodes: Vec<Gc<Node>> = (0..1000).map(|_| Node::new(look_around)).collect();
    let ids: Vec<u32> = nodes.iter().map(|node| node.check()).collect();
    for (index, node) in nodes.iter().enumerate() {
        node.next.set(Some(nodes[(index + 1) % nodes.len()].clone()));
    }
    drop(nodes);
    settle_all();
    assert_eq!(RUNS.load(SeqCst), 1000);
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// Pointer-free: never traced.
#[derive(Trace)]
#[trace(finalize)]
struct Plain(u64);

static PLAIN_SUM: AtomicUsize = AtomicUsize::new(0);

impl Finalize for Plain {
    fn finalize(&self) {
        PLAIN_SUM.fetch_add(self.0 as usize, SeqCst);
    }
}

/// The same, as a leaf with a drop.
#[derive(Trace)]
#[trace(leaf, finalize)]
struct PlainLeaf(Leaf);

impl Finalize for PlainLeaf {
    fn finalize(&self) {
        PLAIN_SUM.fetch_add(self.0.check() as usize, SeqCst);
    }
}

/// Of a size that has a span of its own.
#[derive(Trace)]
#[trace(finalize)]
struct Large([u64; 20_000], Leaf);

impl Finalize for Large {
    fn finalize(&self) {
        assert!(self.0.iter().all(|word| *word == u64::from(self.1.check())));
        PLAIN_SUM.fetch_add(1, SeqCst);
    }
}

#[test]
fn types_without_handles_and_large_ones() {
    let _alone = alone();
    let id = new_id();
    PLAIN_SUM.store(0, SeqCst);
    drop(Gc::new(Plain(5)));
    drop(Gc::new(PlainLeaf(Leaf::new(id))));
    settle_all();
    assert_eq!(PLAIN_SUM.load(SeqCst), 5 + id as usize);
    assert_eq!(drops_of(id), 1);
    let large = new_id();
    drop(Gc::new(Large([u64::from(large); 20_000], Leaf::new(large))));
    settle_all();
    assert_eq!(PLAIN_SUM.load(SeqCst), 6 + id as usize);
    assert_eq!(drops_of(large), 1);
}

/// What a pinned scope made is finalized, too.
#[test]
fn born_under_a_pin() {
    let _alone = alone();
    PLAIN_SUM.store(0, SeqCst);
    let guard = pin();
    let local = guard.alloc(Plain(3));
    assert_eq!(local.0, 3);
    drop(guard);
    settle_all();
    assert_eq!(PLAIN_SUM.load(SeqCst), 3);
}

#[derive(Trace)]
#[trace(finalize, bound = "T: Trace + Send + Sync")]
struct Generic<T> {
    content: T,
    #[trace(leaf)]
    gone: Sender<&'static str>,
}

impl<T: Trace + Send + Sync> Finalize for Generic<T> {
    fn finalize(&self) {
        self.gone.send(std::any::type_name::<T>()).unwrap();
    }
}

/// With the derive's own bounds, and recursive.
#[derive(Trace)]
#[trace(finalize)]
struct List<T> {
    items: Vec<T>,
    next: GcMutex<Option<Gc<List<T>>>>,
}

impl<T: Trace + Send + Sync> Finalize for List<T> {
    fn finalize(&self) {
        PLAIN_SUM.fetch_add(self.items.len(), SeqCst);
    }
}

#[test]
fn generic_types() {
    let _alone = alone();
    PLAIN_SUM.store(0, SeqCst);
    let (gone, said) = channel();
    drop(Gc::new(Generic { content: 7_u8, gone: gone.clone() }));
    drop(Gc::new(Generic { content: Gc::new(7_u16), gone }));
    let list = Gc::new(List { items: vec![1], next: None.into() });
    *list.next.lock() = Some(list.clone());
    drop(list);
    settle_all();
    let mut names: Vec<_> = said.iter().collect();
    names.sort_unstable_by_key(|name| name.len());
    assert_eq!(names, ["u8", std::any::type_name::<Gc<u16>>()]);
    assert_eq!(PLAIN_SUM.load(SeqCst), 1);
}

#[test]
fn a_finalizer_may_do_anything() {
    let _alone = alone();
    static DONE: AtomicUsize = AtomicUsize::new(0);
    fn work(node: &Node) {
        // Allocate, also finalizable objects; drop; lock and open cells; spawn; collect; unwind.
        let garbage: Vec<_> = (0..1000).map(Gc::new).collect();
        drop(garbage);
        node.more.lock().push(Node::new(|_| {
            DONE.fetch_add(1, SeqCst);
        }));
        node.more.lock().clear();
        thread::spawn(|| drop(Gc::new(1))).join().unwrap();
        assert_eq!(collect().outcome, Outcome::Requested);
        assert_eq!(run_finalizers(), 0);
        DONE.fetch_add(1, SeqCst);
        panic_quietly::<()>();
    }
    (0..10).for_each(|_| drop(Node::cyclic(work)));
    settle_all();
    settle_all();
    assert_eq!(DONE.load(SeqCst), 20);
}

#[test]
fn one_that_blocks_delays_no_cycle() {
    let _alone = alone();
    static BLOCKS: AtomicBool = AtomicBool::new(false);
    static GO_ON: AtomicBool = AtomicBool::new(false);
    // What the test before has left is finalized, and dropped.
    settle_all();
    settle_all();
    let before = stats().finalizers_run;
    let blocker = Node::cyclic(|_| {
        BLOCKS.store(true, SeqCst);
        while !GO_ON.load(SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let id = blocker.check();
    drop(blocker);
    settle();
    // Were it still in the queue, others could come before it.
    wait_until(|| BLOCKS.load(SeqCst));
    assert_eq!(stats().finalizers_pending, 1);
    let (others, rest): (Vec<u32>, Vec<u32>) =
        (0..100).map(|_| (Node::new(|_| ()).check(), Gc::new(Leaf::new(new_id())).check())).unzip();
    for _ in 0..3 {
        assert_eq!(collect().outcome, Outcome::Settled);
    }
    assert_eq!(stats().finalizers_pending, 101);
    assert!(rest.iter().all(|id| drops_of(*id) == 1), "other objects go meanwhile");
    assert!(others.iter().chain([&id]).all(|id| drops_of(*id) == 0));
    GO_ON.store(true, SeqCst);
    settle_all();
    assert!(others.iter().chain([&id]).all(|id| drops_of(*id) == 1));
    assert_eq!(stats().finalizers_run - before, 101);
}

/// Stored in an object that is alive, and let go of again, and brought back by others' finalizers.
#[test]
fn resurrected_into_a_live_object() {
    let _alone = alone();
    static PLACE: Mutex<Option<Gc<Node>>> = Mutex::new(None);
    let place = Node::new(|_| ());
    *PLACE.lock().unwrap() = Some(place.clone());
    let node = Node::cyclic(|node| {
        let place = PLACE.lock().unwrap();
        place.as_ref().unwrap().more.lock().extend(node.next.get());
    });
    let id = node.check();
    drop(node);
    settle();
    finalized();
    settle();
    assert_eq!(place.more.lock()[0].check(), id);
    assert_eq!(place.more.lock()[0].times(), 1);
    place.more.lock().clear();
    settle_all();
    assert_eq!(drops_of(id), 1);
    *PLACE.lock().unwrap() = None;
}

/// Mutators that allocate, open cells and clone what has been brought back, while cycles follow each other.
#[test]
fn resurrected_under_load() {
    let _alone = alone();
    let stop = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut seen, mut rounds) = (0, 0);
                    // Each node takes an id, of which there are so many.
                    while !stop.load(Relaxed) && rounds < 20_000 {
                        rounds += 1;
                        let nodes: Vec<_> = (0..20).map(|_| Node::cyclic(save)).collect();
                        for pair in nodes.windows(2) {
                            pair[0].more.lock().push(pair[1].clone());
                        }
                        drop(nodes);
                        for node in saved() {
                            node.check();
                            assert_eq!(node.times(), 1);
                            let more: Vec<_> = node.more.lock().iter().cloned().collect();
                            more.iter().for_each(|other| _ = other.check());
                            node.more.lock().clear();
                            seen += 1;
                        }
                    }
                    seen
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            collect();
        }
        stop.store(true, Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert!(seen > 0);
    settle_all();
    saved();
    settle_all();
    assert_eq!(graphgc::verify(), []);
}

#[derive(Trace)]
#[trace(local_finalize)]
struct Local {
    leaf: Leaf,
    odd: [u8; 3],
    myself: GcRefCell<Option<Gc<Local>>>,
    #[trace(leaf)]
    gone: Sender<u32>,
}

impl LocalFinalize for Local {
    fn finalize(&self) {
        assert_eq!(self.odd, [1, 2, 3]);
        self.gone.send(self.leaf.check()).unwrap();
    }
}

fn local(gone: &Sender<u32>) -> Gc<Local> {
    let leaf = Leaf::new(new_id());
    Gc::new(Local { leaf, odd: [1, 2, 3], myself: GcRefCell::new(None), gone: gone.clone() })
}

#[test]
fn local_finalizers_run_when_their_thread_asks() {
    let _alone = alone();
    let (gone, said) = channel();
    let node = local(&gone);
    let id = node.leaf.check();
    *node.myself.borrow_mut() = Some(node.clone());
    drop(node);
    assert_eq!(run_finalizers(), 0);
    settle();
    assert_eq!(stats().local_finalizers_pending, 1);
    thread::spawn(|| assert_eq!(run_finalizers(), 0, "another's")).join().unwrap();
    assert!(said.try_recv().is_err());
    assert_eq!(run_finalizers(), 1);
    assert_eq!(said.try_recv(), Ok(id));
    assert_eq!((run_finalizers(), stats().local_finalizers_pending), (0, 0));
    settle();
    assert_eq!(drops_of(id), 1);
    assert_eq!(run_finalizers(), 0, "once");
}

/// What waits when its thread ends, and what becomes unreachable later, is dropped without its finalizer, and counted.
#[test]
fn local_finalizers_of_a_thread_that_has_ended() {
    let _alone = alone();
    let before = stats().unfinalized;
    let (gone, said) = channel();
    let ids = thread::spawn(move || {
        let waiting: Vec<u32> = (0..10).map(|_| local(&gone).leaf.check()).collect();
        settle();
        let late: Vec<u32> = (0..10).map(|_| local(&gone).leaf.check()).collect();
        [waiting, late].concat()
    })
    .join()
    .unwrap();
    settle();
    assert_eq!(stats().unfinalized - before, 20);
    assert_eq!(stats().local_finalizers_pending, 0);
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
    assert!(said.try_recv().is_err());
}

/// Bigger than a span of a size class, with its owner's number behind it.
#[derive(Trace)]
#[trace(local_finalize)]
struct LargeLocal([u8; 50_001], GcRefCell<u32>);

impl LocalFinalize for LargeLocal {
    fn finalize(&self) {
        assert!(self.0.iter().all(|byte| *byte == 9));
        *self.1.borrow_mut() += 1;
        panic_quietly::<()>();
    }
}

#[test]
fn large_local_ones_and_panics() {
    let _alone = alone();
    drop(Gc::new(LargeLocal([9; 50_001], GcRefCell::new(0))));
    settle();
    assert_eq!(run_finalizers(), 1);
    settle();
    assert_eq!(run_finalizers(), 0);
}

#[test]
fn cleanups_run_when_the_object_is_gone() {
    let _alone = alone();
    let (gone, said) = channel();
    let object = Gc::new(Canary::new(new_id()));
    let holder = Gc::new(GcCell::new(Some(object.clone())));
    for number in 0..3 {
        let gone = gone.clone();
        Gc::on_drop(&object, (gone, number), |(gone, number)| gone.send(number).unwrap());
    }
    let cancelled = Gc::on_drop(&object, gone, |gone| gone.send(99).unwrap());
    drop(object);
    settle_all();
    assert!(said.try_recv().is_err(), "it has an edge");
    assert!(cancelled.cancel());
    holder.set(None);
    settle_all();
    let mut numbers: Vec<_> = said.iter().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
}

/// An argument that leads to the object keeps it; one that leads elsewhere keeps that until then.
#[test]
fn the_argument_of_a_cleanup_is_outside_the_heap() {
    let _alone = alone();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let (a, b) = (Node::new(|_| ()), Node::new(|_| ()));
    let (id_a, id_b) = (a.check(), b.check());
    let itself = Gc::on_drop(&a, a.clone(), |_| panic!("the object cannot go"));
    Gc::on_drop(&a, b, |b| {
        b.check();
        RUNS.fetch_add(1, SeqCst);
        panic_quietly::<()>();
    });
    drop(a);
    settle_all();
    assert_eq!((drops_of(id_a), drops_of(id_b)), (0, 0));
    assert!(itself.cancel());
    settle_all();
    assert_eq!(RUNS.load(SeqCst), 1);
    settle_all();
    assert_eq!((drops_of(id_a), drops_of(id_b)), (1, 1));
}

/// A cleanup waits for the object's second end if its finalizer brings it back.
#[test]
fn a_cleanup_comes_after_the_finalizer() {
    let _alone = alone();
    let (gone, said) = channel();
    let node = Node::cyclic(save);
    Gc::on_drop(&node, gone, |gone| gone.send(()).unwrap());
    drop(node);
    settle_all();
    let nodes = saved();
    assert_eq!(nodes.len(), 1);
    assert!(said.try_recv().is_err());
    let cleanup = Gc::on_drop(&nodes[0], (), |()| ());
    drop(nodes);
    settle_all();
    assert_eq!(said.try_recv(), Ok(()));
    assert!(!cleanup.cancel(), "it has run");
}

/// Saves itself, with collections of edges that nothing else leads to.
#[derive(Trace)]
#[trace(finalize)]
struct Library {
    me: GcCell<Option<Gc<Library>>>,
    vec: GcVec<Gc<Leaf>>,
    map: GcMap<u32, Gc<Leaf>>,
    set: GcSet<Gc<Book>>,
}

#[derive(Trace)]
struct Book {
    number: u32,
    pages: GcVec<Gc<Leaf>>,
}

impl PartialEq for Book {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Book {}

impl Hash for Book {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

static LIBRARIES: Mutex<Vec<Gc<Library>>> = Mutex::new(Vec::new());

impl Finalize for Library {
    fn finalize(&self) {
        LIBRARIES.lock().unwrap().push(self.me.take().unwrap());
    }
}

/// What a collection of edges that only a finalizer kept alive holds is marked in the next cycles, too: after S2 the marker noted in the collection that it had
/// traced it, and the next cycle took that for its own note.
#[test]
fn collections_of_a_resurrected_object_stay_whole() {
    let _alone = alone();
    let leaf = || Gc::new(Leaf::new(new_id()));
    let library = Gc::new(Library {
        me: GcCell::new(None),
        vec: (0..5000).map(|_| leaf()).collect(),
        map: (0..100).map(|key| (key, leaf())).collect(),
        set: (0..100).map(|number| Gc::new(Book { number, pages: [leaf()].into_iter().collect() })).collect(),
    });
    library.me.set(Some(library.clone()));
    let ids_of = |library: &Library| -> Vec<u32> {
        let vec = library.vec.read().iter().map(|leaf| leaf.check()).collect::<Vec<_>>();
        let map = library.map.read().values().map(|leaf| leaf.check()).collect::<Vec<_>>();
        let set = library.set.read().iter().map(|book| book.pages.get(0).unwrap().check()).collect::<Vec<_>>();
        [vec, map, set].concat()
    };
    let ids = ids_of(&library);
    drop(library);
    collect();
    finalized();
    let saved = LIBRARIES.lock().unwrap().pop().expect("it has saved itself");
    for _ in 0..3 {
        collect();
        assert!(ids.iter().all(|id| drops_of(*id) == 0), "dropped, though a resurrected object leads there");
    }
    assert_eq!(ids_of(&saved), ids);
    assert_eq!(graphgc::verify(), []);
    drop(saved);
    settle_all();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// Makes an object in its finalizer.
#[derive(Trace)]
#[trace(local_finalize)]
struct MakesAnother;

impl LocalFinalize for MakesAnother {
    fn finalize(&self) {
        drop(Gc::new(0));
    }
}

/// Ends a handle that it has got from a cell, after such a finalizer has run on the dropper's thread.
#[derive(Trace)]
#[trace(leaf)]
struct RunsFinalizers {
    cell: Option<Gc<GcCell<Option<Gc<u64>>>>>,
    gone: Sender<u32>,
}

impl Drop for RunsFinalizers {
    fn drop(&mut self) {
        let Some(cell) = &self.cell else {
            // This thread's to finalize.
            return drop(Gc::new(MakesAnother));
        };
        assert_eq!(run_finalizers(), 1);
        drop(cell.get());
        self.gone.send(0).unwrap();
    }
}

#[test]
fn a_drop_may_run_finalizers_and_go_on() {
    let _alone = alone();
    let (gone, said) = channel();
    drop(Gc::new(RunsFinalizers { cell: None, gone: gone.clone() }));
    settle();
    assert_eq!(stats().local_finalizers_pending, 1);
    let cell = Gc::new(GcCell::new(Some(Gc::new(1))));
    drop(Gc::new(RunsFinalizers { cell: Some(cell), gone }));
    settle();
    assert_eq!(said.try_iter().count(), 1, "the drop came to its end");
}
