//! Runs operations: each changes the real graph and tells the witness, who knows what must come of it.

use super::{
    content::{Change, Content, Shape},
    lock::{CellRef, Lockable},
    model::Access,
    node::{Any, EdgeCell, Family, Frees, Node, Untraced, User, View},
    op::{At, CellsChange, During, EdgeChange, Guard, Layer, Many, Op, Panics, Route},
};
use crate::payload::{Leaf, new_id};
use graphgc::{Gc, GcCell};
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

/// Roots that a program holds at most.
const MOST_ROOTS: usize = 48;

/// Faults put in on purpose, to see that the oracle finds and shrinks them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    /// The model knows nothing of handles that were forgotten.
    ForgetsForgotten,
    /// The process dies in a collection while a large object lives.
    CrashesOnLarge,
}

impl Plant {
    /// The fault named in the variable `ORACLE_PLANT`.
    pub fn from_environment() -> Option<Self> {
        match std::env::var("ORACLE_PLANT").ok()?.as_str() {
            "forgets-forgotten" => Some(Plant::ForgetsForgotten),
            "crashes-on-large" => Some(Plant::CrashesOnLarge),
            other => panic!("ORACLE_PLANT: no fault is called {other}"),
        }
    }
}

/// What knows which objects must exist.
pub trait Witness<F: Family> {
    /// An object has been met.
    fn known(&self, id: u32);
    /// A new value, which is about to move into the heap unless it stays outside.
    fn born(&mut self, view: View<'_, F>, outside: bool);
    /// A place has been changed; the same change of a model of it.
    fn note(&mut self, id: u32, place: usize, change: impl FnOnce(&mut Content<u32>));
    /// An edge has been followed.
    fn met(&self, id: u32, place: usize, index: usize, found: Option<u32>);
    /// Who can get at a place.
    fn access(&self, id: u32, place: usize) -> Access;
    /// That changes; what it was.
    fn set_access(&mut self, id: u32, place: usize, access: Access) -> Access;
    /// From now on the program holds these objects beside its roots.
    fn hold(&mut self, ids: Vec<u32>);
    /// A handle has been forgotten.
    fn forgot(&mut self, id: u32);
    /// Collects, and compares if that can be done now.
    fn collect(&mut self, roots: &[Any<F>], hub: Option<&User<F>>);
}

/// One thread's program.
pub struct Machine<F: Family> {
    /// Handles on the stack.
    pub roots: Vec<Any<F>>,
    /// Cells outside the heap, which threads share.
    pub hub: Option<Arc<User<F>>>,
    /// Who knows what must exist.
    pub witness: F::Witness,
    received: usize,
}

/// What an operation works on.
enum Target<F: Family> {
    Object(Any<F>),
    Hub(Arc<User<F>>),
}

impl<F: Family> Target<F> {
    fn view(&self) -> View<'_, F> {
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

fn ids<F: Family>(handles: &[Any<F>]) -> Vec<u32> {
    handles.iter().map(Any::check).collect()
}

/// The payload of the panics that programs want.
struct Wanted;

/// Runs `body`, which panics quietly in the end.
fn panics(body: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(body)).expect_err("the program wants to panic");
    if !panic.is::<Wanted>() {
        resume_unwind(panic);
    }
}

fn panic_quietly<T>() -> T {
    resume_unwind(Box::new(Wanted))
}

impl<F: Family> Machine<F> {
    /// A program that holds these handles.
    pub fn new(roots: Vec<Any<F>>, hub: Arc<User<F>>, witness: F::Witness) -> Self {
        Machine { roots, hub: Some(hub), witness, received: 0 }
    }

    /// Runs one operation.
    pub fn execute(&mut self, op: Op) {
        match op {
            Op::New(kind, shape, via, at, many) => self.allocate(kind, shape, via, at, many),
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
            Op::Element(at, number, new) => self.change_element(at, number, new),
            Op::Look(at, number, during) => self.look(at, number, during),
            Op::Swap(at, number, other, other_number) => self.swap(at, number, other, other_number),
            Op::Nested(at, layer, change, new) => self.change_nested(at, layer, change, new),
            Op::Cells(at, change, index, new) => self.change_cells(at, change, index, new),
            Op::Skipped(at, change, new) => self.change_skipped(at, change, new),
            Op::ClearSkipped(at) => self.clear_skipped(at),
            Op::Leak(at, number, guard) => self.leak(at, number, guard),
            Op::Panic(place, many) => self.panic(place, many),
            Op::Collect => self.collect(),
        }
        while self.roots.len() > MOST_ROOTS {
            self.received += 1;
            let index = self.received * 7 % self.roots.len();
            self.roots.swap_remove(index);
        }
    }

    /// Collects and compares.
    pub fn collect(&mut self) {
        self.witness.collect(&self.roots, self.hub.as_deref());
    }

    fn take_root(&mut self, root: u8) -> Option<Any<F>> {
        let count = self.roots.len();
        (count > 0).then(|| self.roots.swap_remove(usize::from(root) % count))
    }

    /// Without a model nobody would know what it leads to when others change that.
    fn forget(&mut self, handle: Any<F>) {
        if F::ALONE {
            self.witness.forgot(handle.check());
            mem::forget(handle);
        }
    }

    // Getting hold of objects, as a program does.

    fn target(&self, At(root, one, two, three): At) -> Option<Target<F>> {
        let mut here = if root >= At::HUB {
            Target::Hub(self.hub.clone()?)
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

    /// Follows an edge, comparing what is there with what must be there.
    fn step(&self, from: View<'_, F>, step: usize) -> Option<Any<F>> {
        let (place, index) = (step % from.places(), step / from.places());
        let (id, wait) = (from.check(), self.may_wait(from, place));
        match from.nth(place, index, wait) {
            Some(found) => {
                self.witness.met(id, place, index, found.as_ref().map(Any::check));
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
    fn may_wait(&self, view: View<'_, F>, place: usize) -> bool {
        !F::ALONE && !matches!((view, place), (View::Frees(Frees { leaked: true, .. }), 0))
    }

    /// Whether a place can be opened for writing; if not, checks that it cannot.
    fn is_open(&self, view: View<'_, F>, place: usize, lock: &CellRef<'_, F>) -> bool {
        match self.witness.access(view.check(), place) {
            Access::Held(guard) => {
                lock.assert_held(guard);
                false
            }
            Access::Open | Access::Skipped => F::ALONE || self.may_wait(view, place),
        }
    }

    /// Takes handles that came out of somewhere: some become roots, the others are dropped.
    fn receive(&mut self, handles: impl IntoIterator<Item = Any<F>>) {
        for handle in handles {
            self.witness.known(handle.check());
            self.received += 1;
            if self.received % 3 == 0 {
                self.roots.push(handle);
            }
        }
    }

    // Single edges.

    fn change_some_edge(&mut self, at: At, number: u8, change: EdgeChange, new: At) {
        let Some(target) = self.target(at) else { return };
        let id = target.view().check();
        let index = usize::from(number);
        match target.view() {
            View::Plain(it) => match number % 3 {
                0 => self.change_edge(&it.next, id, 1, 0, change, new),
                1 => self.change_edge(&it.user, id, 3, 0, change, new),
                _ => self.change_always(it.always.as_ref(), id, change, new),
            },
            View::User(it) => self.change_edge(&it.cell, id, 2, 0, change, new),
            View::Large(it) => self.change_edge(&it.next, id, 0, 0, change, new),
            View::LargePlain(it) => self.change_edge(&it.next, id, 0, 0, change, new),
            View::Aligned(it) => self.change_edge(&it.next, id, 0, 0, change, new),
            View::Bomb(it) => self.change_edge(&it.next, id, 0, 0, change, new),
            View::Wide(it) if !it.cells.is_empty() => {
                let index = index % it.cells.len();
                self.change_edge(&it.cells[index], id, 2, index, change, new);
            }
            View::Frees(_) | View::Wide(_) => {}
        }
    }

    fn change_edge<T: Node<F>>(
        &mut self,
        cell: &EdgeCell<T>,
        id: u32,
        place: usize,
        index: usize,
        change: EdgeChange,
        new: At,
    ) {
        let new = self.pick_of::<T>(new);
        let out = self.change_cell(cell, id, place, index, change, new);
        self.receive(out.map(T::any));
    }

    fn change_cell<T: Node<F>>(
        &mut self,
        cell: &EdgeCell<T>,
        id: u32,
        place: usize,
        index: usize,
        change: EdgeChange,
        new: Option<Gc<T>>,
    ) -> Option<Gc<T>> {
        let id_of = |edge: &Option<Gc<T>>| edge.as_ref().map(|it| it.view().check());
        let new_id = id_of(&new);
        let old_id = F::ALONE.then(|| id_of(&cell.get()));
        let put = |witness: &mut F::Witness, now: Option<u32>, out: Option<Option<u32>>| {
            witness.note(id, place, |model| {
                let before = put(model, index, now);
                if let Some(out) = out {
                    assert_eq!(out, before, "what came out of a cell");
                }
            });
        };
        let is_alone = |ok: bool| assert!(ok || !F::ALONE, "nobody else changes the cell");
        match change {
            EdgeChange::Set => {
                cell.set(new);
                put(&mut self.witness, new_id, None);
                None
            }
            EdgeChange::Take => {
                let out = cell.take();
                put(&mut self.witness, None, Some(id_of(&out)));
                out
            }
            EdgeChange::Replace => {
                let out = cell.replace(new);
                put(&mut self.witness, new_id, Some(id_of(&out)));
                out
            }
            EdgeChange::Exchange => {
                let current = cell.get();
                let result = cell.compare_exchange(&current, new);
                is_alone(result.is_ok());
                match result {
                    Ok(out) => {
                        assert_eq!(id_of(&out), id_of(&current));
                        put(&mut self.witness, new_id, Some(id_of(&out)));
                        out
                    }
                    Err(refused) => refused,
                }
            }
            EdgeChange::ExchangeOther => match cell.compare_exchange(&new, None) {
                Ok(out) => {
                    assert_eq!(id_of(&out), new_id, "what is exchanged is what was expected");
                    put(&mut self.witness, None, Some(new_id));
                    out
                }
                Err(none) => {
                    assert!(none.is_none(), "the refused edge comes back");
                    assert!(old_id != Some(new_id), "refused though it is the same edge");
                    None
                }
            },
            EdgeChange::Copy => {
                let copy = cell.clone();
                copy.set(new);
                let back = copy.replace(cell.get());
                assert_eq!(id_of(&back), new_id);
                copy.into_inner()
            }
            EdgeChange::Drop => {
                let _dropped_as_a_cell = cell.clone();
                cell.get()
            }
        }
    }

    fn change_always(
        &mut self,
        cell: Option<&GcCell<Gc<super::node::Plain<F>>>>,
        id: u32,
        change: EdgeChange,
        new: At,
    ) {
        let (Some(cell), Some(new)) = (cell, self.pick_of::<super::node::Plain<F>>(new)) else { return };
        let new_id = new.view().check();
        let out = match change {
            EdgeChange::Set => {
                cell.set(new);
                None
            }
            EdgeChange::Exchange => match cell.compare_exchange(&cell.get(), new) {
                Ok(out) => Some(out),
                Err(refused) => {
                    assert!(!F::ALONE, "nobody else changes the cell");
                    return self.receive([Any::Plain(refused)]);
                }
            },
            EdgeChange::Copy | EdgeChange::Drop => return self.receive([Any::Plain(cell.clone().into_inner())]),
            _ => Some(cell.replace(new)),
        };
        self.witness.note(id, 2, |model| *model = Content::Option(Some(new_id)));
        self.receive(out.map(Any::Plain));
    }

    // Lock-type cells.

    fn change_some_content(&mut self, at: At, number: u8, route: Route, during: During, change: Change, new: Many) {
        let Some(target) = self.target(at) else { return };
        let new = self.pick_many(new);
        let view = target.view();
        let Some((place, lock)) = view.some_lock(number) else { return };
        if !self.is_open(view, place, &lock) {
            return;
        }
        let mut out = None;
        let changes = |content: &mut Content<Any<F>>| {
            self.change_held(view, place, content, during, change, new, &mut out);
            if during == During::Panic {
                panic_quietly::<()>();
            }
        };
        if during == During::Panic {
            let mut done = true;
            let result = catch_unwind(AssertUnwindSafe(|| done = lock.write(route, changes).is_some()));
            match result {
                Err(panic) if !panic.is::<Wanted>() => resume_unwind(panic),
                Err(_) => {}
                Ok(()) => assert!(!done || !F::ALONE, "the change did not panic"),
            }
        } else {
            lock.write(route, changes);
        }
        assert!(!F::ALONE || out.is_some(), "place {place} of object {} cannot be opened", view.check());
        self.receive(out.into_iter().flatten());
    }

    /// Changes content under a guard for writing.
    #[expect(clippy::too_many_arguments, reason = "what an operation says")]
    fn change_held(
        &mut self,
        view: View<'_, F>,
        place: usize,
        content: &mut Content<Any<F>>,
        during: During,
        change: Change,
        new: Vec<Any<F>>,
        out: &mut Option<Vec<Any<F>>>,
    ) {
        if during == During::CollectBefore {
            self.collect_while_held(view, place, &new);
        }
        let out = out.insert(self.apply(view.check(), place, content, change, new));
        if during == During::CollectAfter {
            self.collect_while_held(view, place, out);
        }
    }

    /// Changes content and the model of it; what comes out of both is the same.
    fn apply(
        &mut self,
        id: u32,
        place: usize,
        content: &mut Content<Any<F>>,
        change: Change,
        new: Vec<Any<F>>,
    ) -> Vec<Any<F>> {
        let new_ids = ids(&new);
        let out = content.apply(change, new);
        self.witness.note(id, place, |model| {
            let expected = model.apply(change, new_ids);
            assert_eq!(ids(&out), expected, "what came out of place {place} of object {id}");
        });
        out
    }

    /// A guard for writing is held while the collector runs: the place's handles are roots, and so are those at hand.
    fn collect_while_held(&mut self, view: View<'_, F>, place: usize, at_hand: &[Any<F>]) {
        let id = view.check();
        let mut held = ids(at_hand);
        held.push(id);
        self.witness.hold(held);
        let before = self.witness.set_access(id, place, Access::Held(Guard::Write));
        self.collect();
        self.witness.set_access(id, place, before);
        self.witness.hold(Vec::new());
    }

    fn change_element(&mut self, at: At, number: u8, new: At) {
        let (Some(target), Some(new)) = (self.target(at), self.pick(new)) else { return };
        let view = target.view();
        let Some((place, lock)) = view.some_lock(number) else { return };
        if !self.is_open(view, place, &lock) {
            return;
        }
        let new_id = new.check();
        let mut out = None;
        let result = lock.write_some(|element| {
            let old = mem::replace(element, new);
            self.witness.note(view.check(), place, |model| {
                let before = model.some_mut().map(|element| mem::replace(element, new_id));
                assert_eq!(Some(old.check()), before, "the element that was mapped");
            });
            out = Some(old);
        });
        assert!(result.is_ok() || !F::ALONE, "an open cell can be written");
        self.receive(out);
    }

    fn look(&mut self, at: At, number: u8, during: During) {
        let Some(target) = self.target(at) else { return };
        let view = target.view();
        let Some((place, lock)) = view.some_lock(number) else { return };
        let (id, access) = (view.check(), self.witness.access(view.check(), place));
        if access != Access::Open {
            return;
        }
        let mut out = Vec::new();
        let guard = if lock.is_exclusive() { Guard::Write } else { Guard::Read };
        let seen = lock.read_mapped(|content| {
            self.witness
                .note(id, place, |model| assert_eq!(content.ids(), model.ids(), "place {place} of object {id}"));
            if during != During::Nothing {
                self.witness.hold(vec![id]);
                self.witness.set_access(id, place, Access::Held(guard));
                self.collect();
                self.witness.set_access(id, place, access);
                self.witness.hold(Vec::new());
            }
            out.extend(content.iter().take(5).cloned());
        });
        assert!(seen.is_some() || !F::ALONE, "place {place} of object {id} cannot be read");
        self.receive(out);
    }

    fn swap(&mut self, at: At, number: u8, other: At, other_number: u8) {
        let (Some(target), Some(other)) = (self.target(at), self.target(other)) else { return };
        let (view, other) = (target.view(), other.view());
        let (Some((place, lock)), Some((other_place, other_lock))) =
            (view.some_lock(number), other.some_lock(other_number))
        else {
            return;
        };
        let open = self.is_open(view, place, &lock) && self.is_open(other, other_place, &other_lock);
        if open && lock.swap(&other_lock) && F::ALONE {
            let mut mine = Content::Option(None);
            self.witness.note(view.check(), place, |model| mem::swap(model, &mut mine));
            self.witness.note(other.check(), other_place, |model| mem::swap(model, &mut mine));
            self.witness.note(view.check(), place, |model| mem::swap(model, &mut mine));
        }
    }

    fn change_nested(&mut self, at: At, layer: Layer, change: Change, new: Many) {
        let Some(object) = self.pick_of::<Frees<F>>(at) else { return };
        let other = self.pick_of::<Frees<F>>(new.1);
        let new = self.pick_many(new);
        let id = object.view().check();
        let mut out = Vec::new();
        match layer {
            Layer::Inner => {
                let found = object.nested.look(true, |inner| {
                    inner.change(Route::Guard, |content| out = self.apply(id, 1, content, change, new))
                });
                assert!(found.flatten().is_some() || !F::ALONE);
            }
            Layer::Outer => {
                let found = object.nested.change(Route::Map, |inner| {
                    out = self.apply(id, 1, inner.content_mut(), change, new);
                });
                assert!(found.is_some() || !F::ALONE);
            }
            Layer::Replace | Layer::Take => {
                let new = if layer == Layer::Take { Vec::new() } else { new };
                let content = Content::new(Shape::Linked, new);
                let model = content.model();
                let inner = object.nested.change(Route::Guard, |inner| {
                    let old = mem::replace(inner, content.into());
                    self.witness.note(id, 1, |place| *place = model);
                    old
                });
                out.extend(inner.into_iter().flat_map(|inner| inner.into_content().into_elements()));
            }
            Layer::Swap => {
                let Some(other) = other else { return };
                if object.nested.swap_with(&other.nested) && F::ALONE {
                    let mut mine = Content::Option(None);
                    let other_id = other.view().check();
                    self.witness.note(id, 1, |model| mem::swap(model, &mut mine));
                    self.witness.note(other_id, 1, |model| mem::swap(model, &mut mine));
                    self.witness.note(id, 1, |model| mem::swap(model, &mut mine));
                }
            }
            Layer::Copy => {
                let copied = object.nested.look(true, |inner| inner.look(true, Content::clone));
                let mut copy = F::Cell::from(copied.flatten().unwrap_or(Content::Option(None)));
                out = copy.content_mut().apply(change, new);
                out.extend(copy.into_content().into_elements());
            }
        }
        self.receive(out);
    }

    fn change_cells(&mut self, at: At, change: CellsChange, index: u8, new: At) {
        let Some(object) = self.pick_of::<Frees<F>>(at) else { return };
        let new = self.pick_of::<super::node::Plain<F>>(new);
        let new_id = new.as_ref().map(|it| it.view().check());
        let id = object.view().check();
        let within = |length: usize| usize::from(index) % length.max(1);
        let mut out = Vec::new();
        if let CellsChange::Read(change) = change {
            object.cells.look(true, |cells| {
                if let Some(cell) = cells.get(within(cells.len())) {
                    out.extend(self.change_cell(cell, id, 2, within(cells.len()), change, new));
                }
            });
            return self.receive(out.into_iter().map(Any::Plain));
        }
        object.cells.change(Route::Guard, |cells| {
            let place = within(cells.len());
            match change {
                CellsChange::Push if cells.len() < super::content::MOST_ELEMENTS => {
                    cells.push(GcCell::new(new));
                    self.witness.note(id, 2, |model| slots(model).push(new_id));
                }
                CellsChange::Pop => {
                    out.extend(cells.pop().and_then(GcCell::into_inner));
                    self.witness.note(id, 2, |model| {
                        slots(model).pop();
                    });
                }
                CellsChange::Write if !cells.is_empty() => {
                    out.extend(cells[place].replace(new));
                    self.witness.note(id, 2, |model| slots(model)[place] = new_id);
                }
                CellsChange::Replace if !cells.is_empty() => {
                    out.extend(mem::replace(&mut cells[place], GcCell::new(new)).into_inner());
                    self.witness.note(id, 2, |model| slots(model)[place] = new_id);
                }
                CellsChange::Swap if !cells.is_empty() => {
                    cells.swap(0, place);
                    self.witness.note(id, 2, |model| slots(model).swap(0, place));
                }
                CellsChange::Reverse => {
                    *cells = mem::take(cells).into_iter().rev().collect();
                    self.witness.note(id, 2, |model| slots(model).reverse());
                }
                CellsChange::Take => {
                    out.extend(mem::take(cells).into_iter().filter_map(GcCell::into_inner));
                    self.witness.note(id, 2, |model| slots(model).clear());
                }
                _ => {}
            }
        });
        self.receive(out.into_iter().map(Any::Plain));
    }

    // Fields that are not traced, and guards that are forgotten.

    fn change_skipped(&mut self, at: At, change: Change, new: Many) {
        let Some(object) = self.pick_of::<User<F>>(at) else { return };
        let cell = self.pick_of::<User<F>>(new.1);
        let new = self.pick_many(new);
        let id = object.view().check();
        let mut out = Vec::new();
        object.untraced.content.change(Route::Guard, |content| out = self.apply(id, 3, content, change, new));
        out.extend(self.change_cell(&object.untraced.cell, id, 5, 0, EdgeChange::Replace, cell).map(Any::User));
        self.receive(out);
    }

    fn clear_skipped(&mut self, at: At) {
        let Some(object) = self.pick_of::<User<F>>(at) else { return };
        let id = object.view().check();
        let mut out = Vec::new();
        object
            .untraced
            .content
            .change(Route::Guard, |content| out = self.apply(id, 3, content, Change::Take, Vec::new()));
        out.extend(self.change_cell(&object.untraced.cell, id, 5, 0, EdgeChange::Take, None).map(Any::User));
        self.receive(out);
    }

    fn leak(&mut self, at: At, number: u8, guard: Guard) {
        let Some(target) = self.target(at) else { return };
        let view = target.view();
        let Some((place, lock)) = view.some_lock(number) else { return };
        let outside = matches!(target, Target::Hub(_));
        if F::ALONE && !outside && self.is_open(view, place, &lock) {
            lock.leak(guard);
            let guard = if lock.is_exclusive() { Guard::Write } else { guard };
            self.witness.set_access(view.check(), place, Access::Held(guard));
        }
    }

    // Panics.

    fn panic(&mut self, place: Panics, many: Many) {
        let mut handles = self.pick_many(many);
        match place {
            Panics::Constructor => panics(|| {
                let inside = handles.pop().map(Gc::new);
                drop(Gc::new((handles, inside, panic_quietly::<u32>())));
            }),
            Panics::Collect => panics(|| {
                let count = handles.len();
                let copies = handles.iter().chain([]).cloned().enumerate();
                let half: Vec<_> =
                    copies.map(|(number, it)| if number + 1 == count { panic_quietly() } else { it }).collect();
                drop(half);
                panic_quietly()
            }),
            Panics::Map => {
                let cell = F::Cell::from(Content::new(Shape::Deque, handles));
                panics(|| {
                    let _ = cell.change_part(|_| panic_quietly::<Option<&mut u32>>(), |_| ());
                });
                assert!(cell.change(Route::Try, |_| ()).is_some(), "a panic gives the guard up");
            }
            Panics::OnStack => {
                let cell = F::Cell::from(Content::new(Shape::Heap, Vec::new()));
                panics(|| {
                    cell.change(Route::Guard, |content| {
                        drop(content.apply(Change::Add, handles));
                        panic_quietly::<()>();
                    });
                });
                let elements = cell.into_content().into_elements();
                self.receive(elements);
            }
        }
    }
}

/// The model of a vector of cells.
fn slots(model: &mut Content<u32>) -> &mut Vec<Option<u32>> {
    match model {
        Content::Slots(slots) => slots,
        _ => unreachable!("the model of a vector of cells"),
    }
}

/// Puts an edge into a model of one cell or of several; what was there.
fn put(model: &mut Content<u32>, index: usize, new: Option<u32>) -> Option<u32> {
    match model {
        Content::Slots(slots) => mem::replace(&mut slots[index], new),
        Content::Option(option) => mem::replace(option, new),
        _ => unreachable!("the model of a cell"),
    }
}
