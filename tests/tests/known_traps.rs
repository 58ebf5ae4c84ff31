//! What other collectors for Rust have got wrong, each once. Where the same thing is tested from another side, that is named.
//!
//! | trap | what it was elsewhere | here |
//! | --- | --- | --- |
//! | an object that its finalizer has brought back is read after what it refers to was dropped | use after free in safe code, in two well-known crates | `read_after_its_finalizer`, `read_after_a_neighbours_finalizer`; `finalize.rs` |
//! | the count of handles has few bits beside its flags | the 16,382nd clone panics | `many_handles_at_once`; the adversary, up to 2^28 |
//! | the drop of an object drops the next, and so on | the end of a chain of 200,000 overflows the stack | `long_chains_die_on_a_small_stack`, of every kind of edge; `scale.rs` |
//! | the collector locks what users lock, and takes poison for a bug | it panics, and never collects again | `panics_with_locks_held_do_not_reach_the_collector`, `poisoned_locks_of_std_are_leaves`; `panics.rs` |
//! | a raw pointer in a wrapper that says `unsafe impl Send` for too much | a handle crosses threads with what may not | `handles_go_where_arc_goes`, `what_is_tied_to_a_pin_never_goes`; `handles.rs`, and the compile-fail cases in `ui` |

use graphgc::{
    Ephemeron, Finalize, Gc, GcCell, GcFn, GcMutex, GcOnceCell, GcRefCell, GcRwLock, GcSyncFn, GcVec, Guard, Local,
    LocalFinalize, LocalWeak, Outcome, Thin, ThinGc, Trace, Weak, WeakMap, collect, run_finalizers, stats, verify,
};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_quietly},
    payload::{Leaf, corrupt_drops, drops_of, new_id},
};
use std::{
    any::Any,
    cell::Cell,
    marker::PhantomData,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

/// Waits for the finalizer thread.
fn finalized() {
    let begun = Instant::now();
    while stats().finalizers_pending > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for too long");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Something to lose: memory of its own, and handles claimed and counted.
#[derive(Trace)]
struct Estate {
    leaf: Leaf,
    text: String,
    parts: Vec<Gc<String>>,
    boxed: Box<Gc<String>>,
    open: GcMutex<Vec<Gc<String>>>,
}

impl Estate {
    fn new() -> Self {
        let text = |n: u32| Gc::new(format!("part {n}"));
        Estate {
            leaf: Leaf::new(new_id()),
            text: "all of it".into(),
            parts: (0..10).map(text).collect(),
            boxed: Box::new(text(10)),
            open: GcMutex::new((11..20).map(text).collect()),
        }
    }

    /// All of it is there.
    #[track_caller]
    fn check(&self) -> u32 {
        assert_eq!((self.text.as_str(), self.boxed.as_str()), ("all of it", "part 10"));
        for (n, part) in self.parts.iter().enumerate() {
            assert_eq!(**part, format!("part {n}"));
        }
        for (n, part) in self.open.lock().iter().enumerate() {
            assert_eq!(**part, format!("part {}", n + 11));
        }
        assert_eq!(drops_of(self.leaf.check()), 0);
        self.leaf.check()
    }
}

/// Collects a few times, and fills what was freed with something else.
fn churn() {
    for _ in 0..3 {
        settle();
        drop((0..2_000).map(|n| Gc::new((Estate::new(), n))).collect::<Vec<_>>());
    }
    settle();
}

#[derive(Trace)]
#[trace(finalize)]
struct Phoenix {
    estate: Estate,
    myself: GcCell<Option<Gc<Phoenix>>>,
    neighbour: GcCell<Option<Gc<Phoenix>>>,
    #[trace(leaf)]
    saves: fn(&Phoenix) -> Option<Gc<Phoenix>>,
}

static RISEN: Mutex<Vec<Gc<Phoenix>>> = Mutex::new(Vec::new());

impl Finalize for Phoenix {
    fn finalize(&self) {
        self.estate.check();
        RISEN.lock().unwrap().extend((self.saves)(self));
    }
}

impl Phoenix {
    fn new(saves: fn(&Phoenix) -> Option<Gc<Phoenix>>) -> Gc<Self> {
        let phoenix = Gc::new(Phoenix { estate: Estate::new(), myself: None.into(), neighbour: None.into(), saves });
        phoenix.myself.set(Some(phoenix.clone()));
        phoenix
    }
}

#[test]
fn read_after_its_finalizer() {
    let _alone = alone();
    let ids: Vec<u32> = (0..100).map(|_| Phoenix::new(|it| it.myself.get()).estate.check()).collect();
    settle();
    finalized();
    churn();
    let risen = std::mem::take(&mut *RISEN.lock().unwrap());
    assert_eq!(risen.len(), 100);
    for phoenix in &risen {
        assert!(ids.contains(&phoenix.estate.check()));
        // It may be changed like any other.
        phoenix.estate.open.lock().pop();
        phoenix.myself.get().unwrap().estate.check();
    }
    churn();
    risen.iter().for_each(|phoenix| _ = phoenix.estate.check());
    drop(risen);
    churn();
    finalized();
    assert!(RISEN.lock().unwrap().is_empty(), "no second time");
    assert!(ids.iter().all(|&id| drops_of(id) == 1));
    assert_eq!((corrupt_drops(), verify()), (0, vec![]));
}

/// One that saves its neighbour and not itself: the neighbour, whose finalizer has run too, is whole, and leads back to a whole first.
#[test]
fn read_after_a_neighbours_finalizer() {
    let _alone = alone();
    let mut ids = Vec::new();
    for _ in 0..50 {
        let (saver, saved) = (Phoenix::new(|it| it.neighbour.get()), Phoenix::new(|_| None));
        saver.neighbour.set(Some(saved.clone()));
        saved.neighbour.set(Some(saver.clone()));
        ids.extend([saver.estate.check(), saved.estate.check()]);
    }
    settle();
    finalized();
    churn();
    let risen = std::mem::take(&mut *RISEN.lock().unwrap());
    assert_eq!(risen.len(), 50);
    for saved in &risen {
        let saver = saved.neighbour.get().unwrap();
        assert!(ids.contains(&saved.estate.check()) && ids.contains(&saver.estate.check()));
        assert!(Gc::ptr_eq(&saver.neighbour.get().unwrap(), saved));
    }
    drop(risen);
    churn();
    assert!(ids.iter().all(|&id| drops_of(id) == 1));
    assert_eq!((corrupt_drops(), verify()), (0, vec![]));
}

/// The same for the finalizers of a thread's own.
#[derive(Trace)]
#[trace(local_finalize)]
struct LocalPhoenix {
    estate: Estate,
    myself: GcRefCell<Option<Gc<LocalPhoenix>>>,
    risen: Gc<GcRefCell<Vec<Gc<LocalPhoenix>>>>,
}

impl LocalFinalize for LocalPhoenix {
    fn finalize(&self) {
        self.estate.check();
        self.risen.borrow_mut().extend(self.myself.borrow().clone());
    }
}

#[test]
fn read_after_its_local_finalizer() {
    let _alone = alone();
    let risen = Gc::new(GcRefCell::new(Vec::new()));
    for _ in 0..100 {
        let it = LocalPhoenix { estate: Estate::new(), myself: None.into(), risen: risen.clone() };
        let it = Gc::new(it);
        *it.myself.borrow_mut() = Some(it.clone());
    }
    settle();
    assert_eq!(run_finalizers(), 100);
    churn();
    let ids: Vec<u32> = risen.borrow().iter().map(|it| it.estate.check()).collect();
    assert_eq!(ids.len(), 100);
    risen.borrow_mut().clear();
    churn();
    assert_eq!(run_finalizers(), 0, "no second time");
    assert!(ids.iter().all(|&id| drops_of(id) == 1));
}

/// Handles of every kind, 100,000 of each, to one object.
#[test]
fn many_handles_at_once() {
    const MANY: usize = 100_000;
    let _alone = alone();
    let id = new_id();
    let target = Gc::new(Leaf::new(id));
    let outside = vec![target.clone(); MANY];
    let weak = vec![Gc::downgrade(&target); MANY];
    let inside = Gc::new(outside.clone());
    let thin: Vec<ThinGc<str>> = vec![Gc::<str>::from("text").thin(); MANY];
    let cells: Gc<Vec<GcCell<Gc<Leaf>>>> = Gc::new(outside.iter().cloned().map(GcCell::new).collect());
    let behind_a_lock = Gc::new(GcMutex::new(outside.clone()));
    for round in 0..3 {
        settle();
        assert!(outside.iter().chain(inside.iter()).all(|handle| handle.check() == id));
        assert!(cells.iter().all(|cell| cell.get().check() == id));
        // The first access after a cycle counts every one of them.
        assert!(behind_a_lock.lock().iter().all(|handle| handle.check() == id));
        assert!(weak.iter().step_by(1000).all(|weak| weak.upgrade().is_some()), "round {round}");
        assert!(thin.iter().all(|thin| thin.len() == 4));
    }
    let theirs = outside.clone();
    thread::spawn(move || drop(theirs.clone())).join().unwrap();
    drop((target, outside, inside, thin, cells));
    settle();
    assert_eq!(drops_of(id), 0, "the lock's content leads to it");
    drop(behind_a_lock);
    settle();
    assert_eq!((drops_of(id), weak[0].upgrade().is_none()), (1, true));
}

const CHAIN: usize = 200_000;
/// Too small for as many nested calls, whatever they do.
const SMALL_STACK: usize = 64 << 10;

/// Builds a chain with `link`, which makes a node that leads to another, and lets it die: by its head's drop on a thread with a small
/// stack, and by a collection that the thread asks for.
fn dies<T: Trace + Send + Sync>(link: impl Fn(Option<Gc<T>>) -> T + Send + 'static, dropped_by: impl Fn() -> usize) {
    let _alone = alone();
    settle();
    let before = (stats().live_objects, dropped_by());
    let small = thread::Builder::new().stack_size(SMALL_STACK);
    let done = small.spawn(move || {
        let mut head = Gc::new(link(None));
        for _ in 1..CHAIN {
            head = Gc::new(link(Some(head)));
        }
        // It lives through a cycle first, so that its handles are claimed and it is old.
        assert_eq!(collect().outcome, Outcome::Settled);
        assert!(stats().live_objects >= CHAIN as u64);
        drop(head);
        assert_eq!(collect().outcome, Outcome::Settled);
    });
    done.unwrap().join().unwrap();
    settle();
    assert!(stats().live_objects <= before.0, "{} objects are left", stats().live_objects - before.0);
    assert_eq!(dropped_by() - before.1, CHAIN, "drops");
}

/// Edges of every kind, beside a leaf whose drop is counted in `$dropped`.
macro_rules! chains {
    ($($name:ident: $edge:ty = $make:expr;)+) => {
        mod long_chains_die_on_a_small_stack {
            use super::*;
            use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
            $(
                #[test]
                fn $name() {
                    static DROPPED: AtomicUsize = AtomicUsize::new(0);

                    #[derive(Trace)]
                    #[trace(leaf)]
                    struct Counted;

                    impl Drop for Counted {
                        fn drop(&mut self) {
                            DROPPED.fetch_add(1, SeqCst);
                        }
                    }

                    #[derive(Trace)]
                    struct Node {
                        _edge: $edge,
                        _counted: Counted,
                    }

                    let make: fn(Option<Gc<Node>>) -> $edge = $make;
                    dies(move |next| Node { _edge: make(next), _counted: Counted }, || DROPPED.load(SeqCst));
                }
            )+
        }
    };
}

chains! {
    immutable: Option<Gc<Node>> = |next| next;
    in_a_vector: Vec<Gc<Node>> = |next| next.into_iter().collect();
    boxed: Option<Box<Gc<Node>>> = |next| next.map(Box::new);
    in_a_cell: GcCell<Option<Gc<Node>>> = GcCell::new;
    behind_a_mutex: GcMutex<Option<Gc<Node>>> = GcMutex::new;
    behind_a_lock: GcRwLock<Vec<Gc<Node>>> = |next| GcRwLock::new(next.into_iter().collect());
    written_once: GcOnceCell<Gc<Node>> = |next| next.map_or_else(GcOnceCell::new, GcOnceCell::from);
    in_a_collection: GcVec<Gc<Node>> = |next| next.into_iter().collect();
}

/// What is in an object with all sorts of locks.
#[derive(Trace)]
struct Locks {
    mutex: GcMutex<Vec<Gc<Leaf>>>,
    lock: GcRwLock<Vec<Gc<Leaf>>>,
    vector: GcVec<Gc<Leaf>>,
    once: GcOnceCell<Gc<Leaf>>,
    myself: GcCell<Option<Gc<Locks>>>,
}

/// Threads panic while they hold locks for writing, in the middle of a change. Nothing of that reaches the collector: it goes on, traces
/// what is in the locks, and lets go what was taken out.
#[test]
fn panics_with_locks_held_do_not_reach_the_collector() {
    let _alone = alone();
    let first = new_id();
    let leaf = || Gc::new(Leaf::new(new_id()));
    let locks = Gc::new(Locks {
        mutex: vec![leaf(), leaf()].into(),
        lock: vec![leaf(), leaf()].into(),
        vector: [leaf(), leaf()].into_iter().collect(),
        once: GcOnceCell::new(),
        myself: None.into(),
    });
    locks.myself.set(Some(locks.clone()));
    settle();
    for round in 1..=10 {
        let theirs = locks.clone();
        let thread = thread::spawn(move || {
            let mut mutex = theirs.mutex.lock();
            let mut lock = theirs.lock.write();
            std::mem::swap(&mut *mutex, &mut *lock);
            drop(mutex.pop());
            mutex.push(leaf());
            lock.push(leaf());
            assert!(panics_quietly(|| theirs.vector.retain(|_| panic_quietly())));
            assert!(panics_quietly(|| theirs.once.get_or_init(panic_quietly)));
            panic_quietly::<()>();
        });
        assert!(thread.join().is_err());
        let collection = collect();
        assert_eq!(collection.outcome, Outcome::Settled, "round {round}");
        assert!(locks.mutex.try_lock().is_some() && locks.lock.try_write().is_some(), "no lock is left behind");
        assert_eq!((locks.mutex.lock().len() + locks.lock.read().len(), locks.vector.len()), (4 + round, 2));
        locks.mutex.lock().iter().chain(&*locks.lock.read()).for_each(|leaf| _ = leaf.check());
        locks.vector.read().iter().for_each(|leaf| _ = leaf.check());
        assert!(locks.once.get().is_none());
    }
    // A single thread's cell, in the same way.
    let cell = Gc::new(GcRefCell::new(vec![leaf()]));
    assert!(panics_quietly(|| {
        let mut content = cell.borrow_mut();
        content.push(leaf());
        panic_quietly::<()>();
    }));
    settle();
    assert!(cell.try_borrow_mut().is_ok());
    cell.borrow().iter().for_each(|leaf| _ = leaf.check());
    drop((locks, cell));
    settle();
    let last = new_id();
    (first + 1..last).for_each(|id| assert_eq!(drops_of(id), 1, "leaf {id}"));
    assert_eq!((corrupt_drops(), verify()), (0, vec![]));
}

/// Guards that are never given back: the lock is lost, as with std's, but not the collector.
#[test]
fn guards_that_are_forgotten_do_not_stop_the_collector() {
    let _alone = alone();
    let ids: [u32; 3] = std::array::from_fn(|_| new_id());
    let [held, taken_out, other] = ids;
    let mutex = Gc::new(GcMutex::new(vec![Gc::new(Leaf::new(held)), Gc::new(Leaf::new(taken_out))]));
    settle();
    let theirs = mutex.clone();
    thread::spawn(move || {
        let mut guard = theirs.lock();
        drop(guard.pop());
        std::mem::forget(guard);
    })
    .join()
    .unwrap();
    drop(Gc::new(Leaf::new(other)));
    for _ in 0..3 {
        assert_eq!(collect().outcome, Outcome::Settled);
        assert!(mutex.try_lock().is_none());
    }
    assert_eq!(ids.map(drops_of), [0, 1, 1]);
    drop(mutex);
    settle();
    assert_eq!(ids.map(drops_of), [1; 3], "it is dropped, held or not");
}

/// Std's locks are leaves, which the collector does not look into, poisoned or not.
#[test]
fn poisoned_locks_of_std_are_leaves() {
    #[derive(Trace)]
    struct Node {
        mutex: Mutex<String>,
        lock: RwLock<String>,
        leaf: Leaf,
        next: GcMutex<Option<Gc<Node>>>,
    }

    let _alone = alone();
    let id = new_id();
    let node = Gc::new(Node {
        mutex: Mutex::default(),
        lock: RwLock::default(),
        leaf: Leaf::new(id),
        next: GcMutex::new(None),
    });
    *node.next.lock() = Some(node.clone());
    let theirs = node.clone();
    let thread = thread::spawn(move || {
        let _held = (theirs.mutex.lock().unwrap(), theirs.lock.write().unwrap(), theirs.next.lock());
        panic_quietly::<()>();
    });
    assert!(thread.join().is_err() && node.mutex.is_poisoned() && node.lock.is_poisoned());
    for _ in 0..3 {
        assert_eq!(collect().outcome, Outcome::Settled);
    }
    assert_eq!(*node.mutex.lock().unwrap_or_else(PoisonError::into_inner), "");
    assert_eq!(node.next.lock().as_ref().unwrap().leaf.check(), id, "not poisoned");
    drop(node);
    settle();
    assert_eq!(drops_of(id), 1);
}

/// Whether a type is `Send`: the inherent constant is there only if it is, and then it comes first. `Shared` is the same for `Sync`.
struct Goes<T: ?Sized>(PhantomData<T>);

trait Stays {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T: ?Sized> Stays for Goes<T> {}

struct Shared<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Stays for Shared<T> {}

impl<T: ?Sized + Send> Goes<T> {
    const SEND: bool = true;
}

impl<T: ?Sized + Sync> Shared<T> {
    const SYNC: bool = true;
}

macro_rules! goes {
    ($ty:ty) => {
        (Goes::<$ty>::SEND, Shared::<$ty>::SYNC)
    };
}

/// All handles to such content: where an `Arc` to it may go, and nowhere else.
macro_rules! handles_to {
    ($($content:ty),+ $(,)?) => { $({
        let arc = goes!(Arc<$content>);
        assert_eq!(goes!(Gc<$content>), arc, "{}", stringify!($content));
        assert_eq!(goes!(Option<Gc<$content>>), arc);
        assert_eq!(goes!(Vec<Gc<$content>>), arc);
        assert_eq!(goes!(Weak<$content>), goes!(std::sync::Weak<$content>));
        assert_eq!(goes!(Gc<[$content]>), arc);
        assert_eq!(goes!(ThinGc<[$content]>), arc);
        assert_eq!(goes!(Gc<Thin<[$content]>>), arc);
        assert_eq!(goes!(Ephemeron<$content, u8>), arc);
        assert_eq!(goes!(Ephemeron<u8, $content>), arc);
        assert_eq!(goes!(GcCell<Gc<$content>>), arc);
        assert_eq!(goes!(GcCell<Option<Weak<$content>>>), arc);
        assert_eq!(goes!(GcVec<Gc<$content>>), arc);
        assert_eq!(goes!(GcMutex<Gc<$content>>), arc);
        assert_eq!(goes!(GcRwLock<Gc<$content>>), arc);
        assert_eq!(goes!(GcOnceCell<Gc<$content>>), arc);
        assert_eq!(goes!(GcRefCell<Gc<$content>>), (arc.0, false));
    })+ };
}

#[test]
fn handles_go_where_arc_goes() {
    assert_eq!((goes!(Arc<u8>), goes!(Arc<Cell<u8>>), goes!(Cell<u8>)), ((true, true), (false, false), (true, false)));
    handles_to!(u8, String, Cell<u8>, GcRefCell<u8>, GcMutex<Cell<u8>>, Gc<Cell<u8>>, Vec<Gc<GcRefCell<u8>>>);
    assert_eq!(goes!(Gc<Rc<u8>>), goes!(Arc<Rc<u8>>));
    assert_eq!(goes!(Gc<std::sync::MutexGuard<'static, u8>>), (false, false), "`Sync`, but not `Send`");
    assert_eq!((goes!(Gc<dyn Any>), goes!(Gc<dyn Any + Send + Sync>)), ((false, false), (true, true)));
    assert_eq!((goes!(Gc<dyn Any + Send>), goes!(Gc<dyn Any + Sync>)), ((false, false), (false, false)));
    assert_eq!((goes!(Weak<dyn Any>), goes!(Weak<dyn Any + Send + Sync>)), ((false, false), (true, true)));
    assert_eq!((goes!(Weak<dyn Any + Send>), goes!(Weak<[Cell<u8>]>)), ((false, false), (false, false)));
    assert_eq!((goes!(GcFn<u8, u8>), goes!(GcSyncFn<u8, u8>)), ((false, false), (true, true)));
    assert_eq!((goes!(WeakMap<u8, u8>).0, goes!(WeakMap<Cell<u8>, u8>).0), (true, false));
    assert_eq!(goes!(WeakMap<u8, Cell<u8>>), (false, false));
}

#[test]
fn what_is_tied_to_a_pin_never_goes() {
    assert_eq!(goes!(Guard), (false, false));
    assert_eq!((goes!(Local<'static, u8>), goes!(LocalWeak<'static, u8>)), ((false, false), (false, false)));
    assert_eq!((goes!(Option<Local<'static, str>>), goes!(&Guard)), ((false, false), (false, false)));
}
