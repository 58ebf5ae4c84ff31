//! Changing what is in lock-type cells, by every route; nested cells, fields that are not traced, and guards that are forgotten.

use super::{
    content::{Change, Content, Element, Shape},
    lock::Lockable,
    machine::{Machine, Target, ids},
    model::Access,
    node::{Aligned, Any, Family, Frees, Mixed, Node, Plain, User, View},
    op::{At, During, EdgeChange, Guard, Layer, Many, Route},
    panics::{Wanted, panic_quietly},
    witness::Witness,
};
use graphgc::Gc;
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

impl<F: Family> Machine<F> {
    pub(super) fn change_some_content(
        &mut self,
        at: At,
        number: u8,
        route: Route,
        during: During,
        change: Change,
        new: Many,
    ) {
        let Some(target) = self.target(at) else { return };
        let new = self.pick_many(new);
        let view = target.view();
        let Some((place, lock)) = view.some_lock(number) else { return };
        if !self.is_open(view, place, &lock) {
            return;
        }
        // What is taken out is not in the cell meanwhile.
        let route = if during == During::Nothing || route != Route::Whole { route } else { Route::Guard };
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
    pub(super) fn change_held(
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
    pub(super) fn apply(
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
    pub(super) fn collect_while_held(&mut self, view: View<'_, F>, place: usize, at_hand: &[Any<F>]) {
        let id = view.check();
        let mut held = ids(at_hand);
        held.push(id);
        self.witness.hold(held);
        let before = self.witness.set_access(id, place, Access::Held(Guard::Write));
        self.collect();
        self.witness.set_access(id, place, before);
        self.witness.hold(Vec::new());
    }

    pub(super) fn change_typed(&mut self, at: At, route: Route, change: Change, new: Many) {
        let Some(object) = self.pick_of::<Frees<F>>(at) else { return };
        let new: Vec<Gc<Plain<F>>> = self.pick_many_of(new);
        let id = object.view().check();
        let changed = object.content.change(route, |content| {
            let new_ids = new.iter().map(Element::id).collect();
            let out = content.apply(change, new);
            self.witness.note(id, 0, |model| {
                let expected = model.apply(change, new_ids);
                assert_eq!(out.iter().map(Element::id).collect::<Vec<_>>(), expected, "what came out of object {id}");
            });
            out
        });
        assert!(changed.is_some() || !F::ALONE, "nobody holds the cell of object {id}");
        self.receive(changed.into_iter().flatten().map(Any::Plain));
    }

    pub(super) fn change_element(&mut self, at: At, number: u8, new: At) {
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

    pub(super) fn look(&mut self, at: At, number: u8, during: During) {
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

    pub(super) fn swap(&mut self, at: At, number: u8, other: At, other_number: u8) {
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

    pub(super) fn change_nested(&mut self, at: At, layer: Layer, change: Change, new: Many) {
        let Some(object) = self.pick_of::<Mixed<F>>(at) else { return };
        let other = self.pick_of::<Mixed<F>>(new.1);
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
                let copied = object.nested.look(true, Lockable::copy);
                let mut copy: F::Cell<Content<Any<F>>> = copied.flatten().unwrap_or_default();
                out = copy.content_mut().apply(change, new);
                out.extend(copy.into_content().into_elements());
            }
        }
        self.receive(out);
    }

    pub(super) fn write_once(&mut self, at: At, new: At, collects: bool) {
        let (Some(object), Some(new)) = (self.pick_of::<Aligned<F>>(at), self.pick(new)) else { return };
        let (id, new_id) = (object.view().check(), new.check());
        let mut written = false;
        let content = object.once.get_or_init(|| {
            written = true;
            if collects {
                self.witness.hold(vec![id, new_id]);
                self.collect();
                self.witness.hold(Vec::new());
            }
            new
        });
        let content_id = content.check();
        self.witness.note(id, 2, |model| {
            if written {
                *model = Content::Option(Some(new_id));
            }
            assert_eq!(model.nth(0), Some(&content_id), "what was written once to object {id}");
        });
        let content = content.clone();
        self.receive([content]);
    }

    pub(super) fn change_skipped(&mut self, at: At, change: Change, new: Many) {
        let Some(object) = self.pick_of::<User<F>>(at) else { return };
        let cell = self.pick_of::<User<F>>(new.1);
        let new = self.pick_many(new);
        let id = object.view().check();
        let mut out = Vec::new();
        object.untraced.content.change(Route::Guard, |content| out = self.apply(id, 3, content, change, new));
        out.extend(self.change_cell(&object.untraced.cell, id, 5, 0, EdgeChange::Replace, cell).map(Any::User));
        self.receive(out);
    }

    pub(super) fn clear_skipped(&mut self, at: At) {
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

    pub(super) fn leak(&mut self, at: At, number: u8, guard: Guard) {
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
}
