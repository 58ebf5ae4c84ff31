//! Handles where the collector does not look: skipped fields, `Any`, closures, channels, `Arc`. They must count as roots, no more and no less.

use crate::{Node, check, check_all, node, node_with, ring};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, Outcome, Trace, collect, trace::NoHandles};
use graphgc_tests::{
    payload::Leaf,
    sound::{attack, settle},
};
use std::{
    any::Any,
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, mpsc},
};

#[derive(Trace)]
struct Link {
    leaf: Leaf,
    #[trace(skip)]
    before: Option<Gc<Link>>,
    edge: GcCell<Option<Gc<Node>>>,
}

/// Hopes that a chain in which each object keeps the next one as a root is given up halfway.
#[test]
fn chains_of_skipped_handles() {
    attack(|prey| {
        let mut head = None;
        for _ in 0..30 {
            head = Some(Gc::new(Link { leaf: prey.leaf(), before: head, edge: Some(ring(prey)).into() }));
        }
        prey.disturb();
        let mut here = head.as_ref();
        while let Some(link) = here {
            check(&link.edge.get().unwrap());
            here = link.before.as_ref();
        }
        let id = head.as_ref().unwrap().leaf.check();
        drop(head);
        assert_eq!((collect().outcome, graphgc_tests::payload::drops_of(id)), (Outcome::Settled, 1));
    });
}

type Call = Box<dyn Fn() -> Gc<Node> + Send>;
type Later = Pin<Box<dyn Future<Output = Gc<Node>> + Send>>;

#[derive(Trace)]
struct Hidden {
    leaf: Leaf,
    #[trace(skip)]
    any: Mutex<Vec<Box<dyn Any + Send>>>,
    #[trace(leaf)]
    call: Mutex<Option<Call>>,
    #[trace(skip)]
    future: Mutex<Option<Later>>,
    #[trace(leaf)]
    channel: Mutex<Option<mpsc::Receiver<Gc<Node>>>>,
    shared: Arc<GcMutex<Vec<Gc<Node>>>>,
    plain: Gc<Node>,
}

/// Hopes that handles in boxes that nobody can look into are forgotten, or that swept ones are not counted down.
#[test]
fn handles_behind_opaque_types() {
    attack(|prey| {
        let (send, receive) = mpsc::channel();
        send.send(ring(prey)).unwrap();
        let (called, awaited) = (ring(prey), ring(prey));
        let hidden = Gc::new(Hidden {
            leaf: prey.leaf(),
            any: vec![Box::new(ring(prey)) as Box<dyn Any + Send>, Box::new(vec![ring(prey)])].into(),
            call: Mutex::new(Some(Box::new(move || called.clone()))),
            future: Mutex::new(Some(Box::pin(async move { awaited }))),
            channel: Mutex::new(Some(receive)),
            shared: Arc::new(vec![ring(prey)].into()),
            plain: ring(prey),
        });
        let shared = hidden.shared.clone();
        prey.disturb();
        check(hidden.any.lock().unwrap()[0].downcast_ref::<Gc<Node>>().unwrap());
        let any = hidden.any.lock().unwrap().pop().unwrap().downcast::<Vec<Gc<Node>>>().unwrap();
        check(&hidden.call.lock().unwrap().as_ref().unwrap()());
        send.send(ring(prey)).unwrap();
        let channel = hidden.channel.lock().unwrap().take().unwrap();
        check(&hidden.plain);
        drop(hidden);
        settle();
        check_all(&*shared.lock());
        check_all(any.iter().chain(&channel.try_iter().collect::<Vec<_>>()));
    });
}

/// Hopes that a cycle through a skipped field, which is to stay, is collected, or that it cannot be broken any more.
#[test]
fn cycles_through_what_is_not_traced() {
    #[derive(Trace)]
    struct Loops {
        leaf: Leaf,
        #[trace(skip)]
        skipped: GcMutex<Option<Gc<Loops>>>,
        shared: Arc<GcMutex<Option<Gc<Loops>>>>,
    }
    attack(|prey| {
        let one = Gc::new(Loops { leaf: prey.leaf(), skipped: None.into(), shared: Arc::default() });
        let other = Gc::new(Loops { leaf: prey.leaf(), skipped: Some(one.clone()).into(), shared: Arc::default() });
        *one.shared.lock() = Some(other.clone());
        *other.shared.lock() = Some(other.clone());
        let way_in = Arc::downgrade(&one.shared);
        drop((one, other));
        settle();
        let shared = way_in.upgrade().expect("kept by the cycle");
        let other = shared.lock().take().unwrap();
        other.leaf.check();
        other.skipped.lock().take().unwrap().leaf.check();
        other.shared.lock().take();
    });
}

/// Hopes that a handle in a std cell, let in by a false `NoHandles`, is both claimed and counted when its wrapper moves.
#[test]
fn wrappers_that_lie_about_their_handles() {
    #[derive(Trace)]
    struct Liar(Gc<Node>);
    impl NoHandles for Liar {}
    #[derive(Trace)]
    struct Owner {
        traced: GcMutex<Option<Liar>>,
        untraced: Mutex<Option<Liar>>,
        cell: RefCell<Vec<Liar>>,
    }
    attack(|prey| {
        let liar = || Liar(ring(prey));
        let owner = Gc::new(Owner {
            traced: Some(liar()).into(),
            untraced: Mutex::new(Some(liar())),
            cell: RefCell::new(vec![liar(), liar()]),
        });
        prey.disturb();
        for _ in 0..3 {
            std::mem::swap(&mut *owner.traced.lock(), &mut *owner.untraced.lock().unwrap());
            prey.disturb();
            let moved = owner.cell.borrow_mut().remove(0);
            owner.cell.borrow_mut().extend(owner.traced.lock().replace(moved));
            prey.disturb();
            check(&owner.traced.lock().as_ref().unwrap().0);
            check(&owner.untraced.lock().unwrap().as_ref().unwrap().0);
        }
        let stolen = owner.cell.take();
        drop(owner);
        prey.disturb();
        check_all(stolen.iter().map(|liar| &liar.0));
    });
}

/// Hopes that skipped and traced copies of one handle inside content that is opened again and again lose count of each other.
#[test]
fn skipped_beside_traced_in_open_content() {
    #[derive(Trace)]
    struct Both {
        traced: Gc<Node>,
        #[trace(skip)]
        skipped: Gc<Node>,
    }
    attack(|prey| {
        let owner = Gc::new(GcRefCell::new(Vec::new()));
        for _ in 0..6 {
            let node = ring(prey);
            owner.borrow_mut().push(Both { traced: node.clone(), skipped: node });
            prey.disturb();
            for both in &mut *owner.borrow_mut() {
                std::mem::swap(&mut both.traced, &mut both.skipped);
            }
        }
        let Both { traced, skipped } = owner.borrow_mut().remove(2);
        drop(owner);
        prey.disturb();
        check_all([&traced, &skipped]);
    });
}

/// Hopes that `Rc` on a stack hides a handle from the collector, or keeps a cycle through the heap from being broken.
#[test]
fn rc_cycles_outside_the_heap() {
    struct Outside {
        inside: Gc<Node>,
        myself: RefCell<Option<Rc<Outside>>>,
    }
    attack(|prey| {
        let outside = Rc::new(Outside { inside: ring(prey), myself: RefCell::default() });
        *outside.myself.borrow_mut() = Some(outside.clone());
        let forgotten = Rc::new(Outside { inside: node_with(prey.leaked()), myself: RefCell::default() });
        *forgotten.myself.borrow_mut() = Some(forgotten.clone());
        drop(forgotten);
        outside.inside.list.write().push(node(prey));
        prey.disturb();
        check(&outside.inside);
        outside.myself.take();
    });
}
