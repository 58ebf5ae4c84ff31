//! Destructors of thread-locals, which run when the thread's own part of the collector may be gone already.

use crate::{Node, check, check_all, node, node_with, ring};
use graphgc::{Gc, GcMutex, collect, stats};
use graphgc_tests::{
    panics::panics_quietly,
    process::alone,
    sound::{Prey, assert_sound, attack},
};
use std::{cell::RefCell, mem, thread};

type Will = Box<dyn FnOnce(&[Gc<Node>]) + Send>;

/// Handles, and what is to be done with them when the thread ends.
struct Estate {
    handles: Vec<Gc<Node>>,
    will: Option<Will>,
}

impl Drop for Estate {
    fn drop(&mut self) {
        if let Some(will) = self.will.take() {
            will(&self.handles);
        }
    }
}

thread_local! {
    static EARLY: RefCell<Option<Estate>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Estate>> = const { RefCell::new(None) };
}

/// Runs a thread that leaves handles in two thread-locals, one made before its first use of the collector and one after, and has `will` run on
/// the handles of either when it ends.
fn bequeath(prey: &Prey, will: impl Fn(&Prey, &[Gc<Node>]) + Clone + Send + 'static) {
    let prey = prey.clone();
    let body = move || {
        let estate = || {
            let (will, prey) = (will.clone(), prey.clone());
            Some(Estate { handles: vec![], will: Some(Box::new(move |handles| will(&prey, handles))) })
        };
        EARLY.set(estate());
        let (first, second) = (ring(&prey), ring(&prey));
        LATE.set(estate());
        EARLY.with_borrow_mut(|it| it.as_mut().unwrap().handles.push(first));
        LATE.with_borrow_mut(|it| it.as_mut().unwrap().handles.extend([second.clone(), second]));
    };
    thread::spawn(body).join().unwrap();
}

/// Hopes that an operation after the thread's last regular one goes unnoticed by a collection.
#[test]
fn destructors_that_use_handles() {
    attack(|prey| {
        let legacy = Gc::new((GcMutex::new(Vec::new()), prey.leaf()));
        let heir = legacy.clone();
        bequeath(prey, move |prey, handles| {
            check_all(handles);
            let new = node(prey);
            new.edge.set(Some(handles[0].clone()));
            new.list.write().extend(handles[0].edge.take());
            collect();
            for _ in 0..200 {
                drop(ring(prey));
            }
            check(&new);
            heir.0.lock().push(new);
            handles[0].list.write().push(handles[0].clone());
        });
        prey.disturb();
        let left = mem::take(&mut *legacy.0.lock());
        assert_eq!(left.len(), 2);
        check_all(&left);
    });
}

/// Hopes that large and long values, whose births take several steps, need what the thread no longer has.
#[test]
fn destructors_that_allocate_much() {
    attack(|prey| {
        bequeath(prey, |prey, handles| {
            let many: Vec<Gc<Node>> = (0..3000).map(|_| handles[0].clone()).collect();
            let large = Gc::new((many, [0u64; 5000], prey.leaf()));
            let cell = Gc::new((GcMutex::new(large.0.clone()), prey.leaf()));
            collect();
            cell.0.lock().truncate(1500);
            collect();
            check_all(cell.0.lock().iter().chain(&large.0).step_by(500));
        });
    });
}

/// Hopes that each operation of a thread that has nothing of its own any more takes a page of the collector's lists, or that a great number of threads does.
#[test]
fn operations_without_number_take_little() {
    alone("locals::operations_without_number_take_little", &[("GRAPHGC_MIN_HEAP", "256M")], || {
        drop(Gc::new(0));
        let before = stats().list_bytes;
        let prey = Prey::default();
        bequeath(&prey, |_, _| (0..10_000u32).for_each(|number| drop(Gc::new(number))));
        (0..2000u32).for_each(|number| assert_eq!(thread::spawn(move || *Gc::new(number)).join().unwrap(), number));
        assert!(stats().list_bytes < before + (8 << 20), "{:?}", stats());
        assert_sound();
        prey.check();
    });
}

/// Hopes that guards leaked, and panics caught, while the thread ends break what the next thread inherits.
#[test]
fn destructors_that_leak_and_panic() {
    attack(|prey| {
        let hub = node(prey);
        hub.list.write().push(node_with(prey.leaf()));
        for turn in 0..4 {
            let hub = hub.clone();
            bequeath(prey, move |prey, handles| {
                mem::forget(handles[0].list.write());
                assert!(panics_quietly(|| {
                    let _guard = hub.list.write();
                    Gc::new((node(prey), graphgc_tests::panics::panic_quietly::<u8>()))
                }));
                if turn == 2 {
                    thread::spawn(collect).join().unwrap();
                }
                hub.list.write().push(node(prey));
            });
        }
        prey.disturb();
        assert_eq!(hub.list.read().len(), 9);
        check(&hub);
    });
}
