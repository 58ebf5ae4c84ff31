//! Cells that are written once: what std's do, and what the collector adds.

use graphgc::{Gc, GcCell, GcLazy, GcOnceCell, GcRefCell, GcRwLock, Trace, collect, pin};
use graphgc_tests::{
    heap::{alone, settle},
    payload::{Leaf, drops_of, new_id},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

#[derive(Trace)]
struct Node {
    leaf: Leaf,
    once: GcOnceCell<Vec<Gc<Node>>>,
}

fn node(id: u32) -> Gc<Node> {
    Gc::new(Node { leaf: Leaf::new(id), once: GcOnceCell::new() })
}

#[test]
fn works_as_std_does() {
    let mut cell = GcOnceCell::new();
    assert_eq!((cell.get(), format!("{cell:?}")), (None, "GcOnceCell(<empty>)".into()));
    assert_eq!(cell.get_mut(), None);
    assert_eq!(cell.set("one".to_string()), Ok(()));
    assert_eq!(cell.set("two".to_string()), Err("two".to_string()));
    assert_eq!(cell.get_or_init(|| unreachable!("it is set")), "one");
    assert_eq!(cell.get_or_try_init(|| Err(())), Ok(&"one".to_string()));
    cell.get_mut().unwrap().push('!');
    assert_eq!((cell.wait().as_str(), format!("{cell:?}")), ("one!", "GcOnceCell(..)".into()));
    let copy = cell.clone();
    assert_eq!(copy, cell);
    assert_eq!(cell.take(), Some("one!".into()));
    assert_ne!(copy, cell);
    assert_eq!((cell.take(), cell.clone().into_inner()), (None, None));
    assert_eq!(cell.get_or_init(|| "again".into()), "again");
    assert_eq!((cell.into_inner(), GcOnceCell::from(7).into_inner()), (Some("again".into()), Some(7)));
    assert!(size_of::<GcOnceCell<Gc<Node>>>() <= 2 * size_of::<usize>());
}

#[test]
fn what_is_in_it_is_alive_and_cycles_go() {
    let _alone = alone();
    let ids = [(); 3].map(|()| new_id());
    let [owner, one, two] = ids.map(node);
    one.once.set(vec![owner.clone(), two]).ok().unwrap();
    assert_eq!(owner.once.get_or_init(|| vec![one]).len(), 1);
    settle();
    let one = owner.once.get().unwrap()[0].clone();
    assert_eq!(one.once.get().unwrap().iter().map(|it| it.leaf.check()).collect::<Vec<_>>(), [ids[0], ids[2]]);
    drop(owner);
    settle();
    assert_eq!(ids.map(drops_of), [0; 3]);
    drop(one);
    settle();
    assert_eq!(ids.map(drops_of), [1; 3]);
}

/// A dead cell whose content is counted, since no marker has come by, gives its counts back.
#[test]
fn what_is_put_in_and_dies_before_the_marker_comes_is_let_go() {
    let _alone = alone();
    let (kept, id) = (new_id(), new_id());
    let target = node(kept);
    let owner = node(id);
    owner.once.set(vec![target]).ok().unwrap();
    drop(owner);
    settle();
    assert_eq!([kept, id].map(drops_of), [1; 2]);
}

#[test]
fn content_taken_out_of_an_opened_cell_is_counted() {
    let _alone = alone();
    let (inner, id) = (new_id(), new_id());
    let outer = Gc::new(GcRefCell::new(GcOnceCell::from(node(inner))));
    settle();
    let taken = outer.borrow_mut().take().unwrap();
    settle();
    assert_eq!(taken.leaf.check(), inner);
    outer.borrow().set(node(id)).ok().unwrap();
    settle();
    assert_eq!(outer.borrow().get().unwrap().leaf.check(), id);
    drop(taken);
    let moved = outer.replace(GcOnceCell::new());
    drop(outer);
    settle();
    assert_eq!((drops_of(inner), drops_of(id)), (1, 0));
    assert_eq!(moved.into_inner().unwrap().leaf.check(), id);
}

#[test]
fn an_initialiser_that_panics_leaves_the_cell_empty() {
    let _alone = alone();
    let cell = GcOnceCell::new();
    let (started, waiting) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let init = || -> u32 {
                started.wait();
                while !waiting.load(SeqCst) {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(20));
                panic!("the initialiser fails");
            };
            assert!(catch_unwind(AssertUnwindSafe(|| *cell.get_or_init(init))).is_err());
        });
        started.wait();
        assert_eq!(cell.get(), None, "being initialised is not initialised");
        waiting.store(true, SeqCst);
        assert_eq!(*cell.get_or_init(|| 5), 5);
    });
}

#[test]
fn an_initialiser_may_not_want_its_own_cell() {
    let _alone = alone();
    let (cell, other) = (GcOnceCell::new(), GcOnceCell::new());
    let reentered = catch_unwind(AssertUnwindSafe(|| {
        *cell.get_or_init(|| {
            assert_eq!(*other.get_or_init(|| 2), 2);
            *cell.get_or_init(|| 1)
        })
    }));
    let message = *reentered.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(message, "GcOnceCell is initialised by its own initialiser");
    assert!(catch_unwind(AssertUnwindSafe(|| *cell.get_or_init(|| cell.set(3).map_or(4, |()| 5)))).is_err());
    assert_eq!((cell.get(), other.get()), (None, Some(&2)));
    assert_eq!(*cell.get_or_init(|| 6), 6);
}

#[test]
fn an_initialiser_may_collect_and_allocate() {
    let _alone = alone();
    let (id, inner) = (new_id(), new_id());
    let owner = node(id);
    let copy = owner.clone();
    owner.once.get_or_init(|| {
        let made = node(inner);
        made.once.set(vec![copy.clone()]).ok().unwrap();
        drop(copy);
        settle();
        vec![made]
    });
    settle();
    assert_eq!(owner.once.get().unwrap()[0].once.get().unwrap()[0].leaf.check(), id);
    drop(owner);
    settle();
    assert_eq!((drops_of(id), drops_of(inner)), (1, 1));
}

#[test]
fn one_of_many_threads_initialises_while_the_collector_works() {
    let _alone = alone();
    let (rounds, threads) = (60, 4);
    let first = new_id();
    for _ in 0..rounds {
        let owner = node(new_id());
        let calls = AtomicUsize::new(0);
        let start = Barrier::new(threads + 1);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    start.wait();
                    let content = owner.once.get_or_init(|| {
                        calls.fetch_add(1, SeqCst);
                        vec![node(new_id()), owner.clone()]
                    });
                    let (copies, guard) = (content.clone(), pin());
                    copies.iter().for_each(|it| _ = it.local(&guard).leaf.check());
                });
            }
            start.wait();
            collect();
        });
        assert_eq!(calls.into_inner(), 1);
        assert_eq!(owner.once.wait().len(), 2);
    }
    settle();
    assert!((first + 1..new_id()).all(|id| drops_of(id) == 1), "all of them are garbage");
}

#[test]
fn waiting_for_a_cell() {
    let _alone = alone();
    let cell = Gc::new(GcOnceCell::new());
    let waiting = [(); 3].map(|()| {
        let cell = cell.clone();
        thread::spawn(move || *cell.wait())
    });
    // A failed attempt wakes nobody for good.
    thread::sleep(Duration::from_millis(10));
    assert!(cell.get_or_try_init(|| Err(())).is_err());
    thread::sleep(Duration::from_millis(10));
    assert_eq!(cell.set(7), Ok(()));
    assert!(waiting.into_iter().all(|thread| thread.join().unwrap() == 7));
}

#[test]
fn lazies_work_as_std_does() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static GLOBAL: GcLazy<GcRwLock<Vec<Gc<u32>>>> = GcLazy::new(|| {
        CALLS.fetch_add(1, SeqCst);
        GcRwLock::new(vec![Gc::new(1)])
    });
    let _alone = alone();
    assert!(GcLazy::get(&GLOBAL).is_none());
    assert_eq!(format!("{:?}", GLOBAL), "GcLazy(<not made>)");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| GLOBAL.write().push(Gc::new(2)));
        }
    });
    settle();
    assert_eq!(GLOBAL.read().iter().map(|it| **it).sum::<u32>(), 9);
    assert_eq!((CALLS.load(SeqCst), format!("{GLOBAL:?}")), (1, "GcLazy(..)".into()));
    GLOBAL.write().clear();

    let mut lazy = GcLazy::new(|| "made".to_string());
    assert_eq!(GcLazy::get_mut(&mut lazy), None);
    assert_eq!(GcLazy::force(&lazy).len(), 4);
    GcLazy::get_mut(&mut lazy).unwrap().push('!');
    assert_eq!(GcLazy::into_inner(lazy).ok().unwrap(), "made!");
    assert_eq!(GcLazy::into_inner(GcLazy::<u8, _>::new(|| 7)).err().unwrap()(), 7);
    assert_eq!(*GcLazy::<u8>::default(), 0);
}

#[test]
fn a_lazy_whose_closure_panics_is_poisoned() {
    let _alone = alone();
    static FAILS: AtomicBool = AtomicBool::new(true);
    let lazy = Gc::new(GcLazy::new(|| if FAILS.load(SeqCst) { panic!("fails") } else { 1 }));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| **lazy)).is_err());
        FAILS.store(false, SeqCst);
        collect();
    }
    assert!(GcLazy::get(&lazy).is_none());
}

#[derive(Trace)]
struct Owner {
    leaf: Leaf,
    lazy: GcLazy<Gc<Node>, Box<dyn FnOnce() -> Gc<Node> + Send>>,
    back: GcCell<Option<Gc<Owner>>>,
}

#[test]
fn what_a_closure_captures_is_a_root_until_it_has_run() {
    let _alone = alone();
    let ids = [(); 4].map(|()| new_id());
    let owner = |id, captured: Gc<Node>| {
        Gc::new(Owner {
            leaf: Leaf::new(id),
            lazy: GcLazy::new(Box::new(move || captured.once.get().map_or(captured.clone(), |it| it[0].clone()))),
            back: GcCell::new(None),
        })
    };
    let [forced, forgotten] = [owner(ids[0], node(ids[1])), owner(ids[2], node(ids[3]))];
    for it in [&forced, &forgotten] {
        it.back.set(Some(it.clone()));
    }
    settle();
    assert_eq!(ids.map(drops_of), [0; 4]);
    assert_eq!(forced.lazy.leaf.check(), ids[1]);
    settle();
    assert_eq!(GcLazy::get(&forced.lazy).unwrap().leaf.check(), ids[1]);
    drop((forced, forgotten));
    settle();
    assert_eq!(ids.map(drops_of), [1; 4], "one closure has let go, the other died with its owner");
}
