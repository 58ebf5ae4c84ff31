//! What is tied to a thread, what closures capture, and what other crates define.

use graphgc::{
    Gc, GcCell, GcFn, GcMutex, GcOnceCell, GcRefCell, GcSyncFn, ThreadBound, Trace, drop_thread_bound, leaf,
};
use graphgc_tests::{
    heap::{alone, settle},
    payload::{Leaf, drops_of, new_id},
};
use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    rc::Rc,
    sync::mpsc,
    thread::{self, ThreadId},
};

/// Neither `Send` nor `Sync`; tells on which thread it was dropped.
struct Tied {
    home: ThreadId,
    dropped: Rc<Cell<u32>>,
}

impl Tied {
    fn new(dropped: &Rc<Cell<u32>>) -> Self {
        Tied { home: thread::current().id(), dropped: dropped.clone() }
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.home, "dropped on another thread");
        self.dropped.set(self.dropped.get() + 1);
    }
}

#[derive(Trace)]
struct Widget {
    tied: ThreadBound<Tied>,
    back: GcCell<Option<Gc<Widget>>>,
}

#[test]
fn what_is_bound_is_used_and_dropped_at_home() {
    let _alone = alone();
    let dropped = Rc::new(Cell::new(0));
    let widget = Gc::new(Widget { tied: ThreadBound::new(Tied::new(&dropped)), back: None.into() });
    widget.back.set(Some(widget.clone()));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(!widget.tied.is_home() && widget.tied.try_get().is_none());
            assert_eq!(format!("{:?}", ThreadBound::from(1)), "ThreadBound(1)");
            let got = catch_unwind(AssertUnwindSafe(|| widget.tied.get().dropped.get()));
            assert!(got.is_err());
        });
    });
    assert_eq!(widget.tied.get().dropped.get(), 0);
    drop(widget);
    settle();
    assert_eq!(dropped.get(), 0, "it waits for its thread");
    assert_eq!((drop_thread_bound(), drop_thread_bound(), dropped.get()), (1, 0, 1));
}

#[test]
fn what_comes_home_is_dropped_when_another_is_made() {
    let dropped = Rc::new(Cell::new(0));
    let mut bound = ThreadBound::new(Tied::new(&dropped));
    assert!(bound.try_get_mut().is_some());
    let bound = thread::spawn(move || bound.into_inner().err().unwrap()).join().unwrap();
    thread::spawn(move || drop(bound)).join().unwrap();
    assert_eq!(dropped.get(), 0);
    let again = ThreadBound::new(Tied::new(&dropped));
    assert_eq!(dropped.get(), 1);
    drop(again);
    assert_eq!(dropped.get(), 2, "at once, at home");
    let taken = ThreadBound::new(Tied::new(&dropped)).into_inner().ok().unwrap();
    assert_eq!((dropped.get(), *ThreadBound::<u8>::default().get()), (2, 0));
    drop(taken);
    assert_eq!((dropped.get(), Rc::strong_count(&dropped)), (3, 1));
}

#[test]
fn a_thread_that_ends_drops_what_has_come_and_leaks_what_comes_later() {
    struct Tells(mpsc::Sender<u8>, u8, Option<ThreadBound<Tells>>, Rc<u8>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(self.1 + *self.3).unwrap();
            drop(self.2.take());
            if self.1 == 2 {
                resume_unwind(Box::new("a drop that panics"));
            }
        }
    }
    let (sender, receiver) = mpsc::channel();
    let (give, take) = mpsc::channel();
    let (ends, end) = mpsc::channel();
    let home = thread::spawn(move || {
        let tells = |number, inner| ThreadBound::new(Tells(sender.clone(), number, inner, Rc::new(0)));
        let inner = tells(4, None);
        for bound in [tells(1, None), tells(2, None), tells(3, Some(inner)), tells(5, None)] {
            give.send(bound).unwrap();
        }
        end.recv().unwrap();
    });
    for _ in 0..3 {
        drop(take.recv().unwrap());
    }
    let late = take.recv().unwrap();
    ends.send(()).unwrap();
    home.join().unwrap();
    let mut told: Vec<u8> = receiver.try_iter().collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2, 3, 4]);
    assert!(late.try_get().is_none());
    drop(late);
    assert!(receiver.try_recv().is_err());
}

/// Handles in a bound value keep what they lead to, and cycles through it stay.
#[test]
fn handles_in_bound_values_are_roots() {
    let _alone = alone();
    let id = new_id();
    let owner = Gc::new((Leaf::new(new_id()), ThreadBound::new(Rc::new(RefCell::new(Some(Gc::new(Leaf::new(id))))))));
    settle();
    assert_eq!(owner.1.get().borrow().as_ref().unwrap().check(), id);
    drop(owner);
    settle();
    assert_eq!(drops_of(id), 0);
    drop_thread_bound();
    settle();
    assert_eq!(drops_of(id), 1);
}

#[derive(Trace)]
struct Env {
    leaf: Leaf,
    functions: GcRefCell<Vec<GcFn<u32, u32>>>,
    factor: u32,
}

#[test]
fn cycles_through_environments_are_collected() {
    let _alone = alone();
    let ids = [new_id(), new_id()];
    let [one, two] = ids.map(|id| Gc::new(Env { leaf: Leaf::new(id), functions: GcRefCell::default(), factor: id }));
    let through = GcFn::new((one.clone(), two.clone()), |(one, two): &(Gc<Env>, Gc<Env>), number| {
        one.leaf.check() + two.leaf.check() + number
    });
    one.functions.borrow_mut().push(through.clone());
    two.functions.borrow_mut().push(GcFn::new(one.clone(), |env, number| env.functions.borrow()[0].call(number) * 2));
    let function = two.functions.borrow()[0].clone();
    assert!(GcFn::ptr_eq(&through, &one.functions.borrow()[0]) && !GcFn::ptr_eq(&through, &function));
    drop((one, two, through));
    settle();
    assert_eq!(ids.map(drops_of), [0; 2]);
    assert_eq!(function.call(1), (ids[0] + ids[1] + 1) * 2);
    assert_eq!(format!("{function:?}"), "GcFn(..)");
    drop(function);
    settle();
    assert_eq!(ids.map(drops_of), [1; 2]);
}

#[test]
fn functions_for_several_threads() {
    let _alone = alone();
    let id = new_id();
    let log: Gc<GcMutex<Vec<u32>>> = Gc::new(GcMutex::default());
    let function = GcSyncFn::new((log.clone(), Leaf::new(id)), |(log, leaf), number| {
        leaf.check();
        log.lock().push(number);
    });
    let held = Gc::new(GcOnceCell::from(function.clone()));
    thread::scope(|scope| {
        for number in 0..4 {
            let function = function.clone();
            scope.spawn(move || function.call(number));
        }
        settle();
    });
    drop(function);
    settle();
    held.get().unwrap().call(4);
    log.lock().sort_unstable();
    assert_eq!(*log.lock(), [0, 1, 2, 3, 4]);
    drop(held);
    settle();
    assert_eq!(drops_of(id), 1);
}

mod leaves {
    #![forbid(unsafe_code)]

    use super::*;

    leaf! {
        /// Of std, and without `Trace`.
        #[derive(Debug)]
        pub(super) struct Error(pub(super) std::num::ParseIntError);
    }

    leaf! { pub(super) struct HidesHandles(pub(super) Box<dyn Fn() -> u32 + Send>); }

    pub(super) struct Mine(pub(super) Leaf);
    pub(super) struct Generic<T>(pub(super) T);

    leaf!(Mine, Generic<Box<dyn Send>>);
}

#[test]
fn leaves_of_other_crates() {
    let _alone = alone();
    let (id, hidden) = (new_id(), new_id());
    let mut error = leaves::Error::from("x".parse::<u8>().unwrap_err());
    *error = "".parse::<u8>().unwrap_err();
    let error = Gc::new(RefCell::new(error));
    assert_eq!(error.borrow().to_string(), "cannot parse integer from empty string");
    let handle = Gc::new(Leaf::new(hidden));
    let hides = Gc::new(leaves::HidesHandles::from(Box::new(move || handle.check()) as Box<dyn Fn() -> u32 + Send>));
    let mine = Gc::new((leaves::Mine(Leaf::new(id)), leaves::Generic(Box::new(1) as Box<dyn Send>)));
    settle();
    assert_eq!((mine.0.0.check(), (hides.0)()), (id, hidden));
    let _one = &mine.1.0;
    drop((mine, hides));
    settle();
    assert_eq!((drops_of(id), drops_of(hidden)), (1, 1));
}
