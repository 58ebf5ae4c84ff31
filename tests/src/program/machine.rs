//! Runs operations: each changes the real graph and tells the witness, who knows what must come of it.

use super::{
    ballast::{Ballast, FAR},
    content::{Content, Shape},
    detour,
    grasp::{Counted, Grasp},
    local_mortal,
    lock::CellRef,
    model::Access,
    node::{Any, Family, Mixed, Node, Part, Untraced, User, View},
    op::{At, Guard, Kind, Many, Op, Via},
    weak::Remembered,
    witness::Witness,
};
use crate::payload::{Leaf, new_id};
use graphgc::{Gc, GcCell, Weak};
use std::{mem, sync::Arc};

/// Roots that a program holds at most.
const MOST_ROOTS: usize = 48;

/// One thread's program.
pub struct Machine<F: Family> {
    /// Handles on the stack.
    pub roots: Vec<Any<F>>,
    /// Weak handles on the stack.
    pub weak: Vec<Remembered<F>>,
    /// Cells outside the heap, which threads share.
    pub hub: Option<Arc<User<F>>>,
    /// A load for the collector.
    pub ballast: Option<Arc<Ballast<F>>>,
    /// Who knows what must exist.
    pub witness: F::Witness,
    /// Guards that are held.
    pub(super) pins: usize,
    received: usize,
}

/// How a value moves into the heap.
pub(super) trait Birth<F: Family> {
    /// What then holds it.
    type Held;
    /// Moves it.
    fn bear<T: Node<F>>(&self, value: T) -> Self::Held;
    /// Moves a value that knows itself.
    fn bear_knowing<T: Node<F>>(&self, make: impl FnOnce(&Weak<T>) -> T) -> Self::Held;
    /// Moves the elements of a slice.
    fn bear_slice(&self, parts: Vec<Part<F>>) -> Self::Held;
}

/// What holds objects from outside the heap.
pub struct Outside<'a, F: Family> {
    /// Handles on the stack.
    pub roots: &'a [Any<F>],
    /// Weak handles on the stack.
    pub weak: &'a [Remembered<F>],
    /// Cells outside the heap.
    pub hub: Option<&'a User<F>>,
    /// The load of the collector.
    pub ballast: Option<&'a Ballast<F>>,
}

/// What an operation works on.
pub(super) enum Target<F: Family> {
    Object(Any<F>),
    Hub(Arc<User<F>>),
}

impl<F: Family> Target<F> {
    pub(super) fn view(&self) -> View<'_, F> {
        match self {
            Target::Object(any) => any.view(),
            Target::Hub(hub) => View::User(hub),
        }
    }
}

/// The hub that a program begins with.
pub fn new_hub<F: Family>() -> Arc<User<F>> {
    let (list, deque) = (Content::new(Shape::List, Vec::new()), Content::new(Shape::Deque, Vec::new()));
    Arc::new(new_user(new_id(), list, deque, None, new_untraced::<F>(Shape::List)))
}

/// Fields that are not traced, empty.
pub(super) fn new_untraced<F: Family>(shape: Shape) -> F::Untraced {
    F::own(Untraced { content: Content::new(shape, vec![]).into(), fixed: None, cell: GcCell::new(None) })
}

pub(super) fn new_user<F: Family>(
    id: u32,
    mutex: Content<Any<F>>,
    lock: Content<Any<F>>,
    cell: Option<Gc<User<F>>>,
    untraced: F::Untraced,
) -> User<F> {
    User { leaf: Leaf::new(id), mutex: mutex.into(), lock: lock.into(), cell: cell.into(), untraced }
}

pub(super) fn ids<F: Family>(handles: &[Any<F>]) -> Vec<u32> {
    handles.iter().map(Any::check).collect()
}

impl<F: Family> Machine<F> {
    /// A program that holds these handles.
    pub fn new(roots: Vec<Any<F>>, hub: Arc<User<F>>, witness: F::Witness) -> Self {
        Machine { roots, weak: Vec::new(), hub: Some(hub), ballast: None, witness, pins: 0, received: 0 }
    }

    /// Runs one operation.
    pub fn execute(&mut self, op: Op) {
        match op {
            Op::New(kind, shape, via, at, many) => {
                let new = self.allocate(kind, shape, &via, at, many);
                self.roots.push(new);
            }
            Op::NewLeaked(guard) => self.allocate_leaked(guard),
            Op::Root(at) => {
                let found = self.pick(at);
                self.roots.extend(found);
            }
            Op::Drop(root) => drop(self.take_root(root)),
            Op::DropFrom(root) => self.roots.truncate(usize::from(root)),
            Op::Forget(root) => {
                if let Some(root) = self.take_root(root) {
                    self.forget(root);
                }
            }
            Op::Edge(at, number, change, new) => self.change_some_edge(at, number, change, new),
            Op::Content(at, number, route, during, change, new) => {
                self.change_some_content(at, number, route, during, change, new);
            }
            Op::Typed(at, route, change, new) => self.change_typed(at, route, change, new),
            Op::Element(at, number, new) => self.change_element(at, number, new),
            Op::Look(at, number, during) => self.look(at, number, during),
            Op::Swap(at, number, other, other_number) => self.swap(at, number, other, other_number),
            Op::Nested(at, layer, change, new) => self.change_nested(at, layer, change, new),
            Op::Cells(at, change, index, new) => self.change_cells(at, change, index, new),
            Op::Bundle(at, place, change, new) => self.change_bundle(at, place, change, new),
            Op::Detour(at, op) => self.execute_detour(at, op),
            Op::Home => {
                local_mortal::let_the_saved_go();
                local_mortal::finalize_here();
                detour::drop_the_bound();
            }
            Op::Once(at, new, collects) => self.write_once(at, new, collects),
            Op::Skipped(at, change, new) => self.change_skipped(at, change, new),
            Op::ClearSkipped(at) => self.clear_skipped(at),
            Op::Leak(at, number, guard) => self.leak(at, number, guard),
            Op::Panic(place, many) => self.panic(place, many),
            Op::Weak(op) => self.execute_weak(op),
            Op::Collect => self.collect(),
            Op::Pin(_) | Op::Pinned(_) => unreachable!("run in a scope"),
        }
        self.bound_roots();
    }

    pub(super) fn bound_roots(&mut self) {
        while self.roots.len() > MOST_ROOTS {
            self.received += 1;
            let index = self.received * 7 % self.roots.len();
            self.roots.swap_remove(index);
        }
    }

    /// Collects and compares.
    pub fn collect(&mut self) {
        let (hub, ballast) = (self.hub.as_deref(), self.ballast.as_deref());
        let held = Outside { roots: &self.roots, weak: &self.weak, hub, ballast };
        self.witness.collect(held, self.pins > 0);
    }

    /// Makes a load for the collector, with objects of the program in it.
    pub fn load(&mut self) {
        let nothing = At(0, 0, 0, 0);
        let kinds = [
            Kind::Plain,
            Kind::User,
            Kind::Mortal,
            Kind::Mixed,
            Kind::Detour,
            Kind::User,
            Kind::LocalMortal,
            Kind::Aligned,
            Kind::Frees,
            Kind::Wide,
        ];
        let make =
            |number| self.allocate(kinds[number % kinds.len()], Shape::List, &Via::New, nothing, Many(3, nothing));
        let objects: Vec<_> = (0..FAR).map(make).collect();
        let ids = ids(&objects);
        let ballast = Ballast::new(objects);
        self.witness.loaded(ballast.weight, ids);
        self.ballast = Some(Arc::new(ballast));
    }

    pub(super) fn take_root(&mut self, root: u8) -> Option<Any<F>> {
        let count = self.roots.len();
        (count > 0).then(|| self.roots.swap_remove(usize::from(root) % count))
    }

    /// Without a model nobody would know what it leads to when others change that.
    pub(super) fn forget(&mut self, handle: Any<F>) {
        if F::ALONE {
            self.witness.forgot(handle.check());
            mem::forget(handle);
        }
    }

    // Getting hold of objects, as a program does.

    pub(super) fn target(&self, At(root, one, two, three): At) -> Option<Target<F>> {
        let mut here = if root >= At::HUB {
            Target::Hub(self.hub.clone()?)
        } else if let Some(ballast) = self.ballast.as_ref().filter(|_| root >= At::FAR) {
            Target::Object(ballast.object(usize::from(root)).clone())
        } else if self.roots.is_empty() {
            return None;
        } else {
            Target::Object(self.roots[usize::from(root) % self.roots.len()].clone())
        };
        for step in [one, two, three] {
            let next = if step == 0 { None } else { self.step(here.view(), usize::from(step - 1)) };
            let Some(next) = next else { break };
            here = Target::Object(next);
        }
        self.witness.known(here.view().check());
        Some(here)
    }

    /// An object that the program can reach.
    pub(super) fn pick(&self, at: At) -> Option<Any<F>> {
        match self.target(at)? {
            Target::Object(any) => Some(any),
            Target::Hub(_) => None,
        }
    }

    /// An object of this type: the one there, or else the next root.
    pub(super) fn pick_of<T: Node<F>>(&self, at: At) -> Option<Gc<T>> {
        if let Some(found) = self.pick(at).as_ref().and_then(T::of) {
            return Some(found.clone());
        }
        let first = usize::from(at.0) % self.roots.len().max(1);
        let (before, after) = self.roots.split_at(first.min(self.roots.len()));
        after.iter().chain(before).find_map(T::of).cloned()
    }

    pub(super) fn pick_many(&self, Many(count, At(root, one, two, three)): Many) -> Vec<Any<F>> {
        let at = |number| At(root.wrapping_add(number), one, two, three);
        (0..count % 5).filter_map(|number| self.pick(at(number))).collect()
    }

    pub(super) fn pick_many_of<T: Node<F>>(&self, many: Many) -> Vec<Gc<T>> {
        self.pick_many(many).iter().filter_map(T::of).cloned().collect()
    }

    fn step(&self, from: View<'_, F>, step: usize) -> Option<Any<F>> {
        self.step_by(from, step, true, &Counted)
    }

    /// Follows an edge, comparing what is there with what must be there. Waits for other threads if told so.
    pub(super) fn step_by<G: Grasp<F>>(
        &self,
        from: View<'_, F>,
        step: usize,
        wait: bool,
        grasp: &G,
    ) -> Option<G::Held> {
        let (place, index) = (step % from.places(), step / from.places());
        let (id, wait) = (from.check(), wait && self.may_wait(from, place));
        match from.nth(place, index, wait, grasp) {
            Some(found) => {
                self.witness.met(id, place, index, found.as_ref().map(|held| G::check(held)));
                found
            }
            None => {
                let held = !F::ALONE || self.witness.access(id, place) == Access::Held(Guard::Write);
                assert!(held, "place {place} of object {id} cannot be read");
                None
            }
        }
    }

    /// Whether a guard that others hold will be given up.
    pub(super) fn may_wait(&self, view: View<'_, F>, place: usize) -> bool {
        !F::ALONE && !matches!((view, place), (View::Mixed(Mixed { leaked: true, .. }), 0))
    }

    /// Whether a place can be opened for writing; if not, checks that it cannot.
    pub(super) fn is_open(&self, view: View<'_, F>, place: usize, lock: &CellRef<'_, F>) -> bool {
        match self.witness.access(view.check(), place) {
            Access::Held(guard) => {
                lock.assert_held(guard);
                false
            }
            Access::Open | Access::Skipped => F::ALONE || self.may_wait(view, place),
        }
    }

    /// Takes handles that came out of somewhere: some become roots, the others are dropped.
    pub(super) fn receive(&mut self, handles: impl IntoIterator<Item = Any<F>>) {
        for handle in handles {
            self.witness.known(handle.check());
            self.received += 1;
            if self.received.is_multiple_of(3) {
                self.roots.push(handle);
            }
        }
    }
}
