//! Pinned scopes: objects are held without counting, edges followed and changed, handles dropped and objects unlinked that only the pin still
//! holds. Any other operation may come between.

use super::{
    ballast::FAR,
    edges::put,
    lock::Lockable,
    machine::{Birth, Machine},
    node::{EdgeCell, EdgeRef, Family, Mixed, Node, Part, Pinned, Plain, User, View, has_leaf},
    op::{At, Op, PinnedChange, PinnedOp, Route},
    witness::Witness,
};
use crate::payload::drops_of;
use graphgc::{Gc, GcCell, Guard, Local, Outcome, Weak, collect, pin, stats};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Objects that a scope holds at most.
const MOST_HELD: usize = 12;
/// How long a scope lingers for a cycle to end; longer than a cycle takes, if it does not wait for the scope itself.
const LONGEST: Duration = Duration::from_millis(8);

/// An object under a pin, and who it was when the scope got hold of it.
struct Held<'g, F: Family> {
    object: Pinned<'g, F>,
    id: u32,
}

impl<F: Family> Clone for Held<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Held<'_, F> {}

impl<F: Family> Held<'_, F> {
    /// It is still there and still the same.
    fn check(&self) {
        let view = self.object.view();
        assert_eq!(view.check(), self.id, "another object lies where a pin holds one");
        assert!(!has_leaf(view.kind()) || drops_of(self.id) == 0, "object {} is dropped under a pin", self.id);
    }
}

/// What a scope knows.
struct Scope<'g, F: Family> {
    guard: &'g Guard,
    held: Vec<Held<'g, F>>,
    /// Objects that it has got hold of so far.
    number: usize,
}

impl<'g, F: Family> Scope<'g, F> {
    /// Holds an object, perhaps in place of an older one.
    fn hold(&mut self, object: Pinned<'g, F>) {
        let held = Held { object, id: object.view().check() };
        held.check();
        if self.held.len() < MOST_HELD {
            self.held.push(held);
        } else {
            self.held[self.number % MOST_HELD] = held;
        }
        self.number += 1;
    }

    fn hold_all<T: Node<F>>(&mut self, objects: impl IntoIterator<Item = Local<'g, T>>) {
        objects.into_iter().for_each(|it| self.hold(T::pinned(it)));
    }

    fn check(&self) {
        self.held.iter().for_each(Held::check);
    }
}

/// Where an operation finds cells.
enum Spot<'g, F: Family> {
    Object(Pinned<'g, F>),
    Hub(Arc<User<F>>),
}

impl<F: Family> Spot<'_, F> {
    fn view(&self) -> View<'_, F> {
        match self {
            Spot::Object(object) => object.view(),
            Spot::Hub(hub) => View::User(hub),
        }
    }
}

/// Born under the pin.
struct Under<'g>(&'g Guard, bool);

impl<'g, F: Family> Birth<F> for Under<'g> {
    type Held = Pinned<'g, F>;

    fn bear<T: Node<F>>(&self, value: T) -> Pinned<'g, F> {
        let Under(guard, tries) = *self;
        let new =
            if tries { guard.try_alloc(value).unwrap_or_else(|error| panic!("{error}")) } else { guard.alloc(value) };
        T::pinned(new)
    }

    /// There is no way but by a handle.
    fn bear_knowing<T: Node<F>>(&self, make: impl FnOnce(&Weak<T>) -> T) -> Pinned<'g, F> {
        T::pinned(Gc::new_cyclic(make).local(self.0))
    }

    /// There is no way but by a handle.
    fn bear_slice(&self, parts: Vec<Part<F>>) -> Pinned<'g, F> {
        Pinned::Slice(Gc::<[Part<F>]>::from(parts).local(self.0))
    }
}

fn id_of<F: Family, T: Node<F>>(edge: Option<Local<'_, T>>) -> Option<u32> {
    edge.map(|it| it.view().check())
}

impl<F: Family> Machine<F> {
    /// Runs a program.
    pub fn run(&mut self, program: &[Op]) {
        let mut rest = program;
        while let Some((op, after)) = rest.split_first() {
            rest = match op {
                Op::Pin(_) => self.open_next(op, after, &[]),
                Op::Pinned(_) => {
                    self.open(std::slice::from_ref(op), &[]);
                    after
                }
                op => {
                    self.execute(*op);
                    after
                }
            };
        }
    }

    /// Opens a scope that ends where `op` says; what comes after it.
    fn open_next<'a>(&mut self, op: &Op, after: &'a [Op], outer: &[Held<'_, F>]) -> &'a [Op] {
        let Op::Pin(length) = op else { return after };
        let (inside, after) = after.split_at(usize::from(length % 64).min(after.len()));
        self.open(inside, outer);
        after
    }

    /// Runs operations in a pinned scope, which knows the objects of the one around it.
    fn open(&mut self, ops: &[Op], outer: &[Held<'_, F>]) {
        let mut guard = pin();
        self.pins += 1;
        let mut rest = self.run_pinned(&guard, ops, outer);
        while let Some(ops) = rest {
            guard.repin();
            rest = self.run_pinned(&guard, ops, outer);
        }
        self.pins -= 1;
    }

    /// Runs operations until the scope is to be renewed; what comes after that.
    fn run_pinned<'a>(&mut self, guard: &Guard, ops: &'a [Op], outer: &[Held<'_, F>]) -> Option<&'a [Op]> {
        let mut scope = Scope { guard, held: outer.to_vec(), number: 0 };
        let mut rest = ops;
        while let Some((op, after)) = rest.split_first() {
            rest = match *op {
                Op::Pinned(PinnedOp::Repin) => return Some(after),
                Op::Pinned(op) => {
                    self.execute_pinned(op, &mut scope);
                    after
                }
                Op::Pin(_) => self.open_next(op, after, &scope.held),
                op => {
                    self.execute(op);
                    after
                }
            };
            self.bound_roots();
        }
        scope.check();
        None
    }

    fn execute_pinned(&mut self, op: PinnedOp, scope: &mut Scope<'_, F>) {
        match op {
            PinnedOp::Hold(at) => {
                if let Some(Spot::Object(object)) = self.reach(at, scope) {
                    scope.hold(object);
                }
            }
            PinnedOp::Take(root) => {
                if let Some(handle) = self.take_root(root) {
                    scope.hold(handle.pinned(scope.guard));
                }
            }
            PinnedOp::Alloc(kind, shape, tries, at, many) => {
                let new = self.allocate(kind, shape, &Under(scope.guard, tries), at, many);
                scope.hold(new);
            }
            PinnedOp::Edge(at, number, change, new) => self.change_some_pinned(at, number, change, new, scope),
            PinnedOp::Cells(at, writes, index, change, new) => {
                self.change_pinned_cells(at, writes, index, change, new, scope);
            }
            PinnedOp::Keep(number) => {
                let count = scope.held.len().max(1);
                let kept = scope.held.get(usize::from(number) % count).map(|held| held.object.to_any());
                self.roots.extend(kept);
            }
            PinnedOp::Weak(from, to) => {
                let Some(from) = self.reach_of(from, scope) else { return };
                let found = self.move_pinned(from, self.reach_of(to, scope), scope.guard);
                found.into_iter().for_each(|object| scope.hold(object));
            }
            PinnedOp::Linger => linger(),
            PinnedOp::Repin => unreachable!("ends the scope"),
        }
        scope.check();
    }

    /// As `target`, but without counting; begins at what the scope holds, too.
    fn reach<'g>(&self, At(root, one, two, three): At, scope: &Scope<'g, F>) -> Option<Spot<'g, F>> {
        let number = usize::from(root);
        let far = self.ballast.as_ref().filter(|_| (At::FAR..At::HUB).contains(&root));
        let mut here = if root >= At::HUB {
            Spot::Hub(self.hub.clone()?)
        } else if let Some(far) = far {
            Spot::Object(far.object(number % FAR).pinned(scope.guard))
        } else if number % 2 == 0 && !scope.held.is_empty() {
            Spot::Object(scope.held[number / 2 % scope.held.len()].object)
        } else {
            Spot::Object(self.roots.get(number % self.roots.len().max(1))?.pinned(scope.guard))
        };
        for step in [one, two, three] {
            let follow = |step| self.step_by(here.view(), step, false, &scope.guard);
            let Some(next) = step.checked_sub(1).and_then(|step| follow(usize::from(step))) else { break };
            here = Spot::Object(next);
        }
        self.witness.known(here.view().check());
        Some(here)
    }

    /// As `reach`, but of this type: what is there, or else what the scope holds or a root.
    fn reach_of<'g, T: Node<F>>(&self, at: At, scope: &Scope<'g, F>) -> Option<Local<'g, T>> {
        if let Some(Spot::Object(object)) = self.reach(at, scope)
            && let Some(found) = T::of_pinned(&object)
        {
            return Some(found);
        }
        let (before, after) = scope.held.split_at(usize::from(at.0) % scope.held.len().max(1));
        let held = after.iter().chain(before).find_map(|held| T::of_pinned(&held.object));
        held.or_else(|| self.roots.iter().find_map(T::of).map(|handle| handle.local(scope.guard)))
    }

    fn change_some_pinned(&mut self, at: At, number: u8, change: PinnedChange, new: At, scope: &mut Scope<'_, F>) {
        let Some(spot) = self.reach(at, scope) else { return };
        let view = spot.view();
        let Some((place, index, edge)) = view.some_edge(number) else { return };
        let whose = (view.check(), place, index);
        match edge {
            EdgeRef::Plain(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::User(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::Large(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::Aligned(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::Mortal(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::Keeper(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::LocalMortal(cell) => self.change_pinned(cell, whose, change, self.reach_of(new, scope), scope),
            EdgeRef::Thin(cell) => {
                let new = match self.reach(new, scope) {
                    Some(Spot::Object(object)) => Some(object),
                    _ => None,
                };
                let out = self.change_pinned_thin(cell, view.check(), change, new, scope.guard);
                out.into_iter().for_each(|object| scope.hold(object));
            }
            EdgeRef::Always(cell) => self.change_pinned_full(cell, whose, change, new, scope),
        }
    }

    /// Cells in a vector, whose content is counted while a guard for writing is held.
    fn change_pinned_cells(
        &mut self,
        at: At,
        writes: bool,
        index: u8,
        change: PinnedChange,
        new: At,
        scope: &mut Scope<'_, F>,
    ) {
        let Some(object) = self.reach_of::<Mixed<F>>(at, scope) else { return };
        // Before the vector is opened, which may be on the way.
        let new = self.reach_of(new, scope);
        let id = object.view().check();
        let mut change_one = |cells: &[EdgeCell<Plain<F>>]| {
            let index = usize::from(index) % cells.len().max(1);
            if let Some(cell) = cells.get(index) {
                self.change_pinned(cell, (id, 2, index), change, new, scope);
            }
        };
        if writes {
            object.cells.change(Route::Try, |cells| change_one(cells));
        } else {
            object.cells.look(false, |cells| change_one(cells));
        }
    }

    fn change_pinned<'g, T: Node<F>>(
        &mut self,
        cell: &EdgeCell<T>,
        (id, place, index): (u32, usize, usize),
        change: PinnedChange,
        new: Option<Local<'g, T>>,
        scope: &mut Scope<'g, F>,
    ) {
        let guard = scope.guard;
        let found = cell.load(guard);
        // What is in the cell now, if it has changed, and what came out.
        let (now, out) = match change {
            PinnedChange::Store => {
                cell.store(new, guard);
                (Some(new), found)
            }
            PinnedChange::Clear => {
                cell.store(None, guard);
                (Some(None), found)
            }
            PinnedChange::Swap => (Some(new), cell.swap(new, guard)),
            PinnedChange::Exchange => match cell.compare_exchange(found, new, guard) {
                Ok(out) => {
                    assert_eq!(id_of(out), id_of(found), "what is exchanged is what was expected");
                    (Some(new), out)
                }
                Err(out) => {
                    assert!(!F::ALONE, "nobody else changes the cell");
                    (None, out)
                }
            },
            PinnedChange::ExchangeOther => match cell.compare_exchange(new, None, guard) {
                Ok(out) => (Some(None), out),
                Err(out) => {
                    assert!(id_of(out) != id_of(new), "refused though it is the same edge");
                    (None, out)
                }
            },
            PinnedChange::Set => {
                cell.set(new.map(Local::to_gc));
                (Some(new), found)
            }
            PinnedChange::Take => {
                let handle = cell.take();
                (Some(None), handle.map(|handle| handle.local(guard)))
            }
        };
        if F::ALONE {
            assert_eq!(id_of(out), id_of(found), "nobody else changes the cell");
        }
        self.witness.note(id, place, |model| {
            let before = now.map(|now| put(model, index, id_of(now)));
            assert!(before.is_none_or(|before| before == id_of(out)), "what came out of place {place} of object {id}");
        });
        scope.hold_all(out);
    }

    /// The same for a cell that is never empty.
    fn change_pinned_full<'g>(
        &mut self,
        cell: &GcCell<Gc<Plain<F>>>,
        (id, place, index): (u32, usize, usize),
        change: PinnedChange,
        new: At,
        scope: &mut Scope<'g, F>,
    ) {
        let guard = scope.guard;
        let Some(new): Option<Local<'g, Plain<F>>> = self.reach_of(new, scope) else { return };
        let found = cell.load(guard);
        let (done, out) = match change {
            PinnedChange::Store | PinnedChange::Clear => {
                cell.store(new, guard);
                (true, found)
            }
            PinnedChange::Set => {
                cell.set(new.to_gc());
                (true, found)
            }
            PinnedChange::Swap | PinnedChange::Take => (true, cell.swap(new, guard)),
            PinnedChange::Exchange | PinnedChange::ExchangeOther => match cell.compare_exchange(found, new, guard) {
                Ok(out) => (true, out),
                Err(out) => (false, out),
            },
        };
        assert!(done || !F::ALONE, "nobody else changes the cell");
        if done {
            self.witness.note(id, place, |model| {
                let before = put(model, index, id_of(Some(new)));
                assert_eq!(before, id_of(Some(out)), "what came out of place {place} of object {id}");
            });
        }
        scope.hold_all([out]);
    }
}

/// Asks for a cycle and waits for one to end, or not to: if it waits for the scope.
fn linger() {
    let (cycles, begun) = (stats().cycles, Instant::now());
    assert_eq!(collect().outcome, Outcome::Requested, "under a pin");
    while stats().cycles == cycles && begun.elapsed() < LONGEST {
        thread::sleep(Duration::from_micros(100));
    }
}
